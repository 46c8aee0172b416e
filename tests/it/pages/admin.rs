//! The console's pages, mirroring `src/http/pages/admin`.

mod account_bulk;
mod account_factors;
mod account_files;
mod accounts;
mod applications;
mod audit;
mod effect;
mod ended;
mod explain;
mod factor_review;
mod first_passwords;
mod history;
mod lockouts;
mod mail;
mod matrix;
mod overview;
mod policy;
mod policy_export;
mod policy_import;
mod posture;
mod rehearsal;
mod review;
mod secure_default;
mod sessions;
mod sources;
mod twice;
