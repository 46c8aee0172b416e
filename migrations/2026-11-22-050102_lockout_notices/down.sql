DROP TABLE lockout_notices;
