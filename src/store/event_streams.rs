//! Security events of identity providers: the access tokens for polls, and what the last poll of
//! each source found. Nothing here is announced, because each poll reads it.
use super::{Conn, StoreError, instant::StoredInstant, per_backend::PortableStatement, schema::event_streams};
use crate::{
    domain::{
        source::{EventStreamState, SourceId},
        time::Timestamp,
    },
    second_factor::SealedSecret,
};
use diesel::{ExpressionMethods, OptionalExtension, QueryDsl, Queryable, RunQueryDsl, Selectable, SelectableHelper};
use uuid::Uuid;

/// What is stored about a source's security events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEventStream {
    /// The source.
    pub source: SourceId,
    /// The sealed access token; `None`: it has none.
    pub token: Option<SealedSecret>,
    /// What the last poll found.
    pub state: EventStreamState,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = event_streams)]
struct EventStreamRow {
    source_id: String,
    token: Option<String>,
    key_id: Option<String>,
    polled_at: Option<StoredInstant>,
    received: i64,
    fault_at: Option<StoredInstant>,
    fault: Option<String>,
}

impl EventStreamRow {
    fn read(self) -> Result<StoredEventStream, StoreError> {
        let source = Uuid::parse_str(&self.source_id);
        Ok(StoredEventStream {
            source: SourceId(source.map_err(|_| StoreError::Corrupt("an event stream's source".into()))?),
            token: self
                .token
                .zip(self.key_id)
                .map(|(text, key_id)| SealedSecret { text, key_id }),
            state: EventStreamState {
                polled_at: self.polled_at.map(Timestamp::from),
                received: self.received,
                fault_at: self.fault_at.map(Timestamp::from),
                fault: self.fault,
            },
        })
    }
}

/// Lists what is stored about every source.
pub fn list(c: &mut Conn) -> Result<Vec<StoredEventStream>, StoreError> {
    let rows: Vec<EventStreamRow> = event_streams::table
        .order(event_streams::source_id)
        .select(EventStreamRow::as_select())
        .load(c.db())?;
    rows.into_iter().map(EventStreamRow::read).collect()
}

/// Finds what is stored about a source.
pub fn find(c: &mut Conn, source: SourceId) -> Result<Option<StoredEventStream>, StoreError> {
    let row: Option<EventStreamRow> = event_streams::table
        .find(source.0.to_string())
        .select(EventStreamRow::as_select())
        .first(c.db())
        .optional()?;
    row.map(EventStreamRow::read).transpose()
}

/// Replaces the access token of a source; `None` removes it.
pub fn set_token(c: &mut Conn, source: SourceId, token: Option<&SealedSecret>) -> Result<(), StoreError> {
    let id = ensure_row(c, source)?;
    diesel::update(event_streams::table.find(id))
        .set((
            event_streams::token.eq(token.map(|token| token.text.as_str())),
            event_streams::key_id.eq(token.map(|token| token.key_id.as_str())),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Replaces a sealed token by the same one under another key, unless it was changed meanwhile.
pub fn reseal(c: &mut Conn, source: SourceId, old: &SealedSecret, new: &SealedSecret) -> Result<(), StoreError> {
    let unchanged = event_streams::table
        .find(source.0.to_string())
        .filter(event_streams::token.eq(&old.text));
    diesel::update(unchanged)
        .set((
            event_streams::token.eq(&new.text),
            event_streams::key_id.eq(&new.key_id),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Records a complete poll, which ends a recorded fault. `received`: the events that it brought.
pub fn record_poll(c: &mut Conn, source: SourceId, at: Timestamp, received: i64) -> Result<(), StoreError> {
    let id = ensure_row(c, source)?;
    diesel::update(event_streams::table.find(id))
        .set((
            event_streams::polled_at.eq(Some(StoredInstant::from(at))),
            event_streams::received.eq(event_streams::received + received),
            event_streams::fault_at.eq(None::<StoredInstant>),
            event_streams::fault.eq(None::<String>),
        ))
        .execute(c.db())?;
    Ok(())
}

/// Records that a poll failed. `fault` must contain no secret. The first instant of an unbroken row
/// of faults stays. Returns whether this is the first one.
pub fn record_fault(c: &mut Conn, source: SourceId, at: Timestamp, fault: &str) -> Result<bool, StoreError> {
    let id = ensure_row(c, source)?;
    let first = diesel::update(event_streams::table.find(&id).filter(event_streams::fault_at.is_null()))
        .set(event_streams::fault_at.eq(Some(StoredInstant::from(at))))
        .execute(c.db())?;
    diesel::update(event_streams::table.find(&id))
        .set(event_streams::fault.eq(Some(fault)))
        .execute(c.db())?;
    Ok(first == 1)
}

/// Deletes what is stored about a source.
pub fn delete(c: &mut Conn, source: SourceId) -> Result<(), StoreError> {
    diesel::delete(event_streams::table.find(source.0.to_string())).execute(c.db())?;
    Ok(())
}

/// Returns how many tokens each key sealed.
pub fn count_by_key(c: &mut Conn) -> Result<Vec<(String, i64)>, StoreError> {
    let rows: Vec<(Option<String>, i64)> = event_streams::table
        .filter(event_streams::key_id.is_not_null())
        .group_by(event_streams::key_id)
        .select((event_streams::key_id, diesel::dsl::count_star()))
        .order(event_streams::key_id)
        .load(c.db())?;
    let read = |(key, number): (Option<String>, i64)| (key.unwrap_or_default(), number);
    Ok(rows.into_iter().map(read).collect())
}

fn ensure_row(c: &mut Conn, source: SourceId) -> Result<String, StoreError> {
    let id = source.0.to_string();
    let insert = diesel::insert_into(event_streams::table)
        .values(event_streams::source_id.eq(&id))
        .on_conflict_do_nothing();
    PortableStatement(insert).execute(c.db())?;
    Ok(id)
}
