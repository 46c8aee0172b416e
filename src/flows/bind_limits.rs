//! The limit of passwords that a directory is asked about for one person (`bind_limit`): reserving
//! a try, counting it, showing and releasing the count.

use super::{Ctx, FlowError, Read, Write};
use crate::{
    domain::{
        account::Account,
        source::{IdentitySource, LdapSettings, SourceId},
        time::Timestamp,
    },
    store::{
        StoreError,
        directory_binds::{self, BindReservation},
        sources as source_rows,
    },
};
use std::time::{Duration, Instant};

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
    /// Returns whether the directory is not asked about the account now.
    pub fn is_full(&self) -> bool {
        u32::try_from(self.refused).is_ok_and(|refused| refused >= self.limit)
    }
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
        Ok(refused.iter().min().map(|first| BindCount {
            refused: refused.len(),
            limit: settings.bind_limit,
            until: first.saturating_add(window),
        }))
    }
}

impl Write<'_> {
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
