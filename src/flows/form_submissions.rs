//! Forms that may be sent twice, also to two servers: the act of a form happens once, and every
//! sending gets its result. The transaction of the act claims the form's key first and stores the
//! result, so that neither exists without the other; an act that came to nothing leaves the key
//! unused. Acts of several transactions begin and finish the form around them. Results are kept for
//! an hour, with their secrets sealed.

use super::{Ctx, FlowError, Write, performed_form::PerformedForm};
use crate::{
    domain::{
        secret::Secret,
        time::{Span, Timestamp},
    },
    second_factor::{FactorKeys, SealedSecret},
    store::{
        Conn, StoreError,
        form_submissions::{self, FormRecord},
    },
};

pub use super::performed_form::FormOutcome;
pub use crate::store::form_submissions::FormSubmission;

/// How long a result is kept.
const RETENTION: Span = Span::from_secs(3_600);
/// How long secrets are shown again after they were fetched: the second click of two replaces the
/// page of the first.
const SHOWN_AGAIN: Span = Span::from_secs(10);
/// After this time an act without a result is taken for one whose server died.
const MAX_DURATION: Span = Span::from_secs(15 * 60);
/// Most results that one run of the job deletes.
const BATCH: i64 = 1000;

/// A form that was sent, as it is kept.
#[derive(Debug)]
pub struct KeptForm {
    /// The address to which it was sent.
    pub route: String,
    /// The result, with secrets as long as they may be shown; `None`: its act is not done yet.
    pub outcome: Option<FormOutcome>,
    /// Whether the secrets were fetched.
    pub is_fetched: bool,
}

/// Finds a form of the last hour. `None`: the account sent none with this key.
pub async fn find_form(ctx: &Ctx, submission: FormSubmission) -> Result<Option<KeptForm>, FlowError> {
    ctx.read(move |r| find_kept(r.connection, &r.ctx.factor_keys, &submission, r.now))
        .await
}

/// Does the same as [`find_form`] and notes that the secrets of a finished form were fetched: for
/// the first time, or for a click at nearly the same time.
pub async fn fetch_form(ctx: &Ctx, submission: FormSubmission) -> Result<Option<KeptForm>, FlowError> {
    let note = move |w: &mut Write<'_>| {
        let found = w.find_form(&submission)?.filter(|found| found.outcome.is_some());
        form_submissions::note_fetched(w.connection, &submission, w.now)?;
        Ok(found)
    };
    ctx.write_as_system(note).await
}

/// Records that the act of a form was begun. Returns false if that is recorded already.
pub async fn begin_form(ctx: &Ctx, submission: FormSubmission, route: &str) -> Result<bool, FlowError> {
    let (now, route) = (ctx.now(), route.to_owned());
    let begin = move |c: &mut Conn| begin(c, &submission, &route, now);
    Ok(ctx.store.write(begin).await?)
}

/// Stores the result of an act that [`begin_form`] recorded.
async fn finish_form(ctx: &Ctx, submission: FormSubmission, outcome: FormOutcome) -> Result<(), FlowError> {
    ctx.write_as_system(move |w| Ok(w.finish_form(&submission, &outcome)?))
        .await
}

/// Forgets an act that [`begin_form`] recorded and that came to nothing.
pub async fn abandon_form(ctx: &Ctx, submission: FormSubmission) -> Result<(), FlowError> {
    let forget = move |c: &mut Conn| form_submissions::forget_unfinished(c, &submission);
    Ok(ctx.store.write(forget).await?)
}

/// Forgets secrets that were fetched, and results that are an hour old. A job calls it.
pub async fn forget_old_forms(ctx: &Ctx) -> Result<(), FlowError> {
    let now = ctx.now();
    let forget = move |c: &mut Conn| {
        form_submissions::drop_fetched_secrets(c, now.saturating_sub(SHOWN_AGAIN))?;
        form_submissions::purge(c, now.saturating_sub(RETENTION), BATCH)
    };
    Ok(ctx.store.write(forget).await.map(drop)?)
}

