DROP TABLE subject_attributes;
DROP TABLE attributes;
DELETE FROM epochs WHERE name = 'attributes';
