//! The one integration binary.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::too_many_lines, reason = "a test tells one story")]

mod accessibility;
mod browser;
mod cli;
mod devices;
mod directories;
mod docs;
mod factors;
mod faults;
mod flows;
mod guard;
mod harness;
mod mail;
mod oidc;
mod packaging;
mod pages;
mod proxies;
mod shipping;
mod start;
mod store;
mod structure;
