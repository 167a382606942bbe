DROP TABLE klout_ids;
