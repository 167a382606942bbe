-- The log is looked through by the kind of its events, of which one may stand among a million others.
CREATE INDEX events_by_kind ON events (log_id, kind, log_index);
