//! The console's pages, mirroring `src/http/pages/admin`.

mod accounts;
mod audit;
mod effect;
mod explain;
mod lockouts;
mod policy;
mod policy_export;
mod policy_import;
mod review;
mod sessions;
