//! The page guard: what the server answers it, and what people see of it in real Chromium.

mod answers;
mod applications;
pub mod chromium;
mod elsewhere;
pub mod events;
mod many_streams;
mod tabs;
