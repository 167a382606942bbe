DROP TABLE report_people;
DROP TABLE report_quarters;
DROP TABLE report_heads;
