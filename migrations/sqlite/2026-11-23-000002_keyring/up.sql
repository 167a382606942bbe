CREATE TABLE keyring_keys (
  kid TEXT NOT NULL PRIMARY KEY,
  purpose TEXT NOT NULL,
  public_key BLOB,
  wrapped BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  signs_from INTEGER NOT NULL,
  retires_at INTEGER
) STRICT;
