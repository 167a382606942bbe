DROP TABLE log_in_attempts;
DROP TABLE account_links;
DROP TABLE account_sessions;
DROP TABLE accounts;
