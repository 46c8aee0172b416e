//! Which letters wait to be sent, and what became of the others? Written with the act that causes them; a letter is leased to the one that
//! sends it, and only the latest lease may say how it went. When to try again is `domain::mail`.
use super::{
    Conn, Page, StoreError,
    conn::MultiBackend,
    instant::At,
    keyset::{self, Walk},
    per_backend::Both,
    schema::outbox,
    text,
};
use crate::domain::{account::AccountId, mail::LetterState, time::Timestamp};
use diesel::{
    BoolExpressionMethods, ExpressionMethods, Insertable, OptionalExtension, QueryDsl, Queryable, RunQueryDsl,
    Selectable, SelectableHelper,
};
use uuid::Uuid;

/// A letter as it is queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLetter {
    pub id: Uuid,
    /// Code of what it is about.
    pub kind: String,
    pub account: Option<AccountId>,
    pub recipient: String,
    pub recipient_name: String,
    pub subject: String,
    /// JSON of both parts.
    pub body: String,
    /// The body is removed also when it is given up.
    pub secret: bool,
    /// The same at every attempt.
    pub message_id: String,
    /// Queued once under this key.
    pub dedupe: Option<String>,
    pub queued_at: Timestamp,
    pub give_up_at: Timestamp,
}

/// A letter in the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxLetter {
    pub id: Uuid,
    pub kind: String,
    pub account: Option<AccountId>,
    pub recipient: String,
    pub recipient_name: String,
    pub subject: String,
    /// `None`: gone, see [`NewLetter::secret`].
    pub body: Option<String>,
    pub secret: bool,
    pub message_id: String,
    pub state: LetterState,
    pub queued_at: Timestamp,
    pub due_at: Timestamp,
    pub give_up_at: Timestamp,
    /// Attempts begun; also the number of the latest lease.
    pub attempts: i32,
    /// The mail server's words at the latest attempt.
    pub words: String,
    pub finished_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Default)]
pub struct OutboxFilter {
    pub state: Option<LetterState>,
    /// `queued_at` and id: the page after, or the page before.
    pub after: Option<(Timestamp, Uuid)>,
    pub before: Option<(Timestamp, Uuid)>,
    pub limit: i64,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = outbox, treat_none_as_default_value = false)]
struct Record {
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
    queued_at: At,
    due_at: At,
    give_up_at: At,
    attempts: i32,
    leased_until: Option<At>,
    words: String,
    finished_at: Option<At>,
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("a letter's {what}"))
}

impl Record {
    fn of(letter: &NewLetter) -> Record {
        Record {
            id: letter.id.to_string(),
            kind: letter.kind.clone(),
            account_id: letter.account.map(|id| id.0.to_string()),
            recipient: text::clean(&letter.recipient).into_owned(),
            recipient_name: text::clean(&letter.recipient_name).into_owned(),
            subject: text::clean(&letter.subject).into_owned(),
            body: Some(text::clean(&letter.body).into_owned()),
            secret: letter.secret,
            message_id: letter.message_id.clone(),
            dedupe: letter.dedupe.clone(),
            state: LetterState::Queued.as_str().to_owned(),
            queued_at: letter.queued_at.into(),
            due_at: letter.queued_at.into(),
            give_up_at: letter.give_up_at.into(),
            attempts: 0,
            leased_until: None,
            words: String::new(),
            finished_at: None,
        }
    }

