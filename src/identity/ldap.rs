//! The client of one LDAP directory. Passwords are only ever checked on connections of their own;
//! searches share one connection that is bound with the source's own credentials. A semaphore
//! bounds the operations in flight, so that a slow directory never slows other sources.

mod account_state;
mod bind;
mod connection;
mod directory;
mod entry;
mod error;
mod filter;
mod groups;
mod people;
mod person;
mod pool;
mod probe;
mod refusal;
mod remedy;
mod tls;

pub use directory::Directory;
pub use error::{DirectoryError, DirectoryStep};
pub use people::PeoplePages;
pub use person::{DirectoryPerson, PersonLookup};
pub use probe::{ProbeResult, ProbeStep};
pub use refusal::{DirectoryRefusal, PasswordAnswer};
pub use remedy::{find_remedy, remedy_table};
