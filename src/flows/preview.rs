//! The impact of a policy on live sessions. Sessions are read and judged page by page, each page in
//! one blocking task, so that no transaction or thread is held long. `domain::simulate` judges
//! them.

mod factor_impact;

use super::{Ctx, FlowError};
use crate::{
    domain::{
        policy::{
            PolicyDocument,
            effective::{Policy, PolicyEnvironment},
        },
        session::{EndReason, LifeFacts, LiveSessionFacts, SessionId},
        simulate::{
            factors::FactorImpact,
            preview::{AffectedSession, Listing, OpenSession, Preview, Viewer, unforeseen},
        },
        time::Timestamp,
    },
    live::policy::PolicyInForce,
    store::sessions,
};
use std::{collections::HashMap, net::IpAddr, sync::Arc};

/// Number of sessions that one task reads and judges, which takes some hundredths of a second.
const PAGE: i64 = 4_000;

/// The impact of a draft, and what a preview cannot predict.
#[derive(Debug)]
pub struct PolicyImpact {
    /// The impact on live sessions.
    pub preview: Preview,
    /// What no preview of this draft can predict.
    pub unforeseen: Vec<&'static str>,
    /// The impact on accounts; `None`: the draft changes nothing about second factors.
    pub factors: Option<FactorImpact>,
}

/// The draft, the current policy, and facts about the sessions that only this instance has.
struct PreviewFacts {
    now: Timestamp,
    today: Arc<PolicyInForce>,
    draft: Arc<PolicyInForce>,
    activity: HashMap<SessionId, (Timestamp, Timestamp)>,
    addresses: HashMap<SessionId, IpAddr>,
    ended: HashMap<SessionId, EndReason>,
}

/// Judges all live sessions under `draft`.
pub async fn effect(
    ctx: &Ctx,
    draft: PolicyDocument,
    viewer: Viewer,
    listing: Listing,
) -> Result<PolicyImpact, FlowError> {
    let stage = Arc::new(PreviewFacts::set(ctx, draft).await?);
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
    let factors = factor_impact::factor_impact(ctx, stage.today.clone(), stage.draft.clone(), viewer.account).await?;
    Ok(PolicyImpact {
        preview,
        unforeseen,
        factors,
    })
}

/// A walk over all matching affected sessions at one instant.
pub struct ImpactWalk {
    ctx: Ctx,
    stage: Arc<PreviewFacts>,
    listing: Listing,
}

/// Starts a walk for an export.
pub async fn walk(ctx: &Ctx, draft: PolicyDocument, listing: Listing) -> Result<ImpactWalk, FlowError> {
    Ok(ImpactWalk {
        ctx: ctx.clone(),
        stage: Arc::new(PreviewFacts::set(ctx, draft).await?),
        listing,
    })
}

impl ImpactWalk {
    /// Returns one page in the order of sign-ins (it may be empty), and where the next one starts.
    pub async fn page(&self, after: Option<SessionId>) -> Result<(Vec<AffectedSession>, Option<SessionId>), FlowError> {
        let preview = Preview::new(self.stage.now, Viewer::default(), self.listing.clone()).keeping(usize::MAX);
        let (preview, next) = feed(&self.ctx, &self.stage, preview, after).await?;
        let mut affected: Vec<AffectedSession> = preview.into_affected().collect();
        affected.sort_by_key(|affected| affected.id);
        Ok((affected, next))
    }
}

async fn feed(
    ctx: &Ctx,
    stage: &Arc<PreviewFacts>,
    mut preview: Preview,
    after: Option<SessionId>,
) -> Result<(Preview, Option<SessionId>), FlowError> {
    let stage = stage.clone();
    ctx.read(move |r| {
        let rows = sessions::list_live_page(r.connection, after, PAGE)?;
        for row in &rows {
            stage.judge(row, &mut preview);
        }
        Ok((preview, rows.last().map(|row| row.id)))
    })
    .await
}

impl PreviewFacts {
    async fn set(ctx: &Ctx, draft: PolicyDocument) -> Result<Self, FlowError> {
        let current = ctx.current_policy().await?;
        let pins = ctx.read(|r| Ok(r.pins_in_force()?)).await?;
        let now = ctx.now();
        let environment = PolicyEnvironment {
            pins,
            ..current.policy.environment().clone()
        };
        let policy = |document| {
            let policy = Policy::in_environment(0, document, environment.clone());
            Arc::new(PolicyInForce::new(policy, now))
        };
        let sessions = &ctx.live.sessions;
        let activity = sessions.unwritten().into_iter();
        let ended = sessions.held.named_sessions().into_iter();
        Ok(Self {
            now,
            today: policy(current.policy.document().clone()),
            draft: policy(draft),
            activity: activity.map(|(id, active, seen)| (id, (active, seen))).collect(),
            addresses: sessions.unwritten_addresses().into_iter().collect(),
            ended: ended.map(|(id, reason, _)| (id, reason)).collect(),
        })
    }

    fn judge(&self, row: &LiveSessionFacts, preview: &mut Preview) {
        let standing = OpenSession {
            id: row.id,
            account: row.account_id,
            name: &row.account_name,
            role: row.role,
            state: row.account_state,
            password: row.password,
            proofs: row.proofs,
            factors: row.factors,
            grace_from: row.factor_required_at,
            ip: self.addresses.get(&row.id).copied().unwrap_or(row.ip),
            ended: self.ended.get(&row.id).copied(),
            life: self.life(row),
            binding: &row.binding,
            is_device_bound: row.is_device_bound,
        };
        let today = self.today.effective(row.role, &row.applications, None);
        let draft = self.draft.effective(row.role, &row.applications, None);
        preview.add(&standing, &today, &draft);
    }

    /// Adds the activity that this instance has not written yet, as lists show it.
    fn life(&self, row: &LiveSessionFacts) -> LifeFacts {
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
