DROP TABLE subtrees;
