//! The console: one file for each thing that administrators look after, and what those pages share.
//! Every handler takes [`crate::http::visitor::Admin`]: without it there is no way in.

use crate::http::Route;

pub mod accounts;
pub mod applications;
pub mod audit;
pub mod lockouts;
pub mod mail;
pub mod overview;
pub mod policy;
pub mod sessions;

pub mod audit_line;
pub mod export;
pub mod list;
pub mod part;
pub mod session_line;

/// The routes of this folder.
pub fn routes() -> Vec<Route> {
    [
        overview::routes(),
        policy::routes(),
        sessions::routes(),
        lockouts::routes(),
        audit::routes(),
        accounts::routes(),
        applications::routes(),
        mail::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
