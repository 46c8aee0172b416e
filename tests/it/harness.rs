//! What the tests drive for real: servers on port 0 with a database of their own, browsers and their manners, PostgreSQL, proxies.

pub mod chain;
pub mod chromium;
pub mod client;
pub mod gateway;
pub mod postgres;
pub mod program;
pub mod server;
pub mod smtp;
pub mod statements;
pub mod trace;
pub mod upstream;
