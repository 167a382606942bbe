DROP TABLE taken_log_ins;
DROP INDEX accounts_by_subject;
ALTER TABLE accounts DROP COLUMN subject;
ALTER TABLE accounts DROP COLUMN subject_issuer;
