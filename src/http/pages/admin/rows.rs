//! The rows and filters that flows give and take. The one place where the console names the store's types.
pub use crate::store::accounts::{AccountFilter, AccountListState};
pub use crate::store::audit::{AuditFilter, AuditRow};
pub use crate::store::lockouts::{LockoutFilter, LockoutListState};
pub use crate::store::policies::Revision;
pub use crate::store::sessions::{Cursor, ListState, SessionFilter, Token};
