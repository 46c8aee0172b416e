//! The reasons for which the program does not start.

use crate::{config::ConfigError, domain::policy::PolicyFault, flows::FlowError, mail::MailError, store::StoreError};
use std::net::SocketAddr;

/// Why the server or a command does not start, in one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// The security log cannot be opened.
    #[error("security log {path}: {error}")]
    SecurityLog {
        /// Path of the file.
        path: String,
        /// The operating system's reason.
        error: std::io::Error,
    },
    /// The mail server cannot be used at all.
    #[error(transparent)]
    Mail(#[from] MailError),
    /// The cookie key in the database is damaged.
    #[error("the cookie key in the database is unusable")]
    Key,
    /// A pinned setting contradicts the policy in force.
    #[error("a pinned setting contradicts the policy in force: {0}")]
    Pinned(PolicyFault),
    /// The metrics cannot be collected.
    #[error("metrics: {0}")]
    Metrics(String),
    /// An operation at start failed.
    #[error("{0}")]
    Flow(#[from] FlowError),
    /// The database did not answer while the server stopped.
    #[error("stopped, but {0} could not be written: the database did not answer")]
    Unwritten(String),
    /// The operating system refused something.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}
