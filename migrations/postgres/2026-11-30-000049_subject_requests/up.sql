-- What people ask for by the links of their answers: to be shown what is held on them, or to be erased. The merchant
-- confirms or declines.
CREATE TABLE subject_requests (
  id TEXT NOT NULL PRIMARY KEY,
  merchant_id TEXT NOT NULL REFERENCES merchants (id),
  check_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  asked_at BIGINT NOT NULL,
  decided_at BIGINT,
  decided_by TEXT,
  due_at BIGINT
);
CREATE INDEX subject_requests_by_merchant ON subject_requests (merchant_id, id);
CREATE INDEX subject_requests_by_subject ON subject_requests (merchant_id, subject);
CREATE INDEX subject_requests_due ON subject_requests (due_at) WHERE status = 'confirmed' AND due_at IS NOT NULL;
