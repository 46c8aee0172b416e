//! The rules of Nightlatch: facts in, decision out. There is no clock, I/O, async, log or
//! randomness here. This is a separate crate so that the compiler checks that, and so that a
//! changed rule and its tests (`tests/domain`) build without the web server and the database.
#![warn(missing_docs)]

pub mod account;
pub mod account_csv;
pub mod activity;
pub mod agent;
pub mod application;
pub mod audit;
pub mod bounce;
pub mod client;
pub mod digest;
pub mod duration;
pub mod email_change;
pub mod expiry;
pub mod factor;
pub mod forwarded;
pub mod list;
pub mod lockout;
pub mod login;
pub mod lost_cookie;
pub mod mail;
pub mod network;
pub mod network_groups;
pub mod notification;
pub mod origin;
pub mod password;
pub mod policy;
pub mod reset;
pub mod secret;
pub mod session;
pub mod simulate;
pub mod skew;
pub mod source;
pub mod spreadsheet;
pub mod text;
pub mod time;
