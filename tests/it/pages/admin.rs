//! The console's pages, mirroring `src/http/pages/admin`.

mod accounts;
mod audit;
mod explain;
mod lockouts;
mod policy;
mod review;
mod sessions;
