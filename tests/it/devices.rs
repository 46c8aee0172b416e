//! Sessions that are bound to the key of a device: over HTTP with a key of our own, and in real
//! Chromium.

mod attacks;
mod binding;
mod chromium;
pub mod kit;
