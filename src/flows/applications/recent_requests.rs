//! The latest requests of proxies, for the console: per application, and those that match none.
//! They are kept in memory (`live::forwarded`) and written in batches.

use super::super::{Ctx, FlowError};
use crate::{
    domain::{
        application::Applications,
        forwarded::{LastProxyRequest, RequestSubject},
    },
    store::forwarded,
};
use std::{collections::HashMap, net::IpAddr};

/// The latest requests about one application.
#[derive(Debug, Clone, Default)]
pub struct ApplicationRequests {
    /// The last request that was answered.
    pub answered: Option<LastProxyRequest>,
    /// The last request that could not be read.
    pub unreadable: Option<LastProxyRequest>,
}

/// Requests that no application's page can show, latest first.
#[derive(Debug, Clone, Default)]
pub struct UnmatchedRequests {
    /// Requested hosts that no application has.
    pub unknown: Vec<(String, LastProxyRequest)>,
    /// IP addresses that sent requests and are not trusted.
    pub untrusted: Vec<(IpAddr, LastProxyRequest)>,
    /// IP addresses whose requests could not be read.
    pub stray: Vec<(IpAddr, LastProxyRequest)>,
}

/// All requests, sorted by subject.
#[derive(Debug, Clone, Default)]
pub(in crate::flows) struct SortedRequests {
    /// The latest requests of each application, by name.
    pub by_application: HashMap<String, ApplicationRequests>,
    /// Requests that belong to no application.
    pub strangers: UnmatchedRequests,
}

/// Writes requests that are only in this instance's memory. Called by the flush job and before
/// reading.
pub async fn flush(ctx: &Ctx) -> Result<(), FlowError> {
    let notes = ctx.live.forwarded.take_unwritten();
    if notes.is_empty() {
        return Ok(());
    }
    let (rows, now) = (notes.clone(), ctx.now());
    let written = ctx
        .store
        .write(move |connection| {
            rows.iter()
                .try_for_each(|(subject, asked)| forwarded::record(connection, subject, asked))?;
            forwarded::forget_old(connection, now)
        })
        .await;
    if written.is_err() {
        ctx.live.forwarded.put_back(notes);
    }
    Ok(written?)
}

/// Returns the requests that match no application.
pub async fn strangers(ctx: &Ctx) -> Result<UnmatchedRequests, FlowError> {
    Ok(ctx.forwarded_notes().await?.strangers)
}

impl Ctx {
    /// Returns the stored requests, with those that this instance has not written yet.
    pub(in crate::flows) async fn forwarded_notes(&self) -> Result<SortedRequests, FlowError> {
        flush(self).await?;
        let rows = self.store.read(forwarded::list).await?;
        Ok(self.sorted(rows, &self.live.applications()))
    }

    /// Leaves out problems that have been solved: hosts that an application has now, addresses that
    /// are trusted now.
    fn sorted(&self, rows: Vec<(RequestSubject, LastProxyRequest)>, applications: &Applications) -> SortedRequests {
        let trusted = |peer: &IpAddr| {
            self.config
                .trusted_proxies
                .iter()
                .any(|network| network.contains(*peer))
        };
        let mut notes = SortedRequests::default();
        for (subject, asked) in rows {
            match subject {
                RequestSubject::Answered(name) => notes.by_application.entry(name).or_default().answered = Some(asked),
                RequestSubject::Unreadable(name) => {
                    notes.by_application.entry(name).or_default().unreadable = Some(asked)
                }
                RequestSubject::Stray(peer) => notes.strangers.stray.push((peer, asked)),
                RequestSubject::Unknown(host) if applications.at_host(&host).is_none() => {
                    notes.strangers.unknown.push((host, asked));
                }
                RequestSubject::Untrusted(peer) if !trusted(&peer) => notes.strangers.untrusted.push((peer, asked)),
                RequestSubject::Unknown(_) | RequestSubject::Untrusted(_) => {}
            }
        }
        notes
    }
}
