DROP INDEX subject_requests_by_status;
DROP INDEX rule_versions_by_status;
