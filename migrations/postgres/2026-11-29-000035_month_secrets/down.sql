DROP TABLE month_secrets;
