//! The rules. Pure: facts in, verdict out. No clock, I/O, async, log or randomness in here.

pub mod account;
pub mod activity;
pub mod agent;
pub mod application;
pub mod audit;
pub mod bounce;
pub mod duration;
pub mod email_change;
pub mod forwarded;
pub mod lockout;
pub mod login;
pub mod mail;
pub mod network;
pub mod notice;
pub mod origin;
pub mod password;
pub mod policy;
pub mod reset;
pub mod roster;
pub mod secret;
pub mod session;
pub mod simulate;
pub mod skew;
pub mod spreadsheet;
pub mod time;
