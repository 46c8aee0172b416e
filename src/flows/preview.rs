//! What would a policy do to the sessions that are live now? They are walked page by page, each page read and judged in one
//! hop off the reactor, so that no transaction and no thread is held long. What it means stands in `domain::simulate`.

use super::{Ctx, FlowError};
use crate::{
    domain::{
        policy::{PolicyDocument, effective::Policy},
        session::{EndReason, LifeFacts, SessionId},
        simulate::preview::{Affected, Listing, Preview, Standing, Viewer, unforeseen},
        time::Timestamp,
    },
    live::policy::InForce,
    store::{
        StoreError,
        sessions::{self, LiveRow},
    },
};
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Sessions that one hop reads and judges: some hundredths of a second.
const PAGE: i64 = 4_000;

/// The effect of a draft, and what of it no preview can know.
#[derive(Debug)]
pub struct Effect {
    pub preview: Preview,
    pub unforeseen: Vec<&'static str>,
}

/// The draft beside the policy of today, and what only this instance knows of the sessions.
struct Stage {
    now: Timestamp,
    today: InForce,
    draft: InForce,
    activity: HashMap<SessionId, (Timestamp, Timestamp)>,
    addresses: HashMap<SessionId, IpAddr>,
    ended: HashMap<SessionId, EndReason>,
}

/// Runs the judgement with `draft` over all live sessions.
pub async fn effect(ctx: &Ctx, draft: PolicyDocument, viewer: Viewer, listing: Listing) -> Result<Effect, FlowError> {
    let stage = Arc::new(Stage::set(ctx, draft).await?);
    let mut preview = Preview::new(stage.now, viewer, listing);
    let mut after = None;
    loop {
        let (fed, next) = feed(ctx, &stage, preview, after).await?;
        preview = fed;
        match next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let unforeseen = unforeseen(stage.today.everyone(), stage.draft.everyone());
    Ok(Effect { preview, unforeseen })
}

/// A walk over all affected sessions that match, of one moment.
pub struct Walk {
    ctx: Ctx,
    stage: Arc<Stage>,
    listing: Listing,
}

/// Begins a walk, for an export.
pub async fn walk(ctx: &Ctx, draft: PolicyDocument, listing: Listing) -> Result<Walk, FlowError> {
    Ok(Walk {
        ctx: ctx.clone(),
        stage: Arc::new(Stage::set(ctx, draft).await?),
        listing,
    })
}

impl Walk {
    /// One page in the order of signing in (it may be empty), and where the next one begins.
    pub async fn page(&self, after: Option<SessionId>) -> Result<(Vec<Affected>, Option<SessionId>), FlowError> {
        let preview = Preview::new(self.stage.now, Viewer::default(), self.listing.clone()).keeping(usize::MAX);
        let (preview, next) = feed(&self.ctx, &self.stage, preview, after).await?;
        let mut affected: Vec<Affected> = preview.into_affected().collect();
        affected.sort_by_key(|affected| affected.id);
        Ok((affected, next))
    }
}

async fn feed(
    ctx: &Ctx,
    stage: &Arc<Stage>,
    mut preview: Preview,
    after: Option<SessionId>,
) -> Result<(Preview, Option<SessionId>), FlowError> {
    let stage = stage.clone();
    Ok(ctx
        .store
        .read(move |c| {
            let rows = sessions::live_page(c, after, PAGE)?;
            for row in &rows {
                stage.judge(row, &mut preview);
            }
            Ok::<_, StoreError>((preview, rows.last().map(|row| row.id)))
        })
        .await?)
}

impl Stage {
    async fn set(ctx: &Ctx, draft: PolicyDocument) -> Result<Self, FlowError> {
        let current = ctx.current_policy().await?;
        let flow = ctx.clone();
        let pins = ctx.store.read(move |c| flow.pins_in_force(c)).await?;
        let now = ctx.now();
        let policy = |document| InForce::new(Policy::new(0, document, pins.clone(), current.policy.dev()), now);
        let sessions = &ctx.live.sessions;
        let activity = sessions.unwritten().into_iter();
        let ended = sessions.unwritten_endings().into_iter();
        Ok(Self {
            now,
            today: policy(current.policy.document().clone()),
            draft: policy(draft),
            activity: activity.map(|(id, active, seen)| (id, (active, seen))).collect(),
            addresses: sessions.moved().into_iter().collect(),
            ended: ended
                .filter_map(|(session, _)| session.ended().map(|reason| (session.id(), reason)))
                .collect(),
        })
    }

    fn judge(&self, row: &LiveRow, preview: &mut Preview) {
        let standing = Standing {
            id: row.id,
            account: row.account_id,
            name: &row.account_name,
            role: row.role,
            state: row.account_state,
            password: row.password,
            ip: self.addresses.get(&row.id).copied().unwrap_or(row.ip),
            ended: self.ended.get(&row.id).copied(),
            life: self.life(row),
            binding: &row.binding,
        };
        let today = self.today.effective(row.role, &row.applications, None);
        let draft = self.draft.effective(row.role, &row.applications, None);
        preview.add(&standing, &today, &draft);
    }

    /// With the activity that this instance has not written yet, as lists show it.
    fn life(&self, row: &LiveRow) -> LifeFacts {
        match self.activity.get(&row.id) {
            Some((active, seen)) => LifeFacts {
                signed_in_at: row.life.signed_in_at,
                last_active_at: row.life.last_active_at.max(*active),
                last_seen_at: row.life.last_seen_at.max(*seen),
            },
            None => row.life,
        }
    }
}
