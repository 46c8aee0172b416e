//! Nightlatch: a session-security gateway and admin console.
//!
//! The modules, in layers. Each may import only those above it in this table
//! (`tests/it/structure.rs` checks this):
//!
//! | module | contents |
//! |---|---|
//! | [`domain`] | the rules: facts in, verdict out; no clock, I/O, randomness or logging |
//! | [`clock`], [`random`] | the only callers of the system clock and of the system's randomness |
//! | [`hashing`] | password hashes, bounded and on dedicated threads |
//! | [`config`] | the operator's settings, read at start |
//! | [`second_factor`] | codes and passkeys, and the keys that protect them at rest |
//! | [`identity`] | conversations with directories and identity providers |
//! | [`shipping`] | sending audit records to other systems |
//! | [`security_log`] | the security log file |
//! | [`store`] | the database: the only module that uses Diesel |
//! | [`mail`] | emails: their text, the message, the mail server or a folder |
//! | [`live`] | the memory of this instance, and how it learns of changes |
//! | [`flows`] | the use cases, one file each |
//! | [`http`] | Actix and askama: routes, middleware, pages |
//! | [`jobs`] | background jobs |
//! | [`server`] | starts and stops everything |
//! | [`cli`] | the command line |
pub use nightlatch_domain as domain;

pub mod clock;
pub mod random;

pub mod hashing;

pub mod config;
pub mod identity;
pub mod second_factor;
pub mod security_log;
pub mod shipping;

pub mod store;

pub mod mail;

pub mod live;

pub mod flows;

pub mod http;
pub mod jobs;

pub mod server;

pub mod cli;
