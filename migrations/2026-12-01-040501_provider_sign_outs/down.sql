DROP TABLE provider_sign_outs;
