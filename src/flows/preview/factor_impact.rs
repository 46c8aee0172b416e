//! The accounts that would have to enrol a second factor under a draft, and those that could not
//! get in. They are read page by page, signed in or not. `domain::simulate` judges them.

use crate::{
    domain::{
        account::{Account, AccountFilter, AccountId, AccountListState},
        application::Applications,
        factor::EnrolledFactors,
        policy::{Key, Scope, catalogue::Group, diff::diff, effective::FactorPolicy},
        simulate::factors::{FactorAccount, FactorImpact},
    },
    flows::{Ctx, FlowError},
    live::policy::PolicyInForce,
    store::{accounts, enrolment_links},
};
use std::{collections::HashSet, sync::Arc};

/// Number of accounts that one task reads and judges.
const PAGE: i64 = 1_000;

/// The two policies, and the applications with their own requirement.
struct Comparison {
    today: Arc<PolicyInForce>,
    draft: Arc<PolicyInForce>,
    applications: Arc<Applications>,
    strict: HashSet<String>,
    /// Whether browsers support passkeys for this server.
    passkeys_exist: bool,
}

/// Returns the impact of a draft on usable accounts; `None`: it changes nothing about second
/// factors. `viewer`: the account of the user who views it.
pub(super) async fn factor_impact(
    ctx: &Ctx,
    today: Arc<PolicyInForce>,
    draft: Arc<PolicyInForce>,
    viewer: Option<AccountId>,
) -> Result<Option<FactorImpact>, FlowError> {
    let changes = diff(today.policy.document(), draft.policy.document());
    if !changes
        .iter()
        .any(|change| change.key.setting().group == Group::SecondFactors)
    {
        return Ok(None);
    }
    let comparison = Arc::new(Comparison {
        strict: applications_with_requirement(&today)
            .chain(applications_with_requirement(&draft))
            .collect(),
        applications: ctx.current_applications().await?,
        passkeys_exist: ctx.config.passkey_domain().is_some(),
        today,
        draft,
    });
    let mut impact = FactorImpact::new(ctx.now(), viewer);
    let mut after = None;
    loop {
        let (fed, next) = feed(ctx, comparison.clone(), impact, after).await?;
        impact = fed;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(Some(impact)),
        }
    }
}

fn applications_with_requirement(policy: &PolicyInForce) -> impl Iterator<Item = String> {
    let scopes = policy.policy.document().scopes();
    scopes.filter_map(|(scope, set)| match scope {
        Scope::Application(name) if set.contains_key(&Key::FactorRequired) => Some(name),
        Scope::Application(_) | Scope::Everyone | Scope::Administrators => None,
    })
}

async fn feed(
    ctx: &Ctx,
    comparison: Arc<Comparison>,
    mut impact: FactorImpact,
    after: Option<String>,
) -> Result<(FactorImpact, Option<String>), FlowError> {
    ctx.read(move |r| {
        let filter = AccountFilter {
            state: Some(AccountListState::Active),
            after,
            limit: PAGE,
            ..AccountFilter::default()
        };
        let page = accounts::list(r.connection, &filter)?;
        let ids: Vec<AccountId> = page.items.iter().map(|account| account.id).collect();
        let linked = enrolment_links::accounts_with_link(r.connection, &ids, r.now)?;
        let linked: HashSet<AccountId> = linked.into_iter().collect();
        for account in &page.items {
            comparison.judge(account, linked.contains(&account.id), &mut impact);
        }
        let next = page.items.last().map(|account| account.name_key.clone());
        Ok((impact, next.filter(|_| page.older)))
    })
    .await
}

impl Comparison {
    fn judge(&self, account: &Account, has_link: bool, impact: &mut FactorImpact) {
        let applications = self.applications.all().iter();
        let enters: Vec<String> = applications
            .filter(|application| self.strict.contains(&application.name))
            .filter(|application| application.admits(account.role, &account.groups))
            .map(|application| application.name.clone())
            .collect();
        let rules = |policy: &PolicyInForce| {
            let factors = policy.effective(account.role, &enters, None).factors;
            // Where none can exist, an enrolled one is of no use either.
            FactorPolicy {
                passkeys: factors.passkeys && self.passkeys_exist,
                ..factors
            }
        };
        let standing = FactorAccount {
            id: account.id,
            name: &account.name,
            role: account.role,
            factors: EnrolledFactors {
                passkeys: if self.passkeys_exist {
                    account.factors.passkeys
                } else {
                    0
                },
                ..account.factors
            },
            grace_from: account.factor_required_at,
            has_link,
        };
        impact.add(&standing, &rules(&self.today), &rules(&self.draft));
    }
}
