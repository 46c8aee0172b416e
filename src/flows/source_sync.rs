//! Comparing the accounts of directories that have live sessions with their entries: sessions of
//! people who are gone, disabled, expired, locked or without an allowed group end; names,
//! addresses, roles and groups follow. No write is open while a directory is asked.

use super::{Ctx, FlowError, Initiator, PURGED, Write, directories::identify, external_accounts::IdentifiedPerson};
use crate::{
    domain::{
        account::{Account, AccountId},
        session::EndReason,
        source::{OnOutage, SourceId, SourceKind},
        time::Span,
    },
    identity::ldap::{Directory, DirectoryError, DirectoryPerson},
    live::sources::LiveSource,
    store::{StoreError, accounts, directory_binds, sessions, sources as source_rows},
};
use futures_util::{StreamExt, stream};
use std::{collections::HashMap, sync::Arc};

/// Up to this number of accounts they are searched by their IDs; more are found by reading the
/// whole directory page by page.
const MAX_BY_ID: usize = 1_000;
/// Number of IDs in one search.
const IDS_PER_SEARCH: usize = 50;
/// Number of accounts that one read of the database takes.
const ACCOUNTS_PER_READ: i64 = 5_000;
/// Number of accounts that one write ends the sessions of, or changes.
const ACCOUNTS_PER_WRITE: usize = 100;
/// Number of people whose groups are searched at the same time.
const AT_ONCE: usize = 4;
/// How long counted binds are kept after the last one; longer than any window.
const BIND_RETENTION: Span = Span::from_secs(2 * 86_400);

/// What a comparison found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SyncCounts {
    /// Accounts with live sessions that were compared.
    pub compared: usize,
    /// Accounts whose name, address, role or groups changed.
    pub changed: usize,
    /// Sessions that ended.
    pub ended: usize,
}

/// The result of a comparison of one source.
#[derive(Debug)]
pub enum SyncOutcome {
    /// All of them were compared.
    Done(SyncCounts),
    /// The directory did not answer. `ended`: sessions that ended because the outage lasts longer
    /// than the source's setting allows.
    Down {
        /// The step that failed, and why.
        fault: DirectoryError,
        /// How many sessions ended.
        ended: usize,
    },
    /// The source is not a directory; there is nothing to compare.
    NoDirectory,
}

