//! The console: one file for each area, and the shared parts of its pages. Every handler takes
//! [`crate::http::visitor::Admin`]: there is no other way in.

use crate::http::route::Route;

mod accounts;
mod applications;
mod audit;
mod lockouts;
mod mail;
mod once;
mod overview;
mod policy;
mod sessions;
mod sources;

pub(super) mod audit_line;
mod export;
mod form_answer;
pub(super) mod list;
pub(super) mod part;
mod session_line;

/// Lists the routes of this folder.
pub fn routes() -> Vec<Route> {
    [
        overview::routes(),
        policy::routes(),
        sessions::routes(),
        lockouts::routes(),
        audit::routes(),
        accounts::routes(),
        applications::routes(),
        sources::routes(),
        mail::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
