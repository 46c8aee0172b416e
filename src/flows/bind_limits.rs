//! The limit of passwords that a directory is asked about for one person (`bind_limit`): reserving
//! a try, counting it, showing, listing and releasing the counts.

use super::{Ctx, FlowError, Read, Write};
use crate::{
    domain::{
        account::Account,
        audit::Event,
        secret::digest,
        source::{IdentitySource, LdapSettings, SourceId, SourceName},
        time::Timestamp,
    },
    store::{
        StoreError, accounts,
        directory_binds::{self, BindReservation},
        sources as source_rows,
    },
};
use serde_json::json;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Maximum time for which a sign-in waits for the answers to parallel ones of the same person.
const MAX_WAIT: Duration = Duration::from_secs(2);
/// How often it looks whether they were answered.
const WAIT_STEP: Duration = Duration::from_millis(100);

/// Wrong passwords of an account that its directory refused and that count now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindCount {
    /// Their number.
    pub refused: usize,
    /// The number at which the directory is no longer asked.
    pub limit: u32,
    /// When the first of them stops to count.
    pub until: Timestamp,
}

impl BindCount {
    /// Counts refused tries; `None`: there are none.
    fn new(refused: &[Timestamp], settings: &LdapSettings) -> Option<Self> {
        let first = refused.iter().min()?;
        Some(Self {
            refused: refused.len(),
            limit: settings.bind_limit,
            until: first.saturating_add(settings.bind_window),
        })
    }

    /// Returns whether the directory is not asked about the account now.
    pub fn is_full(&self) -> bool {
        u32::try_from(self.refused).is_ok_and(|refused| refused >= self.limit)
    }
}

/// Most people among whom those are found whom a directory is not asked about; latest try first.
const MAX_LISTED: i64 = 5_000;

/// A person about whom a directory is not asked now, because it refused too many passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedUpBinds {
    /// Tells it apart in lists: the first half of the digest of the person's identity.
    pub id: Uuid,
    /// The name of the source.
    pub source: SourceName,
    /// The identity there.
    pub external_id: String,
    /// The account; `None`: the person never signed in here.
    pub account: Option<Account>,
    /// The count.
    pub count: BindCount,
    /// The latest try.
    pub last_at: Timestamp,
}

impl UsedUpBinds {
    /// Returns what a list calls the person: the account's name, or else the identity there.
    pub fn person(&self) -> &str {
        self.account.as_ref().map_or(&self.external_id, |account| &account.name)
    }
}

/// Lists the people about whom a directory is not asked now, latest try first. `text`: only those
/// whose name in the list contains it.
pub async fn list_used_up(ctx: &Ctx, text: Option<String>) -> Result<Vec<UsedUpBinds>, FlowError> {
    ctx.current_sources().await?;
    let mut all = ctx.read(|r| Ok(r.used_up_binds(|_| true)?)).await?;
    if let Some(text) = text.map(|text| text.to_lowercase()) {
        all.retain(|binds| binds.person().to_lowercase().contains(&text));
    }
    Ok(all)
}

/// Returns the count of an account; `None`: nothing counts.
pub async fn find_bind_count(ctx: &Ctx, account: Account) -> Result<Option<BindCount>, FlowError> {
    ctx.read(move |r| Ok(r.bind_count(&account)?)).await
}

impl Ctx {
    /// Reserves one try of a password and returns when; `None`: the limit of the person is reached.
    /// All instances count together. Tries whose answers are still to come are waited for, because
    /// one of them may be right. `FlowError::SourceDown`: they take too long.
    pub(super) async fn reserve_bind(
        &self,
        source: &IdentitySource,
        settings: &LdapSettings,
        external_id: &str,
    ) -> Result<Option<Timestamp>, FlowError> {
        let (window, limit) = (settings.bind_window, settings.bind_limit);
        let began = Instant::now();
        loop {
            let subject = bind_subject(source.id, external_id);
            let reserve = move |w: &mut Write<'_>| {
                let reservation = directory_binds::reserve(w.connection, &subject, w.now, window, limit)?;
                Ok((reservation, w.now))
            };
            match self.write_as_system(reserve).await? {
                (BindReservation::Granted, at) => return Ok(Some(at)),
                (BindReservation::Limited, _) => return Ok(None),
                (BindReservation::Waiting, _) if began.elapsed() < MAX_WAIT => {
                    tokio::time::sleep(WAIT_STEP).await;
                }
                (BindReservation::Waiting, _) => {
                    return Err(FlowError::SourceDown(source.name.as_str().to_owned()));
                }
            }
        }
    }

    /// Counts a password that the directory refused.
    pub(super) async fn count_refused_bind(
        &self,
        source: SourceId,
        external_id: &str,
        reserved: Timestamp,
    ) -> Result<(), FlowError> {
        let subject = bind_subject(source, external_id);
        self.write_as_system(move |w| {
            Ok(directory_binds::settle_refused(
                w.connection,
                &subject,
                reserved,
                w.now,
            )?)
        })
        .await
    }

    /// Forgets the counted binds of a person after the right password, and the directory's fault.
    pub(super) async fn forget_binds(&self, source: SourceId, external_id: &str) -> Result<(), FlowError> {
        let subject = bind_subject(source, external_id);
        self.live.directories.note_success(source);
        self.write_as_system(move |w| {
            directory_binds::clear(w.connection, &subject)?;
            Ok(source_rows::clear_fault(w.connection, source)?)
        })
        .await
    }
}

