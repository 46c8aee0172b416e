//! Why a batch was not delivered.

/// The reason why a batch was not delivered, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShippingFault {
    /// No answer, or no confirmation, in time.
    #[error("the receiver did not take or confirm the records within 15 seconds")]
    Timeout,
    /// No connection, or it broke.
    #[error("{0}")]
    Connection(String),
    /// Certificates or keys cannot be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// A status other than 2xx.
    #[error("the receiver answered {0}")]
    Status(u16),
    /// A file cannot be written.
    #[error("{0}")]
    File(String),
}

impl ShippingFault {
    /// Returns whether only a change at the receiver or in the configuration helps: a client error
    /// other than 408 and 429.
    pub fn needs_change(&self) -> bool {
        match self {
            Self::Status(status) => (300..500).contains(status) && !matches!(status, 408 | 429),
            Self::Timeout | Self::Connection(_) | Self::Tls(_) | Self::File(_) => false,
        }
    }
}
