DROP TABLE four_eyes;
