//! The outbox: waiting emails and the results of others. They are written with the action that
//! causes them. An instance leases an email to send it, and only the latest lease may report the
//! result. `domain::mail` decides when to retry.
use super::{
    Conn, StoreError,
    conn::MultiBackend,
    instant::StoredInstant,
    keyset::{self, PageDirection},
    per_backend::PortableStatement,
    schema::outbox,
    text,
};
use crate::domain::{
    account::AccountId,
    list::Page,
    mail::{EmailFilter, EmailState, NewEmail, OutboxEmail},
    time::Timestamp,
};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl,
    Selectable, SelectableHelper,
};
use uuid::Uuid;

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
struct OutboxRow {
    id: String,
    kind: String,
    account_id: Option<String>,
    recipient: String,
    recipient_name: String,
    subject: String,
    body: Option<String>,
    secret: bool,
    message_id: String,
    dedupe: Option<String>,
    state: String,
    queued_at: StoredInstant,
    due_at: StoredInstant,
    give_up_at: StoredInstant,
    attempts: i32,
    leased_until: Option<StoredInstant>,
    words: String,
    finished_at: Option<StoredInstant>,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("an email's {what}"))
}

impl OutboxRow {
    fn from_email(email: &NewEmail) -> OutboxRow {
        OutboxRow {
            id: email.id.to_string(),
            kind: email.kind.clone(),
            account_id: email.account.map(|id| id.0.to_string()),
            recipient: text::clean(&email.recipient).into_owned(),
            recipient_name: text::clean(&email.recipient_name).into_owned(),
            subject: text::clean(&email.subject).into_owned(),
            body: Some(text::clean(&email.body).into_owned()),
            secret: email.secret,
            message_id: email.message_id.clone(),
            dedupe: email.dedupe.clone(),
            state: EmailState::Queued.as_str().to_owned(),
            queued_at: email.queued_at.into(),
            due_at: email.queued_at.into(),
            give_up_at: email.give_up_at.into(),
            attempts: 0,
            leased_until: None,
            words: String::new(),
            finished_at: None,
        }
    }

    fn read(self) -> Result<OutboxEmail, StoreError> {
        let account = self.account_id.as_deref().map(super::accounts::parse_id).transpose()?;
        Ok(OutboxEmail {
            id: Uuid::parse_str(&self.id).map_err(|_| corrupt("id"))?,
            state: EmailState::parse(&self.state).ok_or_else(|| corrupt("state"))?,
            kind: self.kind,
            account,
            recipient: self.recipient,
            recipient_name: self.recipient_name,
            subject: self.subject,
            body: self.body,
            secret: self.secret,
            message_id: self.message_id,
            queued_at: self.queued_at.into(),
            due_at: self.due_at.into(),
            give_up_at: self.give_up_at.into(),
            attempts: self.attempts,
            words: self.words,
            finished_at: self.finished_at.map(Timestamp::from),
        })
    }
}

/// Queues an email. Returns false if there is already one with the same key.
pub fn queue(c: &mut Conn, email: &NewEmail) -> Result<bool, StoreError> {
    let row = diesel::insert_into(outbox::table)
        .values(OutboxRow::from_email(email))
        .on_conflict_do_nothing();
    Ok(PortableStatement(row).execute(c.db())? == 1)
}

/// The instant of queueing, and the ID.
type OutboxPosition = (Timestamp, Uuid);
type OutboxSelect = outbox::BoxedQuery<'static, MultiBackend>;

/// Returns a query for emails that are due and not leased.
fn find_due(now: Timestamp) -> OutboxSelect {
    let now = StoredInstant::from(now);
    outbox::table
        .filter(outbox::state.eq(EmailState::Queued.as_str()))
        .filter(outbox::due_at.le(now))
        .filter(outbox::leased_until.is_null().or(outbox::leased_until.lt(now)))
        .into_boxed::<MultiBackend>()
}

/// Returns whether an email is due. Called often, and without the writers' gate.
pub fn has_due_email(c: &mut Conn, now: Timestamp) -> Result<bool, StoreError> {
    let first = find_due(now).limit(1).select(outbox::id).first::<String>(c.db());
    Ok(first.optional()?.is_some())
}

