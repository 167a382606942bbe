-- Each look at a link asks for the requests that were made by it.
CREATE INDEX subject_requests_by_check ON subject_requests (merchant_id, check_id);