/// Compares every enabled directory whose time has come. Of several instances one does it. Called
/// by a job.
pub async fn sync_due(ctx: &Ctx) -> Result<(), FlowError> {
    let sources = ctx.current_sources().await?;
    for live in sources.enabled_of(SourceKind::Ldap) {
        let Some(settings) = live.source.ldap() else { continue };
        let turn = format!("source.sync.{}", live.source.id.0);
        if ctx.take_turn(turn, settings.sync_every).await? {
            // A source that cannot be used must not keep the others from being compared.
            match ctx.sync_source(live).await {
                Ok(_) | Err(FlowError::SourceDown(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// Compares one source now. `FlowError::NotFound`: there is none with this name.
pub async fn sync_now(ctx: &Ctx, name: &str) -> Result<SyncOutcome, FlowError> {
    let sources = ctx.current_sources().await?;
    let live = sources.by_name(name).ok_or(FlowError::NotFound)?;
    if live.source.kind() != SourceKind::Ldap {
        return Ok(SyncOutcome::NoDirectory);
    }
    ctx.sync_source(live).await
}

/// Removes counted binds that no limit needs any longer. Called by a job.
pub async fn forget_old(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(BIND_RETENTION);
    let purge = move |w: &mut Write<'_>| Ok(directory_binds::purge(w.connection, before, PURGED)?);
    ctx.write_as_system(purge).await.map(drop)
}

impl Ctx {
    async fn sync_source(&self, live: &LiveSource) -> Result<SyncOutcome, FlowError> {
        let directory = self.directory_of(live, &self.live.sources())?;
        let mut comparison = SyncComparison {
            ctx: self,
            live,
            directory: &directory,
            open: self.accounts_with_sessions(live.source.id).await?,
            counts: SyncCounts::default(),
        };
        comparison.counts.compared = comparison.open.len();
        match comparison.run().await {
            Ok(()) => {
                let (id, now, counts) = (live.source.id, self.now(), comparison.counts);
                let compared = i64::try_from(counts.compared).unwrap_or(i64::MAX);
                self.live.directories.note_success(id);
                self.write_as_system(move |w| Ok(source_rows::record_sync(w.connection, id, now, compared)?))
                    .await?;
                Ok(SyncOutcome::Done(counts))
            }
            Err(SyncFault::Flow(error)) => Err(error),
            Err(SyncFault::Directory(fault)) => {
                self.source_down(live, &fault).await;
                let ended = self.end_after_outage(live).await?;
                Ok(SyncOutcome::Down { fault, ended })
            }
        }
    }

    /// Returns the accounts of a source with live sessions, by their ID at the source.
    async fn accounts_with_sessions(&self, source: SourceId) -> Result<HashMap<String, AccountId>, FlowError> {
        let mut open = HashMap::new();
        let mut after = None;
        loop {
            let batch = self
                .read(move |r| {
                    let connection = &mut *r.connection;
                    Ok(accounts::list_with_sessions(
                        connection,
                        source,
                        after,
                        ACCOUNTS_PER_READ,
                    )?)
                })
                .await?;
            let Some((last, _)) = batch.last() else {
                return Ok(open);
            };
            after = Some(*last);
            open.extend(batch.into_iter().map(|(account, external_id)| (external_id, account)));
        }
    }

    /// Ends the sessions of a source whose directory has not answered for longer than its setting
    /// allows, counted from the first fault since it last worked.
    async fn end_after_outage(&self, live: &LiveSource) -> Result<usize, FlowError> {
        let OnOutage::EndAfter(span) = live.source.definition.on_outage else {
            return Ok(0);
        };
        let (id, now) = (live.source.id, self.now());
        let stored = self.read(move |r| Ok(source_rows::find(r.connection, id)?)).await?;
        let Some(stored) = stored else { return Ok(0) };
        // No fault: another instance was answered meanwhile.
        let Some(silent_since) = stored.state.fault_at else {
            return Ok(0);
        };
        if now <= silent_since.saturating_add(span) {
            return Ok(0);
        }
        self.end_sessions_of_source(&Initiator::system(), &live.source.name, EndReason::Directory)
            .await
    }

    /// Ends the sessions of people whom the directory no longer admits; returns their number.
    async fn end_directory_sessions(&self, mut accounts: Vec<AccountId>) -> Result<usize, FlowError> {
        // Rows are locked in this order everywhere.
        accounts.sort();
        let mut ended = 0;
        for batch in accounts.chunks(ACCOUNTS_PER_WRITE).map(<[AccountId]>::to_vec) {
            ended += self
                .write_as_system(move |w| {
                    let mut ended = 0;
                    for account in batch {
                        sessions::lock_account_sessions(w.connection, account)?;
                        if let Some(account) = accounts::find(w.connection, account)? {
                            ended += w.end_account_sessions(&account, EndReason::Directory)?;
                        }
                    }
                    Ok(ended)
                })
                .await?;
        }
        Ok(ended)
    }

    /// Brings accounts up to date with their entries; returns how many changed. The accounts of one
    /// page are read together, and those that differ are written together.
    async fn follow_directory(&self, people: HashMap<AccountId, IdentifiedPerson>) -> Result<usize, FlowError> {
        let people = Arc::new(people);
        let different = {
            let people = people.clone();
            self.read(move |r| {
                let ids: Vec<AccountId> = people.keys().copied().collect();
                let known = accounts::find_all(r.connection, &ids)?;
                let differs = |account: &Account| {
                    people
                        .get(&account.id)
                        .is_some_and(|person| person.describe(account) != *account)
                };
                Ok(known.into_iter().filter(differs).collect::<Vec<Account>>())
            })
            .await?
        };
        let mut changed = 0;
        for batch in different.chunks(ACCOUNTS_PER_WRITE) {
            let (batch, people) = (Arc::new(batch.to_vec()), people.clone());
            let initiator = Initiator::system();
            let written = self.write_about_person(&initiator, move |w| Ok(w.follow_all(&batch, &people)?));
            // An account whose name others take all the time follows at the next comparison.
            changed += written.await?.unwrap_or_default();
        }
        Ok(changed)
    }
}

impl Write<'_> {
    /// Brings accounts up to date with their entries; returns how many changed. `known`: the
    /// accounts as they were read before.
    fn follow_all(
        &mut self,
        known: &[Account],
        people: &HashMap<AccountId, IdentifiedPerson>,
    ) -> Result<usize, StoreError> {
        let concerns_administrators = |account: &Account| {
            let person = people.get(&account.id);
            person.is_some_and(|person| person.concerns_administrators(Some(account)))
        };
        if known.iter().any(concerns_administrators) {
            accounts::lock_administrators(self.connection)?;
        }
        let ids: Vec<AccountId> = known.iter().map(|account| account.id).collect();
        let mut changed = 0;
        for current in accounts::find_all(self.connection, &ids)? {
            let Some(person) = people.get(&current.id) else {
                continue;
            };
            let before = current.clone();
            changed += usize::from(self.follow_source(current, person)? != before);
        }
        Ok(changed)
    }
}

/// Why a comparison stopped.
enum SyncFault {
    Flow(FlowError),
    Directory(DirectoryError),
}

impl From<FlowError> for SyncFault {
    fn from(error: FlowError) -> Self {
        Self::Flow(error)
    }
}

impl From<DirectoryError> for SyncFault {
    fn from(error: DirectoryError) -> Self {
        Self::Directory(error)
    }
}

/// A comparison in progress.
struct SyncComparison<'a> {
    ctx: &'a Ctx,
    live: &'a LiveSource,
    directory: &'a Directory,
    /// Accounts that were not found yet, by their ID at the source.
    open: HashMap<String, AccountId>,
    counts: SyncCounts,
}

impl SyncComparison<'_> {
    async fn run(&mut self) -> Result<(), SyncFault> {
        if self.open.is_empty() {
            // With nothing to compare, the directory must still answer to count as working.
            self.directory.read_sample(1, self.ctx.now()).await?;
        } else if self.open.len() <= MAX_BY_ID {
            let ids: Vec<String> = self.open.keys().cloned().collect();
            for ids in ids.chunks(IDS_PER_SEARCH) {
                let people = self.directory.find_all_by_id(ids, self.ctx.now()).await?;
                self.compare(people).await?;
            }
        } else {
            let (directory, now) = (self.directory, self.ctx.now());
            let mut pages = directory.read_people(now).await?;
            while let Some(people) = pages.next_page().await? {
                self.compare(people).await?;
            }
        }
        // Accounts that a complete search did not find no longer exist there.
        let missing = std::mem::take(&mut self.open).into_values().collect();
        self.counts.ended += self.ctx.end_directory_sessions(missing).await?;
        Ok(())
    }

    /// Compares the people of one answer with their accounts.
    async fn compare(&mut self, people: Vec<DirectoryPerson>) -> Result<(), SyncFault> {
        let known: Vec<(AccountId, DirectoryPerson)> = people
            .into_iter()
            .filter_map(|person| Some((self.open.remove(&person.external_id)?, person)))
            .collect();
        let (directory, source) = (self.directory, &self.live.source);
        let mut with_groups = stream::iter(known)
            .map(move |(account, person)| async move {
                let groups = match person.refusal {
                    Some(_) => Ok(Vec::new()),
                    None => directory.list_groups(&person).await,
                };
                (account, person, groups)
            })
            .buffer_unordered(AT_ONCE);
        let (mut refused, mut admitted) = (Vec::new(), HashMap::new());
        let mut fault = None;
        while let Some((account, person, groups)) = with_groups.next().await {
            let groups = match groups {
                Ok(groups) => groups,
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            };
            let identified = identify(source, &person, groups);
            if person.refusal.is_some() || !identified.rights.allowed {
                refused.push(account);
            } else {
                admitted.insert(account, identified);
            }
        }
        // What was learned before a fault counts.
        self.counts.ended += self.ctx.end_directory_sessions(refused).await?;
        self.counts.changed += self.ctx.follow_directory(admitted).await?;
        match fault {
            Some(fault) => Err(fault.into()),
            None => Ok(()),
        }
    }
}