    fn read(self) -> Result<OutboxLetter, StoreError> {
        let account = self.account_id.as_deref().map(super::accounts::id_of).transpose()?;
        Ok(OutboxLetter {
            id: Uuid::parse_str(&self.id).map_err(|_| corrupt("id"))?,
            state: LetterState::parse(&self.state).ok_or_else(|| corrupt("state"))?,
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

/// False: a letter with the same key is there already.
pub fn queue(c: &mut Conn, letter: &NewLetter) -> Result<bool, StoreError> {
    let row = diesel::insert_into(outbox::table)
        .values(Record::of(letter))
        .on_conflict_do_nothing();
    Ok(Both(row).execute(c.db())? == 1)
}

/// When it was queued, and id.
type Place = (Timestamp, Uuid);
type Boxed = outbox::BoxedQuery<'static, MultiBackend>;

/// Due, and nobody holds it.
fn waiting(now: Timestamp) -> Boxed {
    let now = At::from(now);
    outbox::table
        .filter(outbox::state.eq(LetterState::Queued.as_str()))
        .filter(outbox::due_at.le(now))
        .filter(outbox::leased_until.is_null().or(outbox::leased_until.lt(now)))
        .into_boxed::<MultiBackend>()
}

/// Whether there is anything to claim: asked often, and without the writers' gate.
pub fn anything_due(c: &mut Conn, now: Timestamp) -> Result<bool, StoreError> {
    let first = waiting(now).limit(1).select(outbox::id).first::<String>(c.db());
    Ok(first.optional()?.is_some())
}

/// Leases the letter that waits longest until `until`; `None`: nothing is due that another does not hold.
pub fn claim(c: &mut Conn, now: Timestamp, until: Timestamp) -> Result<Option<OutboxLetter>, StoreError> {
    /// Letters looked at in one go, of which others may take some meanwhile.
    const LOOKED_AT: i64 = 20;
    let due: Vec<String> = waiting(now)
        .order((outbox::due_at.asc(), outbox::id.asc()))
        .limit(LOOKED_AT)
        .select(outbox::id)
        .load(c.db())?;
    for id in due {
        let at = At::from(now);
        let free = outbox::table
            .find(&id)
            .filter(outbox::state.eq(LetterState::Queued.as_str()))
            .filter(outbox::due_at.le(at))
            .filter(outbox::leased_until.is_null().or(outbox::leased_until.lt(at)));
        let lease = (
            outbox::leased_until.eq(Some(At::from(until))),
            outbox::attempts.eq(outbox::attempts + 1),
        );
        if diesel::update(free).set(lease).execute(c.db())? == 1 {
            return find_by(c, &id);
        }
    }
    Ok(None)
}

fn find_by(c: &mut Conn, id: &str) -> Result<Option<OutboxLetter>, StoreError> {
    let row: Option<Record> = outbox::table
        .find(id)
        .select(Record::as_select())
        .first(c.db())
        .optional()?;
    row.map(Record::read).transpose()
}

pub fn find(c: &mut Conn, id: Uuid) -> Result<Option<OutboxLetter>, StoreError> {
    find_by(c, &id.to_string())
}

/// What came of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Sent,
    /// Try again then.
    Later(Timestamp),
    GivenUp,
}

/// Writes what came of the lease with the number `letter.attempts`. False: it ran out and somebody else has the letter, or an administrator
/// decided meanwhile.
pub fn settle(
    c: &mut Conn,
    letter: &OutboxLetter,
    outcome: &Outcome,
    words: &str,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let words = text::clean(words).into_owned();
    let held = outbox::table
        .find(letter.id.to_string())
        .filter(outbox::state.eq(LetterState::Queued.as_str()))
        .filter(outbox::attempts.eq(letter.attempts));
    let open = (outbox::leased_until.eq(None::<At>), outbox::words.eq(words));
    let settled = match outcome {
        Outcome::Later(due) => diesel::update(held)
            .set((open, outbox::due_at.eq(At::from(*due))))
            .execute(c.db())?,
        Outcome::Sent => finish(c, held, open, LetterState::Sent, now, true)?,
        Outcome::GivenUp => finish(c, held, open, LetterState::GivenUp, now, letter.secret)?,
    };
    Ok(settled == 1)
}

type Held = diesel::dsl::Filter<
    diesel::dsl::Filter<diesel::dsl::Find<outbox::table, String>, diesel::dsl::Eq<outbox::state, &'static str>>,
    diesel::dsl::Eq<outbox::attempts, i32>,
>;
type Open = (
    diesel::dsl::Eq<outbox::leased_until, Option<At>>,
    diesel::dsl::Eq<outbox::words, String>,
);

fn finish(
    c: &mut Conn,
    held: Held,
    open: Open,
    state: LetterState,
    now: Timestamp,
    emptied: bool,
) -> Result<usize, StoreError> {
    let closed = (
        open,
        outbox::state.eq(state.as_str()),
        outbox::finished_at.eq(Some(At::from(now))),
    );
    Ok(if emptied {
        diesel::update(held)
            .set((closed, outbox::body.eq(None::<String>)))
            .execute(c.db())?
    } else {
        diesel::update(held).set(closed).execute(c.db())?
    })
}

/// Makes a letter due at once, one that was given up as well while its body is there. False: it is on its way, gone, or has nothing left to send.
pub fn retry(c: &mut Conn, id: Uuid, now: Timestamp, give_up_at: Timestamp) -> Result<bool, StoreError> {
    let Some(letter) = find(c, id)? else { return Ok(false) };
    let give_up_at = match letter.state {
        LetterState::Queued => letter.give_up_at,
        LetterState::GivenUp if letter.body.is_some() => give_up_at,
        LetterState::GivenUp | LetterState::Sent | LetterState::Discarded => return Ok(false),
    };
    let at = At::from(now);
    let free = outbox::table
        .find(id.to_string())
        .filter(outbox::state.eq(letter.state.as_str()))
        .filter(outbox::leased_until.is_null().or(outbox::leased_until.lt(at)));
    let again = (
        outbox::state.eq(LetterState::Queued.as_str()),
        outbox::due_at.eq(at),
        outbox::give_up_at.eq(At::from(give_up_at)),
        outbox::finished_at.eq(None::<At>),
    );
    Ok(diesel::update(free).set(again).execute(c.db())? == 1)
}

/// Takes a letter back that was not sent; its body goes. False: there is none such.
pub fn discard(c: &mut Conn, id: Uuid, now: Timestamp) -> Result<bool, StoreError> {
    let unsent = [LetterState::Queued.as_str(), LetterState::GivenUp.as_str()];
    let letter = outbox::table.find(id.to_string()).filter(outbox::state.eq_any(unsent));
    Ok(diesel::update(letter).set(discarded(now)).execute(c.db())? == 1)
}

/// Takes back what waits for an account under these kinds (a newer link replaces an older one); how many.
pub fn discard_of_account(
    c: &mut Conn,
    account: AccountId,
    kinds: &[&str],
    now: Timestamp,
) -> Result<usize, StoreError> {
    let waiting = outbox::table
        .filter(outbox::account_id.eq(account.0.to_string()))
        .filter(outbox::kind.eq_any(kinds.iter().map(|kind| (*kind).to_owned()).collect::<Vec<_>>()))
        .filter(outbox::state.eq(LetterState::Queued.as_str()));
    Ok(diesel::update(waiting).set(discarded(now)).execute(c.db())?)
}

/// Takes back what waits with a secret link in it, but letters of this kind; how many.
pub fn discard_links(c: &mut Conn, but: &str, now: Timestamp) -> Result<usize, StoreError> {
    let waiting = outbox::table
        .filter(outbox::secret)
        .filter(outbox::kind.ne(but.to_owned()))
        .filter(outbox::state.eq(LetterState::Queued.as_str()));
    Ok(diesel::update(waiting).set(discarded(now)).execute(c.db())?)
}

type Discarded = (
    diesel::dsl::Eq<outbox::state, &'static str>,
    diesel::dsl::Eq<outbox::body, Option<String>>,
    diesel::dsl::Eq<outbox::leased_until, Option<At>>,
    diesel::dsl::Eq<outbox::finished_at, Option<At>>,
);

fn discarded(now: Timestamp) -> Discarded {
    (
        outbox::state.eq(LetterState::Discarded.as_str()),
        outbox::body.eq(None),
        outbox::leased_until.eq(None),
        outbox::finished_at.eq(Some(At::from(now))),
    )
}

fn rows_of(filter: &OutboxFilter) -> Boxed {
    let all = outbox::table.into_boxed::<MultiBackend>();
    match filter.state {
        None => all,
        Some(state) => all.filter(outbox::state.eq(state.as_str())),
    }
}

fn newest_first(rows: Boxed) -> Boxed {
    rows.order((outbox::queued_at.desc(), outbox::id.desc()))
}

fn older(rows: Boxed, than: Place) -> Boxed {
    let (at, id) = (At::from(than.0), than.1.to_string());
    newest_first(
        rows.filter(outbox::queued_at.le(at))
            .filter(outbox::queued_at.lt(at).or(outbox::id.lt(id))),
    )
}

fn newer(rows: Boxed, than: Place) -> Boxed {
    let (at, id) = (At::from(than.0), than.1.to_string());
    rows.filter(outbox::queued_at.ge(at))
        .filter(outbox::queued_at.gt(at).or(outbox::id.gt(id)))
        .order((outbox::queued_at.asc(), outbox::id.asc()))
}

fn walked(rows: Boxed, walk: Walk<Place>) -> Boxed {
    match walk {
        Walk::FromTop => newest_first(rows),
        Walk::Older(than) => older(rows, than),
        Walk::Newer(than) => newer(rows, than),
    }
}

/// Latest first.
pub fn list(c: &mut Conn, filter: &OutboxFilter) -> Result<Page<OutboxLetter>, StoreError> {
    let place = |letter: &OutboxLetter| Ok((letter.queued_at, letter.id));
    keyset::page((filter.after, filter.before), filter.limit, place, |walk, limit| {
        let rows = walked(rows_of(filter), walk).limit(limit);
        let rows: Vec<Record> = rows.select(Record::as_select()).load(c.db())?;
        rows.into_iter().map(Record::read).collect()
    })
}

pub fn count(c: &mut Conn, state: Option<LetterState>) -> Result<i64, StoreError> {
    let filter = OutboxFilter {
        state,
        ..OutboxFilter::default()
    };
    Ok(rows_of(&filter).count().get_result(c.db())?)
}

/// Deletes what was finished before `before`, at most `limit`.
pub fn purge(c: &mut Conn, before: Timestamp, limit: i64) -> Result<usize, StoreError> {
    let old: Vec<String> = outbox::table
        .filter(outbox::finished_at.lt(At::from(before)))
        .limit(limit)
        .select(outbox::id)
        .load(c.db())?;
    Ok(diesel::delete(outbox::table.filter(outbox::id.eq_any(old))).execute(c.db())?)
}
