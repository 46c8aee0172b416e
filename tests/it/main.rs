//! The one integration binary.

mod domain;
mod harness;
mod house;
mod pages;
mod store;
