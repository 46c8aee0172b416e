//! Sessions that are bound to the key of a device: over HTTP with a key of our own, and in real
//! Chromium.

mod attacks;
mod binding;
mod chromium;
mod expiry;
mod keys;
pub mod kit;
mod races;
