DROP INDEX referrals_by_person;
DROP TABLE contest_additions;
