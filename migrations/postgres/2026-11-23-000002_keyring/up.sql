CREATE TABLE keyring_keys (
  kid TEXT NOT NULL PRIMARY KEY,
  purpose TEXT NOT NULL,
  public_key BYTEA,
  wrapped BYTEA NOT NULL,
  created_at BIGINT NOT NULL,
  signs_from BIGINT NOT NULL,
  retires_at BIGINT
);
