//! What the tests drive for real: servers on port 0 with a database of their own, browsers' manners, PostgreSQL.

pub mod chromium;
pub mod client;
pub mod postgres;
pub mod program;
pub mod server;
