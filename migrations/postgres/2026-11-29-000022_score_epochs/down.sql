DROP TABLE score_epochs;
