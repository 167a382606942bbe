DROP INDEX subject_requests_by_check;