impl Ctx {
    /// Returns a context whose flow performs this form: the transaction with a result of type `T`
    /// claims its key and stores what `describe` makes of the result; if that is `None`, the key
    /// stays unused. A form that was performed before fails that transaction.
    pub fn performing<T: 'static>(
        &self,
        submission: FormSubmission,
        route: &str,
        describe: impl Fn(&T) -> Option<FormOutcome> + Send + Sync + 'static,
    ) -> Self {
        Self {
            form: Some(PerformedForm::new(submission, route, describe)),
            ..self.clone()
        }
    }

    /// Returns the form that a transaction or flow with a result of type `T` performs.
    pub(super) fn form_of<T: 'static>(&self) -> Option<&PerformedForm> {
        self.form.as_ref().filter(|form| form.results_in::<T>())
    }

    /// Performs an act of several transactions, with a context for them. If it has a form, its key
    /// is claimed before and the result is stored after it.
    pub(super) async fn perform_form<T: 'static, F: Future<Output = Result<T, FlowError>>>(
        &self,
        act: impl FnOnce(Ctx) -> F,
    ) -> Result<T, FlowError> {
        let Some(form) = self.form_of::<T>() else {
            return act(self.clone()).await;
        };
        if !begin_form(self, form.submission, &form.route).await? {
            return Err(performed_before().into());
        }
        let inner = Self {
            form: None,
            ..self.clone()
        };
        let done = act(inner).await;
        let kept = match done.as_ref().ok().and_then(|done| form.describe(done)) {
            Some(outcome) => finish_form(self, form.submission, outcome).await,
            None => abandon_form(self, form.submission).await,
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "the result of a form could not be stored");
        }
        done
    }
}

impl Write<'_> {
    /// Claims the key of the form whose act this transaction performs. A transaction that claimed
    /// it before and is not committed yet is waited for.
    pub(super) fn claim_form(&mut self, form: &PerformedForm) -> Result<(), StoreError> {
        match begin(self.connection, &form.submission, &form.route, self.now)? {
            true => Ok(()),
            false => Err(performed_before()),
        }
    }

    /// Stores the result of the act, or releases the key if it came to nothing.
    pub(super) fn keep_form<T: 'static>(&mut self, form: &PerformedForm, done: &T) -> Result<(), StoreError> {
        match form.describe(done) {
            Some(outcome) => self.finish_form(&form.submission, &outcome),
            None => form_submissions::forget_unfinished(self.connection, &form.submission),
        }
    }

    /// Stores the result of a form that was begun.
    pub(super) fn finish_form(&mut self, submission: &FormSubmission, outcome: &FormOutcome) -> Result<(), StoreError> {
        let sealed = outcome.secrets.as_ref().map(|secrets| {
            let mut nonce = [0; 12];
            self.ctx.random.fill(&mut nonce);
            let keys = &self.ctx.factor_keys;
            let sealed = keys.seal_result(submission.owner, secrets.expose().as_bytes(), nonce);
            sealed.ok_or_else(|| StoreError::Config("the secrets of a result cannot be sealed".into()))
        });
        let sealed = sealed.transpose()?;
        let sealed = sealed
            .as_ref()
            .map(|sealed| (sealed.text.as_str(), sealed.key_id.as_str()));
        form_submissions::finish(self.connection, submission, &outcome.text, sealed)
    }

    /// Finds a form, as [`find_form`] does.
    pub(super) fn find_form(&mut self, submission: &FormSubmission) -> Result<Option<KeptForm>, FlowError> {
        find_kept(self.connection, &self.ctx.factor_keys, submission, self.now)
    }
}

/// The error of an act whose form was performed before. The caller answers with its result.
fn performed_before() -> StoreError {
    StoreError::Conflict("a form that was sent before")
}

fn begin(c: &mut Conn, submission: &FormSubmission, route: &str, now: Timestamp) -> Result<bool, StoreError> {
    // One that nobody finds any more would hide this one.
    let (old, lost) = (now.saturating_sub(RETENTION), now.saturating_sub(MAX_DURATION));
    form_submissions::forget_stale(c, submission, old, lost)?;
    form_submissions::begin(c, submission, route, now)
}

fn find_kept(
    c: &mut Conn,
    keys: &FactorKeys,
    submission: &FormSubmission,
    now: Timestamp,
) -> Result<Option<KeptForm>, FlowError> {
    let record = form_submissions::find(c, submission)?;
    let Some(record) = record.filter(|record| now.since(record.begun_at) <= RETENTION) else {
        return Ok(None);
    };
    if record.outcome.is_none() && now.since(record.begun_at) > MAX_DURATION {
        return Ok(None);
    }
    let is_over = record.fetched_at.is_some_and(|at| now.since(at) > SHOWN_AGAIN);
    let secrets = match is_over {
        true => None,
        false => open_secrets(keys, submission, &record)?,
    };
    Ok(Some(KeptForm {
        route: record.route,
        is_fetched: record.fetched_at.is_some(),
        outcome: record.outcome.map(|text| FormOutcome { text, secrets }),
    }))
}

fn open_secrets(
    keys: &FactorKeys,
    submission: &FormSubmission,
    record: &FormRecord,
) -> Result<Option<Secret>, FlowError> {
    let Some((text, key_id)) = record.secrets.clone() else {
        return Ok(None);
    };
    let plain = keys.open_result(submission.owner, &SealedSecret { text, key_id });
    let plain = plain.and_then(|plain| String::from_utf8(plain).ok());
    let plain =
        plain.ok_or_else(|| FlowError::Internal("the key that sealed one-time passwords is gone".to_owned()))?;
    Ok(Some(Secret::new(plain)))
}
