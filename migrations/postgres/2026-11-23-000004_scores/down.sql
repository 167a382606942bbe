DROP TABLE scores;
DROP TABLE sources;
