-- The subject of a provider of OpenID Connect by which an account's person may log in: never found by anything else.
ALTER TABLE accounts ADD COLUMN subject_issuer TEXT;
ALTER TABLE accounts ADD COLUMN subject TEXT;
CREATE UNIQUE INDEX accounts_by_subject ON accounts (subject_issuer, subject);

-- Log-ins by a provider that were taken, until they could not be taken again anyway.
CREATE TABLE taken_log_ins (
  log_in_hash BLOB NOT NULL PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT;
CREATE INDEX taken_log_ins_by_end ON taken_log_ins (until);
