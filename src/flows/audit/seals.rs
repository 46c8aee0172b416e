//! Sealing what the audit says, and finding out whether it still says it. The seals themselves are `domain::audit::seal`'s.

use crate::{
    domain::{
        audit::seal::{Broken, Seal, made_at},
        time::{Span, Timestamp},
    },
    flows::{Ctx, FlowError},
    store::{StoreError, audit::seals},
};
use uuid::Uuid;

/// Entries of one seal at most, and how many seals one run makes: its cost is bounded.
const ENTRIES: i64 = 1_000;
const SEALS: usize = 20;
/// An entry younger than this may still be on its way into the database, in a transaction that began before.
const SETTLED: Span = Span::from_secs(60);

/// Seals what is old enough; how many entries.
pub async fn seal_due(ctx: &Ctx) -> Result<u64, FlowError> {
    let now = ctx.now();
    let until = last_id_of(now.saturating_sub(SETTLED));
    let mut sealed = 0;
    for _ in 0..SEALS {
        let made = ctx
            .store
            .write(move |c| {
                let newest = seals::newest(c)?;
                let entries = seals::entries(c, newest.as_ref().map(|seal| seal.last), until, ENTRIES)?;
                let seal = Seal::over(newest.as_ref(), &entries, now);
                if let Some(seal) = &seal {
                    seals::insert(c, seal)?;
                }
                Ok::<_, StoreError>(seal)
            })
            .await;
        match made {
            Ok(Some(seal)) => sealed += seal.entries,
            // Another instance is at it.
            Ok(None) | Err(StoreError::Conflict(_)) => break,
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(sealed)
}

/// The last id that can be made of that millisecond.
fn last_id_of(at: Timestamp) -> Uuid {
    let millis = u64::try_from(at.as_micros() / 1000).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0xff; 10]).into_uuid()
}

/// What a look at all seals came to.
#[derive(Debug, Default)]
pub struct Verified {
    /// Seals that were checked.
    pub seals: u64,
    /// Entries under them.
    pub entries: u64,
    /// Newer entries, not sealed yet.
    pub unsealed: i64,
    /// From the first to the last entry under a seal.
    pub covered: Option<(Timestamp, Timestamp)>,
    /// The newest seal's digest: noted elsewhere, it holds the whole chain.
    pub digest: Option<String>,
    /// Whether the digest that was asked for is one of the chain's.
    pub known: bool,
    /// What is wrong, oldest first.
    pub faults: Vec<Fault>,
}

/// Something that is not as it was sealed.
#[derive(Debug)]
pub enum Fault {
    /// A seal and what is wrong with it.
    Seal(Seal, Broken),
    /// So many entries stand before the first seal.
    Before(i64),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Seal(seal, Broken::Chain) => {
                write!(
                    f,
                    "seal {} does not follow the one before it: a seal was changed or taken out",
                    seal.number
                )
            }
            Self::Seal(seal, Broken::Entries { found }) => {
                let (from, until) = (made_at(seal.first).to_rfc3339(), made_at(seal.last).to_rfc3339());
                write!(f, "seal {}, from {from} to {until}: ", seal.number)?;
                match (*found, seal.entries) {
                    (found, sealed) if found < sealed => write!(f, "{} of {sealed} entries are gone", sealed - found),
                    (found, sealed) if found > sealed => write!(f, "{} entries were put in later", found - sealed),
                    _ => f.write_str("entries were changed"),
                }
            }
            Self::Before(entries) => write!(f, "{entries} entries stand before the first seal"),
        }
    }
}

/// Compares every sealed entry with its seal. `noted`: a digest that the chain must have.
pub async fn verify(ctx: &Ctx, noted: Option<&str>) -> Result<Verified, FlowError> {
    let mut verified = Verified::default();
    let mut before: Option<Seal> = None;
    loop {
        let after = before.as_ref().map_or(0, |seal| seal.number);
        let page = ctx.store.read(move |c| seals::list(c, after, ENTRIES)).await?;
        if page.is_empty() {
            break;
        }
        for seal in page {
            verified.take(ctx, before.as_ref(), &seal).await?;
            verified.known |= noted.is_some_and(|noted| noted.eq_ignore_ascii_case(&seal.digest));
            before = Some(seal);
        }
    }
    let last = before.as_ref().map(|seal| seal.last);
    verified.unsealed = ctx.store.read(move |c| seals::count_after(c, last)).await?;
    verified.digest = before.map(|seal| seal.digest);
    Ok(verified)
}

impl Verified {
    async fn take(&mut self, ctx: &Ctx, before: Option<&Seal>, seal: &Seal) -> Result<(), FlowError> {
        let (after, last) = (before.map(|seal| seal.last), seal.last);
        if before.is_none() {
            let first = seal.first;
            let strays = ctx.store.read(move |c| seals::count_before(c, first)).await?;
            self.faults.extend((strays > 0).then_some(Fault::Before(strays)));
        }
        // As many more as a seal can have, so that what was put in shows.
        let limit = i64::try_from(seal.entries).unwrap_or(i64::MAX).saturating_add(ENTRIES);
        let entries = ctx.store.read(move |c| seals::entries(c, after, last, limit)).await?;
        let broken = seal.check(before, &entries);
        self.faults
            .extend(broken.map(|broken| Fault::Seal(seal.clone(), broken)));
        self.seals += 1;
        self.entries += seal.entries;
        let from = self.covered.map_or_else(|| made_at(seal.first), |(from, _)| from);
        self.covered = Some((from, made_at(seal.last)));
        Ok(())
    }
}
