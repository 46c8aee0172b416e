//! The one integration binary.

mod browser;
mod domain;
mod harness;
mod house;
mod pages;
mod store;
