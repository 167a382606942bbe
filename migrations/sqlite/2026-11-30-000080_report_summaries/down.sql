-- Of events that are pruned nothing can make these sums again.
DROP TABLE report_people;
DROP TABLE report_quarters;
DROP TABLE report_heads;
