//! The results of imports, kept for an hour: a form that is sent twice, even to two instances, gets
//! one result, and no result is lost when an instance stops. The transaction of the import writes
//! them. One-time passwords are sealed, and fetched once.

use super::{ImportedAccounts, Passwords};
use crate::{
    domain::{
        password::ONE_TIME,
        secret::Secret,
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError, Read, Write},
    second_factor::{FactorKeys, SealedSecret},
    store::{
        Conn, StoreError,
        import_results::{self, ImportRecord, ImportSubmission},
    },
};
use serde::{Deserialize, Serialize};

/// How long a result is kept.
const RETENTION: Span = Span::from_secs(3_600);
/// How long one-time passwords are shown again after they were fetched: the second click of two
/// replaces the page of the first.
const SHOWN_AGAIN: Span = Span::from_secs(10);
/// After this time an import without a result is taken for one whose server died.
const MAX_DURATION: Span = Span::from_secs(15 * 60);
/// Maximum number of results that one run of the job deletes.
const BATCH: i64 = 1000;

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
pub enum KeptImport {
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

/// Finds an import of the last hour. `None`: the account began none with this form.
pub async fn find_import(ctx: &Ctx, submission: ImportSubmission) -> Result<Option<KeptImport>, FlowError> {
    ctx.read(move |r| r.find_import(&submission)).await
}

/// Fetches the one-time passwords of an import: for the first time, or for a click at nearly the
/// same time. `None`: there is no such import, or it is not done.
pub async fn fetch_import(ctx: &Ctx, submission: ImportSubmission) -> Result<Option<KeptImport>, FlowError> {
    let note = move |w: &mut Write<'_>| {
        let found = w.as_read().find_import(&submission)?;
        import_results::note_fetched(w.connection, &submission, w.now)?;
        Ok(found.filter(|found| matches!(found, KeptImport::Done { .. })))
    };
    ctx.write_as_system(note).await
}

/// Forgets passwords that were fetched, and results that are an hour old. A job calls it.
pub async fn forget_old_imports(ctx: &Ctx) -> Result<(), FlowError> {
    let now = ctx.now();
    let forget = move |c: &mut Conn| {
        import_results::drop_fetched_passwords(c, now.saturating_sub(SHOWN_AGAIN))?;
        import_results::purge(c, now.saturating_sub(RETENTION), BATCH)
    };
    Ok(ctx.store.write(forget).await.map(drop)?)
}

impl Ctx {
    /// Records that an import has begun, so that other instances report it as running.
    pub(super) async fn begin_import(&self, submission: ImportSubmission) -> Result<(), FlowError> {
        let now = self.now();
        let begin = move |c: &mut Conn| {
            // An outdated result with the same key would hide this one.
            import_results::purge(c, now.saturating_sub(RETENTION), BATCH)?;
            import_results::begin(c, &submission, now)
        };
        Ok(self.store.write(begin).await?)
    }
}

impl Read<'_> {
    pub(super) fn find_import(&mut self, submission: &ImportSubmission) -> Result<Option<KeptImport>, FlowError> {
        let record = import_results::find(self.connection, submission)?;
        let Some(record) = record.filter(|record| self.now.since(record.begun_at) <= RETENTION) else {
            return Ok(None);
        };
        let Some(summary) = &record.summary else {
            let is_running = self.now.since(record.begun_at) <= MAX_DURATION;
            return Ok(is_running.then_some(KeptImport::Running));
        };
        let summary = serde_json::from_str(summary);
        let summary = summary.map_err(|_| StoreError::Corrupt("the result of an import".into()))?;
        let is_over = record.fetched_at.is_some_and(|at| self.now.since(at) > SHOWN_AGAIN);
        Ok(Some(KeptImport::Done {
            summary,
            passwords: if is_over {
                Vec::new()
            } else {
                open_passwords(&self.ctx.factor_keys, submission, &record)?
            },
            is_fetched: record.fetched_at.is_some(),
        }))
    }
}

impl Write<'_> {
    /// Keeps the result of the import that this transaction performs.
    pub(super) fn keep_import(
        &mut self,
        submission: &ImportSubmission,
        done: &ImportedAccounts,
        passwords: Passwords,
    ) -> Result<(), FlowError> {
        let unreadable = |error: serde_json::Error| FlowError::Internal(format!("the result of an import: {error}"));
        let summary = ImportSummary::new(done, passwords, self.now);
        let summary = serde_json::to_string(&summary).map_err(unreadable)?;
        let one_time: Vec<(&str, &str)> = done
            .created
            .iter()
            .filter_map(|(name, password)| Some((name.as_str(), password.as_ref()?.expose())))
            .collect();
        let sealed = if one_time.is_empty() {
            None
        } else {
            let plain = serde_json::to_vec(&one_time).map_err(unreadable)?;
            let mut nonce = [0; 12];
            self.ctx.random.fill(&mut nonce);
            let sealed = self.ctx.factor_keys.seal_import(submission.owner, &plain, nonce);
            Some(sealed.ok_or_else(|| FlowError::Internal("one-time passwords cannot be sealed".to_owned()))?)
        };
        let sealed = sealed
            .as_ref()
            .map(|sealed| (sealed.text.as_str(), sealed.key_id.as_str()));
        import_results::begin(self.connection, submission, self.now)?;
        Ok(import_results::finish(self.connection, submission, &summary, sealed)?)
    }
}

fn open_passwords(
    keys: &FactorKeys,
    submission: &ImportSubmission,
    record: &ImportRecord,
) -> Result<Vec<(String, Secret)>, FlowError> {
    let Some((text, key_id)) = record.passwords.clone() else {
        return Ok(Vec::new());
    };
    let plain = keys.open_import(submission.owner, &SealedSecret { text, key_id });
    let list: Option<Vec<(String, String)>> = plain.and_then(|plain| serde_json::from_slice(&plain).ok());
    let list = list.ok_or_else(|| FlowError::Internal("the key that sealed one-time passwords is gone".to_owned()))?;
    Ok(list
        .into_iter()
        .map(|(name, password)| (name, Secret::new(password)))
        .collect())
}
