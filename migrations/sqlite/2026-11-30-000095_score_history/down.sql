DROP TABLE score_history;
