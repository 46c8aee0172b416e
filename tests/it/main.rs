//! The one integration binary.

mod accessibility;
mod browser;
mod cli;
mod docs;
mod domain;
mod flows;
mod guard;
mod harness;
mod house;
mod mail;
mod pages;
mod proxies;
mod start;
mod store;