impl Read<'_> {
    /// Returns the people about whom a directory is not asked now, of those whose ID is wanted.
    fn used_up_binds(&mut self, is_wanted: impl Fn(Uuid) -> bool) -> Result<Vec<UsedUpBinds>, StoreError> {
        let (known, now) = (self.ctx.live.sources(), self.now);
        let windows = known
            .all()
            .filter_map(|live| live.source.ldap())
            .map(|settings| settings.bind_window);
        let Some(longest) = windows.max() else {
            return Ok(Vec::new());
        };
        let since = now.saturating_sub(longest);
        let mut full = Vec::new();
        for binds in directory_binds::list_recent(self.connection, since, MAX_LISTED)? {
            let (subject, last_at) = (binds.subject.clone(), binds.last_at);
            let id = list_id(&subject);
            let Some((source, external_id)) = parse_subject(&subject).filter(|_| is_wanted(id)) else {
                continue;
            };
            let live = known.by_id(source).map(|live| &live.source);
            let Some((source, settings)) = live.and_then(|source| Some((source, source.ldap()?))) else {
                continue;
            };
            let Some(count) = BindCount::new(&binds.refused(now, settings.bind_window), settings) else {
                continue;
            };
            if count.is_full() {
                full.push(UsedUpBinds {
                    id,
                    account: accounts::find_by_external_id(self.connection, source.id, external_id)?,
                    source: source.name.clone(),
                    external_id: external_id.to_owned(),
                    count,
                    last_at,
                });
            }
        }
        Ok(full)
    }

    /// Returns the count of an account; `None`: nothing counts.
    pub(super) fn bind_count(&mut self, account: &Account) -> Result<Option<BindCount>, StoreError> {
        let (Some(source), Some(external_id)) = (account.source, &account.external_id) else {
            return Ok(None);
        };
        let known = self.ctx.live.sources();
        let Some(settings) = known.by_id(source).and_then(|live| live.source.ldap()) else {
            return Ok(None);
        };
        let (subject, window) = (bind_subject(source, external_id), settings.bind_window);
        let refused = directory_binds::list_refused(self.connection, &subject, self.now, window)?;
        Ok(BindCount::new(&refused, settings))
    }
}

impl Write<'_> {
    /// Forgets the counted binds of listed people; returns how many of those IDs are listed.
    pub(super) fn release_used_up(&mut self, ids: &[Uuid]) -> Result<usize, StoreError> {
        if ids.is_empty() {
            return Ok(0);
        }
        let mut released = 0;
        for binds in self.as_read().used_up_binds(|id| ids.contains(&id))? {
            let known = self.ctx.live.sources();
            let Some(live) = known.by_name(binds.source.as_str()) else {
                continue;
            };
            directory_binds::clear(self.connection, &bind_subject(live.source.id, &binds.external_id))?;
            let entry = self.entry(Event::LockoutReleased);
            let entry = match &binds.account {
                Some(account) => entry.with_account(account.id, &account.name),
                None => entry,
            };
            self.record(&entry.with_detail(json!({
                "binds": binds.count.refused, "source": binds.source.as_str(), "person": binds.external_id,
            })))?;
            released += 1;
        }
        Ok(released)
    }

    /// Forgets the counted binds of an account; returns how many there were.
    pub(super) fn release_binds(&mut self, account: &Account) -> Result<usize, StoreError> {
        let (Some(source), Some(external_id)) = (account.source, &account.external_id) else {
            return Ok(0);
        };
        let counted = self.as_read().bind_count(account)?;
        directory_binds::clear(self.connection, &bind_subject(source, external_id))?;
        Ok(counted.map_or(0, |counted| counted.refused))
    }
}

fn bind_subject(source: SourceId, external_id: &str) -> String {
    format!("{} {external_id}", source.0)
}

fn parse_subject(subject: &str) -> Option<(SourceId, &str)> {
    let (source, external_id) = subject.split_once(' ')?;
    Some((SourceId(Uuid::parse_str(source).ok()?), external_id))
}

fn list_id(subject: &str) -> Uuid {
    let digest = digest(subject);
    digest
        .get(..32)
        .and_then(|half| Uuid::parse_str(half).ok())
        .unwrap_or_default()
}
