//! The results of imports, kept with their forms: a form that is sent twice, even to two instances,
//! gets one result, and no result is lost when an instance stops. The transaction of the import
//! writes them. One-time passwords are sealed, and fetched once.

use super::{ImportedAccounts, Passwords};
use crate::{
    domain::{password::ONE_TIME, secret::Secret, time::Timestamp},
    flows::{Ctx, FlowError, FormOutcome, FormSubmission, KeptForm, fetch_form, find_form},
    store::StoreError,
};
use serde::{Deserialize, Serialize};

/// What an import did, without passwords.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportSummary {
    /// Accounts that were created.
    pub created: usize,
    /// Accounts that were changed.
    pub changed: usize,
    /// Accounts that were left as they were.
    pub unchanged: usize,
    /// Sessions that ended.
    pub ended: usize,
    /// Last instant of the one-time passwords, in microseconds.
    until: i64,
    /// Whether new accounts were invited.
    pub invited: bool,
    /// The lines that were not imported.
    pub faults: Vec<ImportFault>,
}

/// A line that was not imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFault {
    /// The line of the file, counted from 1.
    pub line: usize,
    /// The column, if it is one's fault.
    pub column: Option<String>,
    /// What is wrong.
    pub message: String,
}

/// An import as it is kept.
#[derive(Debug)]
pub enum StoredImport {
    /// It is not done yet.
    Running,
    /// It is done.
    Done {
        /// What was done.
        summary: ImportSummary,
        /// Usernames and one-time passwords, as long as they may be shown.
        passwords: Vec<(String, Secret)>,
        /// Whether they were fetched.
        is_fetched: bool,
    },
}

impl ImportSummary {
    /// Summarizes an import.
    pub fn new(done: &ImportedAccounts, passwords: Passwords, now: Timestamp) -> Self {
        let (created, changed, unchanged) = done.plan.counts();
        let faults = done.plan.faults.iter().map(|fault| ImportFault {
            line: fault.line,
            column: fault.column.map(str::to_owned),
            message: fault.message.clone(),
        });
        Self {
            created,
            changed,
            unchanged,
            ended: done.ended,
            until: now.saturating_add(ONE_TIME).as_micros(),
            invited: passwords == Passwords::Invitation,
            faults: faults.collect(),
        }
    }

    /// Returns the last instant of the one-time passwords.
    pub fn until(&self) -> Timestamp {
        Timestamp::from_micros(self.until)
    }
}

impl StoredImport {
    /// Reads an import from its form.
    pub fn read(kept: KeptForm) -> Result<Self, FlowError> {
        let Some(FormOutcome { text, secrets }) = kept.outcome else {
            return Ok(Self::Running);
        };
        let unreadable = |_| StoreError::Corrupt("the result of an import".into());
        let passwords: Vec<(String, String)> = match secrets {
            Some(secrets) => serde_json::from_str(secrets.expose()).map_err(unreadable)?,
            None => Vec::new(),
        };
        let passwords = passwords.into_iter();
        Ok(Self::Done {
            summary: serde_json::from_str(&text).map_err(unreadable)?,
            passwords: passwords
                .map(|(name, password)| (name, Secret::new(password)))
                .collect(),
            is_fetched: kept.is_fetched,
        })
    }
}

/// Finds an import of the last hour. `None`: the account began none with this form.
pub async fn find_import(ctx: &Ctx, submission: FormSubmission) -> Result<Option<StoredImport>, FlowError> {
    find_form(ctx, submission).await?.map(StoredImport::read).transpose()
}

/// Fetches the one-time passwords of an import: for the first time, or for a click at nearly the
/// same time. `None`: there is no such import, or it is not done.
pub async fn fetch_import(ctx: &Ctx, submission: FormSubmission) -> Result<Option<StoredImport>, FlowError> {
    fetch_form(ctx, submission).await?.map(StoredImport::read).transpose()
}

impl ImportedAccounts {
    /// Describes the import for its form.
    pub(super) fn to_outcome(&self, passwords: Passwords, now: Timestamp) -> Result<FormOutcome, FlowError> {
        let unreadable = |error: serde_json::Error| FlowError::Internal(format!("the result of an import: {error}"));
        let one_time: Vec<(&str, &str)> = self
            .created
            .iter()
            .filter_map(|(name, password)| Some((name.as_str(), password.as_ref()?.expose())))
            .collect();
        let secrets = match one_time.is_empty() {
            true => None,
            false => Some(Secret::new(serde_json::to_string(&one_time).map_err(unreadable)?)),
        };
        let summary = ImportSummary::new(self, passwords, now);
        Ok(FormOutcome {
            text: serde_json::to_string(&summary).map_err(unreadable)?,
            secrets,
        })
    }
}
