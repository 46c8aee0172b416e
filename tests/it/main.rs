//! The one integration binary.

mod browser;
mod docs;
mod domain;
mod harness;
mod house;
mod pages;
mod start;
mod store;
