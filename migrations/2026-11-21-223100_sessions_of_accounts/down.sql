DROP INDEX sessions_live_account;
