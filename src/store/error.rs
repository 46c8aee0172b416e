//! Errors of the store, and their conversion from errors of Diesel.

use diesel::result::{DatabaseErrorKind, Error as DieselError};

/// The reason why a call to the store failed. It never shows SQL, a password or a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database does not answer, or is busy, full or read-only: a later attempt may succeed.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    #[error("no such {0}")]
    NotFound(&'static str),
    /// Another write was first, or the name is taken.
    #[error("conflicting {0}")]
    Conflict(&'static str),
    /// A stored value that this program cannot read, or a call that is not allowed.
    #[error("the database contains an unreadable value: {0}")]
    Corrupt(String),
    /// Only the operator can help: wrong URL, missing directory, newer database …
    #[error("{0}")]
    Config(String),
}

impl From<DieselError> for StoreError {
    fn from(error: DieselError) -> Self {
        match error {
            DieselError::NotFound => StoreError::NotFound("row"),
            DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _) => StoreError::Conflict("row"),
            DieselError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
                StoreError::NotFound("row that another row refers to")
            }
            DieselError::DatabaseError(DatabaseErrorKind::NotNullViolation | DatabaseErrorKind::CheckViolation, _) => {
                StoreError::Corrupt("a value that the schema refuses".into())
            }
            DieselError::DatabaseError(_, information) => StoreError::Unavailable(first_line(information.message())),
            DieselError::DeserializationError(_) | DieselError::SerializationError(_) => {
                StoreError::Corrupt("a value of another type than expected".into())
            }
            DieselError::QueryBuilderError(_) | DieselError::InvalidCString(_) => {
                StoreError::Corrupt("a statement that cannot be built".into())
            }
            DieselError::BrokenTransactionManager => {
                StoreError::Unavailable("the connection broke within a transaction".into())
            }
            other => StoreError::Unavailable(first_line(&other.to_string())),
        }
    }
}

/// Returns the database's message: one line, bounded. (Neither database puts a statement into its
/// primary message.)
fn first_line(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default().trim();
    line.chars().take(200).collect()
}
