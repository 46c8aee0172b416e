//! What the installation runs on, as this server sees it: the database and its clock, the line on which changes are announced, other
//! servers, proxies. And whether this server may be sent traffic.

use super::super::{Ctx, FlowError};
use crate::{
    domain::{forwarded::Asked, skew, time::Span},
    store::{Backend, Conn, StoreError, meta, policies},
};
use std::{collections::HashSet, time::Instant};

pub struct Health {
    /// `PostgreSQL`
    pub database: &'static str,
    /// How long the database took to tell its time.
    pub answered_in: Span,
    /// How far the database's clock is ahead of this machine's (negative: behind); `None`: it has none of its own.
    pub clock_ahead: Option<Span>,
    /// Changes made elsewhere are heard of; else every decision asks the database.
    pub hears: bool,
    /// Other servers that run on this database.
    pub other_servers: usize,
    /// Applications that are to be protected.
    pub applications: usize,
    /// The last question of each proxy, with the application it was about; the latest first.
    pub proxies: Vec<(String, Asked)>,
    /// Hosts and addresses whose questions were refused before any application was looked for, and still would be.
    pub strangers: usize,
}

impl Health {
    /// The database's clock is so far off that sessions would end at the wrong time.
    pub fn clock_is_off(&self) -> bool {
        self.clock_ahead.is_some_and(skew::is_too_much)
    }
}

/// Proxies told of at most.
const PROXIES: usize = 4;

impl Ctx {
    /// How far the database's clock is ahead of ours.
    fn clock_ahead(&self, c: &mut Conn) -> Result<Span, StoreError> {
        let before = self.now();
        let told = meta::now(c)?;
        Ok(skew::ahead(before, told, self.now()))
    }

    pub(super) async fn health(&self) -> Result<Health, FlowError> {
        let (flow, writer) = (self.clone(), self.store.writer().to_owned());
        let looked = self.store.read(move |c| {
            let since = Instant::now();
            let ahead = flow.clock_ahead(c)?;
            let took = i64::try_from(since.elapsed().as_micros()).unwrap_or(i64::MAX);
            let servers = policies::pins(c, flow.pins_fresh_since())?;
            let others = servers.iter().filter(|(server, _)| *server != writer).count();
            Ok::<_, StoreError>((Span::from_micros(took), ahead, others))
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

/// The latest question of each proxy: its address, and how it asks.
fn last_of_each(questions: impl Iterator<Item = (String, Asked)>) -> Vec<(String, Asked)> {
    let mut questions: Vec<_> = questions.collect();
    questions.sort_unstable_by(|(name, asked), (other, than)| (than.at, name).cmp(&(asked.at, other)));
    let mut known = HashSet::new();
    questions.retain(|(_, asked)| known.insert((asked.peer, asked.dialect)));
    questions.truncate(PROXIES);
    questions
}

/// Why this instance must not be sent traffic; empty = ready.
pub async fn readiness(ctx: &Ctx) -> Vec<String> {
    let mut faults = Vec::new();
    let flow = ctx.clone();
    let asked = ctx
        .store
        .read(move |c| {
            Ok::<_, StoreError>((
                flow.clock_ahead(c)?,
                meta::migrations_current(c)?,
                policies::latest(c)?.is_some(),
            ))
        })
        .await;
    match asked {
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
        faults.push("changes made elsewhere are not heard of".to_owned());
    }
    faults
}
