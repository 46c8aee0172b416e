//! What proxies asked of late, for people: about each application, and about nothing that is known. Noted in memory at every question
//! (`live::forwarded`), written in batches.

use super::super::{Ctx, FlowError};
use crate::{
    domain::{
        application::Applications,
        forwarded::{Asked, Subject},
    },
    store::forwarded,
};
use std::{collections::HashMap, net::IpAddr};

/// What was asked about one application.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The last question that was answered.
    pub answered: Option<Asked>,
    /// The last one that could not be read.
    pub unreadable: Option<Asked>,
}

/// Questions that no application's page can show, latest first.
#[derive(Debug, Clone, Default)]
pub struct Strangers {
    /// Hosts that were asked for and that no application has.
    pub unknown: Vec<(String, Asked)>,
    /// Addresses that asked and are not trusted.
    pub untrusted: Vec<(IpAddr, Asked)>,
    /// Addresses whose questions could not be read.
    pub stray: Vec<(IpAddr, Asked)>,
}

/// Everything noted, sorted by whom it concerns.
#[derive(Debug, Clone, Default)]
pub(in crate::flows) struct Notes {
    pub by_application: HashMap<String, Seen>,
    pub strangers: Strangers,
}

/// Writes what is noted only here yet; the flush job calls it, and whoever looks.
pub async fn flush(ctx: &Ctx) -> Result<(), FlowError> {
    let notes = ctx.live.forwarded.take_unwritten();
    if notes.is_empty() {
        return Ok(());
    }
    let (rows, now) = (notes.clone(), ctx.now());
    let written = ctx
        .store
        .write(move |c| {
            rows.iter()
                .try_for_each(|(subject, asked)| forwarded::note(c, subject, asked))?;
            forwarded::forget_old(c, now)
        })
        .await;
    if written.is_err() {
        ctx.live.forwarded.put_back(notes);
    }
    Ok(written?)
}

/// Questions about nothing that is known.
pub async fn strangers(ctx: &Ctx) -> Result<Strangers, FlowError> {
    Ok(ctx.forwarded_notes().await?.strangers)
}

impl Ctx {
    /// What stands in the database, with what this instance has not written yet.
    pub(in crate::flows) async fn forwarded_notes(&self) -> Result<Notes, FlowError> {
        flush(self).await?;
        let rows = self.store.read(forwarded::list).await?;
        Ok(self.sorted(rows, &self.live.applications()))
    }

    /// What was put right since is left out: hosts that an application has now, addresses that are trusted now.
    fn sorted(&self, rows: Vec<(Subject, Asked)>, applications: &Applications) -> Notes {
        let trusted = |peer: &IpAddr| {
            self.config
                .trusted_proxies
                .iter()
                .any(|network| network.contains(*peer))
        };
        let mut notes = Notes::default();
        for (subject, asked) in rows {
            match subject {
                Subject::Answered(name) => notes.by_application.entry(name).or_default().answered = Some(asked),
                Subject::Unreadable(name) => notes.by_application.entry(name).or_default().unreadable = Some(asked),
                Subject::Stray(peer) => notes.strangers.stray.push((peer, asked)),
                Subject::Unknown(host) if applications.at_host(&host).is_none() => {
                    notes.strangers.unknown.push((host, asked));
                }
                Subject::Untrusted(peer) if !trusted(&peer) => notes.strangers.untrusted.push((peer, asked)),
                Subject::Unknown(_) | Subject::Untrusted(_) => {}
            }
        }
        notes
    }
}
