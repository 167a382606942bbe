DROP TABLE pin_guesses;
DROP TABLE clerks;
