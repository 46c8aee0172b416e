//! This instance's memory of the database, and how it learns of changes. The database stays
//! authoritative: the memory is not used while change notifications do not arrive (see
//! [`freshness`]).

pub mod accounts;
pub mod applications;
pub mod awaited_cookies;
pub mod directories;
mod epoch;
pub mod event_streams;
pub mod forwarded;
pub mod freshness;
pub mod held_ends;
pub mod invalidation;
pub mod long_actions;
pub mod policy;
pub mod providers;
pub mod refusals;
pub mod request_limit;
pub mod sessions;
pub mod sources;
mod state;
pub mod submissions;

pub use epoch::Epoch;
pub use state::LiveState;
