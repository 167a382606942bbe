DROP TABLE subject_attributes;
DROP TABLE attributes;
