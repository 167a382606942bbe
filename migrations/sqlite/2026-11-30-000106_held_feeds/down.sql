DROP TABLE held_scores;
DROP TABLE held_feeds;
DROP TABLE source_guards;
