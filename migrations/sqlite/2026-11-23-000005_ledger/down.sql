DROP TABLE checkpoints;
DROP TABLE events;
DROP TABLE logs;
DROP TABLE idempotency;
DROP TABLE redemptions;
DROP TABLE grants;
DROP TABLE limit_counters;
DROP TABLE subjects;
