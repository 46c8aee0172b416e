//! Nightlatch: a session-security gateway and admin console.
//!
//! The map of the house. A module may import only what stands above it in this table (`tests/it/house.rs` holds it):
//!
//! | module | answers |
//! |---|---|
//! | [`domain`] | the rules: facts in, verdict out; no clock, I/O, randomness or logging |
//! | [`clock`], [`random`] | the only callers of the system clock and of the system's randomness |
//! | [`hashing`] | password hashes, bounded and off the reactor |
//! | [`config`] | what the operator decides before the start |
//! | [`security_log`] | the security log file |
//! | [`store`] | the database: the only place that knows Diesel |
//! | [`mail`] | letters: their words, the message, the mail server or a folder |
//! | [`live`] | what this instance remembers, and how it learns that it is stale |
//! | [`flows`] | the things people do, one file each |
//! | [`http`] | Actix and askama: routes, middleware, pages |
//! | [`jobs`] | what happens by itself |
//! | [`server`] | puts it together |
//! | [`cli`] | the command line |
pub mod domain;

pub mod clock;
pub mod random;

pub mod hashing;

pub mod config;
pub mod security_log;

pub mod store;

pub mod mail;

pub mod live;

pub mod flows;

pub mod http;
pub mod jobs;

pub mod server;

pub mod cli;
