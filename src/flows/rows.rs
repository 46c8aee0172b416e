//! The rows and filters that flows take and give: what stands above names them from here and never names the store.
pub use crate::store::accounts::{AccountFilter, AccountListState};
pub use crate::store::audit::{AuditFilter, AuditRow};
pub use crate::store::lockouts::{LockoutFilter, LockoutListState};
pub use crate::store::outbox::{OutboxFilter, OutboxLetter};
pub use crate::store::policies::{Revision, drafts::Draft};
pub use crate::store::sessions::{Cursor, ListState, SessionFilter, Token};
