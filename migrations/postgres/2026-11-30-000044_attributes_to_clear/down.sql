DROP TABLE attributes_to_clear;
