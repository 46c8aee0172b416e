//! Sessions that were live at some time since an instant (those that are live now, and those that
//! ended later), and how many began and ended meanwhile.
use super::{
    list::attach_accounts,
    rows::{SessionRow, key_of},
};
use crate::{
    domain::{
        session::{AccountSession, SessionId},
        time::Timestamp,
    },
    store::{Conn, StoreError, conn::MultiBackend, instant::StoredInstant, schema::sessions},
};
use diesel::{
    ExpressionMethods, QueryDsl, QueryableByName, RunQueryDsl, SelectableHelper,
    sql_types::{BigInt, Text, Timestamp as Instant},
};
use uuid::Uuid;

/// Lists the newest sign-ins first, at most `limit`, without tokens; true: there are more.
pub fn list_live_since(c: &mut Conn, since: Timestamp, limit: i64) -> Result<(Vec<AccountSession>, bool), StoreError> {
    let mut rows: Vec<SessionRow> = sessions::table
        .filter(sessions::ended_at.is_null())
        .order(sessions::id.desc())
        .limit(limit + 1)
        .select(SessionRow::as_select())
        .load(c.db())?;
    let ended: Vec<SessionRow> = sessions::table
        .filter(sessions::ended_at.is_not_null())
        .filter(sessions::ended_at.ge(StoredInstant::from(since)))
        .order((sessions::ended_at.desc(), sessions::id.desc()))
        .limit(limit + 1)
        .select(SessionRow::as_select())
        .load(c.db())?;
    rows.extend(ended);
    rows.sort_unstable_by(|a, b| (b.signed_in_at, &b.id).cmp(&(a.signed_in_at, &a.id)));
    let limit = usize::try_from(limit).unwrap_or(0);
    let more = rows.len() > limit;
    rows.truncate(limit);
    Ok((attach_accounts(c, rows)?, more))
}

#[derive(QueryableByName)]
struct TurnoverRow {
    #[diesel(sql_type = BigInt)]
    began: i64,
    #[diesel(sql_type = BigInt)]
    ended: i64,
}

/// Counts how many sessions began and how many ended from each of these instants (ascending) to the
/// next. Removed sessions count in neither. Each step is two ranges of an index: IDs contain the
/// time, so that sessions that began in a step are a range of IDs.
pub fn count_turnover(c: &mut Conn, instants: &[Timestamp]) -> Result<Vec<(i64, i64)>, StoreError> {
    let steps = instants.windows(2);
    if steps.len() == 0 {
        return Ok(Vec::new());
    }
    let rows: Vec<String> = (0..steps.len())
        .map(|step| {
            let bind = step * 4;
            format!("({step}, ${}, ${}, ${}, ${})", bind + 1, bind + 2, bind + 3, bind + 4)
        })
        .collect();
    let counts = format!(
        "WITH steps (step, first_id, next_id, first_at, next_at) AS (VALUES {}) \
         SELECT (SELECT count(*) FROM sessions WHERE id >= first_id AND id < next_id) AS began, \
                (SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL AND ended_at >= first_at AND ended_at < next_at) AS ended \
         FROM steps ORDER BY step",
        rows.join(", ")
    );
    let mut query = diesel::sql_query(counts).into_boxed::<MultiBackend>();
    for step in steps {
        for at in step {
            query = query.bind::<Text, _>(first_id(*at));
        }
        for at in step {
            query = query.bind::<Instant, _>(StoredInstant::from(*at));
        }
    }
    let counted: Vec<TurnoverRow> = query.load(c.db())?;
    Ok(counted.into_iter().map(|step| (step.began, step.ended)).collect())
}

/// Returns the lowest ID that can be made at `at` (whole milliseconds).
fn first_id(at: Timestamp) -> String {
    let millis = u128::try_from(at.as_micros() / 1000).unwrap_or(0);
    key_of(SessionId(Uuid::from_u128(millis << 80)))
}
