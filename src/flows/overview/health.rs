//! The health of this server and its environment: the database and its clock, the connection for
//! changes, other servers and proxies. It also decides whether this server is ready for traffic.

use crate::{
    domain::{forwarded::LastProxyRequest, skew, time::Span},
    flows::{Ctx, FlowError, Read},
    store::{self, Backend, StoreError, meta, policies},
};
use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

/// The state of the database, the clock and the other instances.
pub struct Health {
    /// The product: `PostgreSQL`.
    pub database: &'static str,
    /// How long the database took to return its time.
    pub answered_in: Span,
    /// How far the database's clock is ahead of this machine's (negative: behind); `None`: it has
    /// no clock of its own.
    pub clock_ahead: Option<Span>,
    /// Whether changes by other servers arrive; otherwise every decision queries the database.
    pub hears: bool,
    /// The number of other servers on this database.
    pub other_servers: usize,
    /// The number of protected applications.
    pub applications: usize,
    /// The last request of each proxy and its application, latest first.
    pub proxies: Vec<(String, LastProxyRequest)>,
    /// The number of hosts and addresses whose requests matched no application, and still would
    /// match none.
    pub strangers: usize,
}

impl Health {
    /// Returns whether the database's clock differs so much that sessions would end at the wrong
    /// time.
    pub fn clock_is_off(&self) -> bool {
        self.clock_ahead.is_some_and(skew::is_too_much)
    }
}

/// Maximum number of proxies shown.
const PROXIES: usize = 4;

impl Read<'_> {
    /// Returns how far the database's clock is ahead of ours.
    fn clock_ahead(&mut self) -> Result<Span, StoreError> {
        let clock = &self.ctx.clock;
        let before = clock.machine_now();
        let database = meta::now(self.connection)?;
        Ok(skew::measure(before, database, clock.machine_now()))
    }
}

impl Ctx {
    pub(super) async fn health(&self) -> Result<Health, FlowError> {
        let writer = self.store.writer().to_owned();
        let looked = self.read(move |r| {
            let since = Instant::now();
            let ahead = r.clock_ahead()?;
            let took = i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX);
            let servers = policies::list_pins(r.connection, r.ctx.pins_fresh_since())?;
            let others = servers.iter().filter(|(server, _)| *server != writer).count();
            Ok((Span::from_micros(took), ahead, others))
        });
        let (answered_in, ahead, other_servers) = looked.await?;
        let (database, clock_ahead) = match self.store.backend() {
            Backend::Sqlite => ("SQLite", None),
            Backend::Postgres => ("PostgreSQL", Some(ahead)),
        };
        let notes = self.forwarded_notes().await?;
        let strangers = &notes.strangers;
        Ok(Health {
            database,
            answered_in,
            clock_ahead,
            hears: self.live.freshness.is_fresh(),
            other_servers,
            applications: self.current_applications().await?.all().len(),
            strangers: strangers.unknown.len() + strangers.untrusted.len() + strangers.stray.len(),
            proxies: {
                let answered = notes.by_application.into_iter();
                last_of_each(answered.filter_map(|(application, seen)| Some((application, seen.answered?))))
            },
        })
    }
}

/// Returns the latest request of each proxy, by address and dialect.
fn last_of_each(questions: impl Iterator<Item = (String, LastProxyRequest)>) -> Vec<(String, LastProxyRequest)> {
    let mut questions: Vec<_> = questions.collect();
    questions.sort_unstable_by(|(name, asked), (other, than)| (than.at, name).cmp(&(asked.at, other)));
    let mut known = HashSet::new();
    questions.retain(|(_, asked)| known.insert((asked.peer, asked.dialect)));
    questions.truncate(PROXIES);
    questions
}

/// Time that the database has to answer; load balancers have a limit too.
const READY_WITHIN: Duration = Duration::from_millis(1_500);

/// Returns why this instance is not ready for traffic; empty: ready.
pub async fn readiness(ctx: &Ctx) -> Vec<String> {
    let mut faults = Vec::new();
    let asked = ctx.read(move |r| {
        Ok((
            r.clock_ahead()?,
            meta::migrations_current(r.connection)?,
            policies::find_latest(r.connection)?.is_some(),
        ))
    });
    match store::with_patience(READY_WITHIN, asked).await {
        Err(error) => {
            tracing::warn!(%error, "not ready: the database does not answer");
            faults.push("the database does not answer".to_owned());
        }
        Ok((ahead, migrated, has_policy)) => {
            if skew::is_too_much(ahead) {
                faults.push(format!(
                    "this machine's clock differs from the database's by {} ms",
                    ahead.as_micros().saturating_abs() / 1000
                ));
            }
            if !migrated {
                faults.push("migrations are pending".to_owned());
            }
            if !has_policy {
                faults.push("there is no policy".to_owned());
            }
        }
    }
    if !ctx.live.freshness.is_fresh() {
        faults.push("changes on other servers do not arrive".to_owned());
    }
    faults
}