/// Leases the email that has waited longest until `until`; `None`: no email is due that is not
/// leased.
pub fn claim(c: &mut Conn, now: Timestamp, until: Timestamp) -> Result<Option<OutboxEmail>, StoreError> {
    /// Number of emails that are read together; others may take some of them meanwhile.
    const LOOKED_AT: i64 = 20;
    let due: Vec<String> = find_due(now)
        .order((outbox::due_at.asc(), outbox::id.asc()))
        .limit(LOOKED_AT)
        .select(outbox::id)
        .load(c.db())?;
    for id in due {
        let at = StoredInstant::from(now);
        let free = outbox::table
            .find(&id)
            .filter(outbox::state.eq(EmailState::Queued.as_str()))
            .filter(outbox::due_at.le(at))
            .filter(outbox::leased_until.is_null().or(outbox::leased_until.lt(at)));
        let lease = (
            outbox::leased_until.eq(Some(StoredInstant::from(until))),
            outbox::attempts.eq(outbox::attempts + 1),
        );
        if diesel::update(free).set(lease).execute(c.db())? == 1 {
            return find_by(c, &id);
        }
    }
    Ok(None)
}

fn find_by(c: &mut Conn, id: &str) -> Result<Option<OutboxEmail>, StoreError> {
    let row: Option<OutboxRow> = outbox::table
        .find(id)
        .select(OutboxRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(OutboxRow::read).transpose()
}

/// Finds an email by ID.
pub fn find(c: &mut Conn, id: Uuid) -> Result<Option<OutboxEmail>, StoreError> {
    find_by(c, &id.to_string())
}

/// The result of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseOutcome {
    Sent,
    /// Retry at this instant.
    Later(Timestamp),
    GivenUp,
}

/// Writes the result of the lease with the number `email.attempts`. Returns false if the lease
/// expired and another instance has the email, or if an administrator decided in the meantime.
pub fn settle(
    c: &mut Conn,
    email: &OutboxEmail,
    outcome: &LeaseOutcome,
    words: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let words = text::clean(words).into_owned();
    let held = outbox::table
        .find(email.id.to_string())
        .filter(outbox::state.eq(EmailState::Queued.as_str()))
        .filter(outbox::attempts.eq(email.attempts));
    let open = (outbox::leased_until.eq(None::<StoredInstant>), outbox::words.eq(words));
    let settled = match outcome {
        LeaseOutcome::Later(due) => diesel::update(held)
            .set((open, outbox::due_at.eq(StoredInstant::from(*due))))
            .execute(c.db())?,
        LeaseOutcome::Sent => finish(c, held, open, EmailState::Sent, now, true)?,
        LeaseOutcome::GivenUp => finish(c, held, open, EmailState::GivenUp, now, email.secret)?,
    };
    Ok(settled == 1)
}

type LeasedEmail = diesel::dsl::Filter<
    diesel::dsl::Filter<diesel::dsl::Find<outbox::table, String>, diesel::dsl::Eq<outbox::state, &'static str>>,
    diesel::dsl::Eq<outbox::attempts, i32>,
>;
type LeaseRelease = (
    diesel::dsl::Eq<outbox::leased_until, Option<StoredInstant>>,
    diesel::dsl::Eq<outbox::words, String>,
);

fn finish(
    c: &mut Conn,
    held: LeasedEmail,
    open: LeaseRelease,
    state: EmailState,
    now: Timestamp,
    emptied: bool,
) -> Result<usize, StoreError> {
    let closed = (
        open,
        outbox::state.eq(state.as_str()),
        outbox::finished_at.eq(Some(StoredInstant::from(now))),
    );
    Ok(if emptied {
        diesel::update(held)
            .set((closed, outbox::body.eq(None::<String>)))
            .execute(c.db())?
    } else {
        diesel::update(held).set(closed).execute(c.db())?
    })
}

/// Makes an email due immediately, including a failed one that still has its body. Returns false if
/// it is being sent, does not exist, or has nothing left to send.
pub fn retry(c: &mut Conn, id: Uuid, now: Timestamp, give_up_at: Timestamp) -> Result<bool, StoreError> {
    let Some(email) = find(c, id)? else { return Ok(false) };
    let give_up_at = match email.state {
        EmailState::Queued => email.give_up_at,
        EmailState::GivenUp if email.body.is_some() => give_up_at,
        EmailState::GivenUp | EmailState::Sent | EmailState::Discarded => return Ok(false),
    };
    let at = StoredInstant::from(now);
    let free = outbox::table
        .find(id.to_string())
        .filter(outbox::state.eq(email.state.as_str()))
        .filter(outbox::leased_until.is_null().or(outbox::leased_until.lt(at)));
    let again = (
        outbox::state.eq(EmailState::Queued.as_str()),
        outbox::due_at.eq(at),
        outbox::give_up_at.eq(StoredInstant::from(give_up_at)),
        outbox::finished_at.eq(None::<StoredInstant>),
    );
    Ok(diesel::update(free).set(again).execute(c.db())? == 1)
}

