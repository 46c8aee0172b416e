DROP TABLE policy_drafts;
