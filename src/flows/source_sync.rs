//! Comparing the accounts of directories that have live sessions with their entries: sessions of
//! people who are gone, disabled, expired, locked or without an allowed group end; names,
//! addresses, roles and groups follow. No write is open while a directory is asked.

use super::{Ctx, FlowError, PURGED, Write, directories::identify, external_accounts::IdentifiedPerson};
use crate::{
    domain::{
        account::{Account, AccountId},
        session::EndReason,
        source::{OnOutage, SourceId, SourceKind},
        time::Span,
    },
    identity::ldap::{Directory, DirectoryError, DirectoryPerson},
    live::sources::LiveSource,
    store::{accounts, directory_binds, sessions, sources as source_rows},
};
use futures_util::{StreamExt, stream};
use std::collections::HashMap;

/// Up to this number of accounts they are searched by their IDs; more are found by reading the
/// whole directory page by page.
const MOST_BY_ID: usize = 1_000;
/// Number of IDs in one search.
const IDS_PER_SEARCH: usize = 50;
/// Number of accounts that one read of the database takes.
const ACCOUNTS_PER_READ: i64 = 500;
/// Number of people whose groups are searched at the same time.
const AT_ONCE: usize = 4;
/// How long counted binds are kept after the last one; longer than any window.
const BINDS_KEPT: Span = Span::from_secs(2 * 86_400);

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
    /// The source is no directory; there is nothing to compare.
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
    let before = ctx.now().saturating_sub(BINDS_KEPT);
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
            let batch = self.read(move |r| {
                let accounts = accounts::list_of_source(r.connection, source, after, ACCOUNTS_PER_READ)?;
                let ids: Vec<AccountId> = accounts.iter().map(|account| account.id).collect();
                let live = sessions::list_live_of_accounts(r.connection, &ids)?;
                let with_sessions: Vec<(String, AccountId)> = accounts
                    .into_iter()
                    .filter(|account| live.iter().any(|session| session.account_id == account.id))
                    .map(|account| (account.external_id.unwrap_or_default(), account.id))
                    .collect();
                Ok((ids.last().copied(), with_sessions))
            });
            let (last, with_sessions) = batch.await?;
            open.extend(with_sessions);
            if last.is_none() {
                return Ok(open);
            }
            after = last;
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
        let mut ended = 0;
        for account in self.accounts_with_sessions(id).await?.into_values() {
            ended += self.end_directory_sessions(account).await?;
        }
        Ok(ended)
    }

    async fn end_directory_sessions(&self, account: AccountId) -> Result<usize, FlowError> {
        self.write_as_system(move |w| {
            sessions::lock_account_sessions(w.connection, account)?;
            match accounts::find(w.connection, account)? {
                Some(account) => Ok(w.end_account_sessions(&account, EndReason::Directory)?),
                None => Ok(0),
            }
        })
        .await
    }

    /// Brings an account up to date with an entry. Returns whether something changed.
    async fn follow_directory(&self, account: AccountId, person: IdentifiedPerson) -> Result<bool, FlowError> {
        let known: Option<Account> = self.read(move |r| Ok(accounts::find(r.connection, account)?)).await?;
        let Some(known) = known else { return Ok(false) };
        if person.describe(&known) == known {
            return Ok(false);
        }
        let concerns_administrators = person.concerns_administrators(Some(&known));
        self.write_as_system(move |w| {
            if concerns_administrators {
                accounts::lock_administrators(w.connection)?;
            }
            let Some(current) = accounts::find(w.connection, account)? else {
                return Ok(false);
            };
            let before = current.clone();
            Ok(w.follow_source(current, &person)? != before)
        })
        .await
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
        } else if self.open.len() <= MOST_BY_ID {
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
        // Who was not found in a complete search is gone.
        for account in std::mem::take(&mut self.open).into_values() {
            self.counts.ended += self.ctx.end_directory_sessions(account).await?;
        }
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
        while let Some((account, person, groups)) = with_groups.next().await {
            let identified = identify(source, &person, groups?);
            if person.refusal.is_some() || !identified.rights.allowed {
                self.counts.ended += self.ctx.end_directory_sessions(account).await?;
            } else if self.ctx.follow_directory(account, identified).await? {
                self.counts.changed += 1;
            }
        }
        Ok(())
    }
}