/// Cancels an email that was not sent, and deletes its body. Returns false if there is none.
pub fn discard(c: &mut Conn, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
    let unsent = [EmailState::Queued.as_str(), EmailState::GivenUp.as_str()];
    let email = outbox::table.find(id.to_string()).filter(outbox::state.eq_any(unsent));
    Ok(diesel::update(email).set(discarded_columns(now)).execute(c.db())? == 1)
}

/// Cancels an account's waiting emails of these kinds (a newer link replaces an older one); returns
/// their number.
pub fn discard_of_account(
    c: &mut Conn,
    account: AccountId,
    kinds: &[&str],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let waiting = outbox::table
        .filter(outbox::account_id.eq(account.0.to_string()))
        .filter(outbox::kind.eq_any(kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>()))
        .filter(outbox::state.eq(EmailState::Queued.as_str()));
    Ok(diesel::update(waiting).set(discarded_columns(now)).execute(c.db())?)
}

/// Cancels waiting emails that contain a secret link, except those of this kind; returns their
/// number.
pub fn discard_links(c: &mut Conn, but: &str, now: Timestamp) -> Result<usize, StoreError> {
    let waiting = outbox::table
        .filter(outbox::secret)
        .filter(outbox::kind.ne(but.to_owned()))
        .filter(outbox::state.eq(EmailState::Queued.as_str()));
    Ok(diesel::update(waiting).set(discarded_columns(now)).execute(c.db())?)
}

type DiscardedColumns = (
    diesel::dsl::Eq<outbox::state, &'static str>,
    diesel::dsl::Eq<outbox::body, Option<String>>,
    diesel::dsl::Eq<outbox::leased_until, Option<StoredInstant>>,
    diesel::dsl::Eq<outbox::finished_at, Option<StoredInstant>>,
);

fn discarded_columns(now: Timestamp) -> DiscardedColumns {
    (
        outbox::state.eq(EmailState::Discarded.as_str()),
        outbox::body.eq(None),
        outbox::leased_until.eq(None),
        outbox::finished_at.eq(Some(StoredInstant::from(now))),
    )
}

fn select_matching(filter: &EmailFilter) -> OutboxSelect {
    let all = outbox::table.into_boxed::<MultiBackend>();
    match filter.state {
        None => all,
        Some(state) => all.filter(outbox::state.eq(state.as_str())),
    }
}

fn newest_first(rows: OutboxSelect) -> OutboxSelect {
    rows.order((outbox::queued_at.desc(), outbox::id.desc()))
}

fn older(rows: OutboxSelect, than: OutboxPosition) -> OutboxSelect {
    let (at, id) = (StoredInstant::from(than.0), than.1.to_string());
    newest_first(
        rows.filter(outbox::queued_at.le(at))
            .filter(outbox::queued_at.lt(at).or(outbox::id.lt(id))),
    )
}

fn newer(rows: OutboxSelect, than: OutboxPosition) -> OutboxSelect {
    let (at, id) = (StoredInstant::from(than.0), than.1.to_string());
    rows.filter(outbox::queued_at.ge(at))
        .filter(outbox::queued_at.gt(at).or(outbox::id.gt(id)))
        .order((outbox::queued_at.asc(), outbox::id.asc()))
}

fn in_direction(rows: OutboxSelect, walk: PageDirection<OutboxPosition>) -> OutboxSelect {
    match walk {
        PageDirection::FromTop => newest_first(rows),
        PageDirection::Older(than) => older(rows, than),
        PageDirection::Newer(than) => newer(rows, than),
    }
}

/// Lists emails, latest first.
pub fn list(c: &mut Conn, filter: &EmailFilter) -> Result<Page<OutboxEmail>, StoreError> {
    let place = |email: &OutboxEmail| Ok((email.queued_at, email.id));
    keyset::page((filter.after, filter.before), filter.limit, place, |walk, limit| {
        let rows = in_direction(select_matching(filter), walk).limit(limit);
        let rows: Vec<OutboxRow> = rows.select(OutboxRow::as_select()).load(c.db())?;
        rows.into_iter().map(OutboxRow::read).collect()
    })
}

/// Counts the emails in a state, or all.
pub fn count(c: &mut Conn, state: Option<EmailState>) -> Result<i64, StoreError> {
    let filter = EmailFilter {
        state,
        ..EmailFilter::default()
    };
    Ok(select_matching(&filter).count().get_result(c.db())?)
}

/// Deletes emails that were finished before `before`, at most `limit`.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<String> = outbox::table
        .filter(outbox::finished_at.lt(StoredInstant::from(before)))
        .limit(limit)
        .select(outbox::id)
        .load(c.db())?;
    Ok(diesel::delete(outbox::table.filter(outbox::id.eq_any(old))).execute(c.db())?)
}
