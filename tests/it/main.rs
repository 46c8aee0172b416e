//! The one integration binary.

mod browser;
mod cli;
mod docs;
mod domain;
mod harness;
mod house;
mod pages;
mod start;
mod store;
