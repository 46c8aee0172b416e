//! The same action on many accounts: selected ones, or all that match. Accounts for which it is not
//! possible are reported and skipped.

use super::act::{AccountAction, AccountActionOutcome};
use crate::{
    domain::{
        account::{Account, AccountFilter, AccountId},
        session::EndReason,
    },
    flows::{Ctx, FlowError, Initiator, Write, mailed_links::EnrolmentLinkOutcome, patience::with_long_patience},
    live::{
        held_ends::{HeldEnd, HeldScope},
        policy::PolicyInForce,
    },
    store::{accounts, sessions},
};

/// Number of accounts in one write, so that other writes do not wait long.
const BATCH: usize = 200;

/// An action on many accounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BulkAction {
    Disable,
    Enable,
    ForceChange,
    EndSessions,
    ExpireNow,
    Delete,
    AddGroup(String),
    RemoveGroup(String),
    /// Mails a link to enrol a second factor to accounts that have none.
    EnrolmentLink,
}

/// The accounts of the action.
#[derive(Debug, Clone)]
pub enum AccountSelection {
    These(Vec<AccountId>),
    /// All accounts that match, on any page.
    Matching(AccountFilter),
}

/// The reason why an account was skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    LastAdministrator,
    Yourself,
    /// The account's source decides about that.
    Managed,
    /// The name of the group is invalid.
    Faulty,
    /// The account has no email address.
    NoAddress,
    /// The account is disabled or expired.
    Unusable,
    /// The account has a second factor already.
    HasFactor,
}

/// The result for the selected accounts.
#[derive(Debug, Default)]
pub struct BulkOutcome {
    /// The number of changed accounts.
    pub done: usize,
    /// Accounts without a change, or deleted in the meantime.
    pub already: usize,
    /// The accounts that were left out: ID, name and reason.
    pub skipped: Vec<(AccountId, String, SkipReason)>,
    /// The number of sessions that ended.
    pub ended: usize,
}

/// Returns the names of the affected accounts, bounded, and their number. The initiator's own
/// account is left out if the action skips it.
pub async fn find_selected(
    ctx: &Ctx,
    initiator: &Initiator,
    chosen: AccountSelection,
    act: &BulkAction,
    limit: i64,
) -> Result<(Vec<Account>, i64), FlowError> {
    let spared = initiator.account_id().filter(|_| act.skips_own_account());
    let is_meant = spared.is_some() && includes(ctx, &chosen, spared).await?;
    let (mut named, count) = load_selected(ctx, chosen, limit).await?;
    named.retain(|account| Some(account.id) != spared);
    Ok((named, count - i64::from(is_meant)))
}

async fn includes(ctx: &Ctx, chosen: &AccountSelection, id: Option<AccountId>) -> Result<bool, FlowError> {
    Ok(match chosen {
        AccountSelection::These(ids) => ids.iter().any(|chosen| Some(*chosen) == id),
        AccountSelection::Matching(filter) => {
            let filter = filter.clone();
            let ids = ctx
                .read(move |r| Ok(accounts::list_ids(r.connection, &filter)?))
                .await?;
            ids.iter().any(|matching| Some(*matching) == id)
        }
    })
}

async fn load_selected(ctx: &Ctx, chosen: AccountSelection, limit: i64) -> Result<(Vec<Account>, i64), FlowError> {
    ctx.read(move |r| match chosen {
        AccountSelection::These(ids) => {
            let mut found = accounts::find_all(r.connection, &ids)?;
            let total = found.len();
            found.truncate(usize::try_from(limit).unwrap_or(0));
            Ok((found, i64::try_from(total).unwrap_or(i64::MAX)))
        }
        AccountSelection::Matching(filter) => {
            let filter = AccountFilter {
                after: None,
                before: None,
                limit,
                ..filter
            };
            let found = accounts::list(r.connection, &filter)?.items;
            Ok((found, accounts::count(r.connection, &filter)?))
        }
    })
    .await
}

/// Performs the action on each selected account, two hundred in one write.
pub async fn act_on_all(
    ctx: &Ctx,
    initiator: &Initiator,
    selection: AccountSelection,
    act: BulkAction,
) -> Result<BulkOutcome, FlowError> {
    act_on_all_observed(ctx, initiator, selection, act, &|_, _| {}).await
}

/// Like [`act_on_all`]. `note_progress` receives how many accounts are done, and of how many.
pub async fn act_on_all_observed(
    ctx: &Ctx,
    initiator: &Initiator,
    selection: AccountSelection,
    act: BulkAction,
    note_progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<BulkOutcome, FlowError> {
    let ends = if act == BulkAction::EndSessions {
        ends_of(ctx, initiator, &selection)
    } else {
        Vec::new()
    };
    let act_on_all = async move |ctx: Ctx| act_in_batches(&ctx, initiator, selection, act, note_progress).await;
    let done = ctx.perform_form(act_on_all).await;
    // Ending sessions is not delayed; what was done before is not repeated.
    ctx.hold_on_failure(done, || ends)
}

/// Holds the end of the sessions of these accounts, because the database does not answer. Returns
/// [`FlowError::EndHeld`], or why it is not held.
pub fn hold_ends_of(ctx: &Ctx, initiator: &Initiator, selection: &AccountSelection) -> FlowError {
    let words = "the selected accounts could not be counted";
    ctx.hold_all(ends_of(ctx, initiator, selection), words.to_owned())
}

/// Returns the ends of the sessions of these accounts, without the initiator's.
fn ends_of(ctx: &Ctx, initiator: &Initiator, selection: &AccountSelection) -> Vec<HeldEnd> {
    let own = initiator.account_id();
    let scopes: Vec<HeldScope> = match selection {
        AccountSelection::These(ids) => {
            let others = ids.iter().filter(|id| own != Some(**id));
            others.map(|id| HeldScope::Account(*id)).collect()
        }
        AccountSelection::Matching(filter) => vec![HeldScope::MatchingAccounts(Box::new(filter.clone()))],
    };
    let end = |scope| ctx.new_end(initiator, scope, EndReason::Revoked);
    scopes.into_iter().map(end).collect()
}

async fn act_in_batches(
    ctx: &Ctx,
    initiator: &Initiator,
    selection: AccountSelection,
    act: BulkAction,
    note_progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<BulkOutcome, FlowError> {
    let ids: Vec<AccountId> = match selection {
        AccountSelection::These(ids) => ids,
        AccountSelection::Matching(filter) => {
            ctx.read(move |r| Ok(accounts::list_ids(r.connection, &filter)?))
                .await?
        }
    };
    let in_force = ctx.current_policy().await?;
    let mut sum = BulkOutcome::default();
    let total = ids.len();
    for (number, ids) in ids.chunks(BATCH).enumerate() {
        note_progress(number * BATCH, total);
        let (act, ids) = (act.clone(), ids.to_vec());
        let in_force = in_force.clone();
        let act = ctx.write(initiator, move |w| w.act_on_accounts(&in_force, &ids, &act));
        let done = with_long_patience(act).await?;
        sum.done += done.done;
        sum.already += done.already;
        sum.skipped.extend(done.skipped);
        sum.ended += done.ended;
    }
    Ok(sum)
}

impl BulkOutcome {
    fn skip(&mut self, account: Account, reason: SkipReason) {
        self.skipped.push((account.id, account.name, reason));
    }
}

impl BulkAction {
    /// Returns whether the initiator's own account is skipped, because the action would take away
    /// console access or end the session, or because administrators cannot make enrolment links for
    /// themselves.
    fn skips_own_account(&self) -> bool {
        match self {
            Self::Disable
            | Self::ForceChange
            | Self::EndSessions
            | Self::ExpireNow
            | Self::Delete
            | Self::EnrolmentLink => true,
            Self::Enable | Self::AddGroup(_) | Self::RemoveGroup(_) => false,
        }
    }

    /// Returns the action for this account; `None`: nothing changes.
    fn act_for(&self, account: &Account) -> Option<AccountAction> {
        let grouped = |groups: Vec<String>| {
            (groups != account.groups).then(|| AccountAction::SetProfile {
                display_name: account.display_name.clone(),
                email: account.email.clone().unwrap_or_default(),
                groups,
            })
        };
        match self {
            Self::Disable => account.disabled_at.is_none().then_some(AccountAction::Disable),
            Self::Enable => (!account.is_enabled()).then_some(AccountAction::Enable),
            Self::ForceChange => (!account.must_change_password).then_some(AccountAction::ForceChange),
            Self::EndSessions => Some(AccountAction::EndSessions),
            Self::ExpireNow => account.expired_at.is_none().then_some(AccountAction::ExpireNow),
            Self::Delete => Some(AccountAction::Delete),
            Self::AddGroup(group) => {
                let mut groups = account.groups.clone();
                if !groups.contains(group) {
                    groups.push(group.clone());
                }
                grouped(groups)
            }
            Self::RemoveGroup(group) => {
                grouped(account.groups.iter().filter(|known| *known != group).cloned().collect())
            }
            // This does not change the account.
            Self::EnrolmentLink => None,
        }
    }
}

impl Write<'_> {
    fn act_on_accounts(
        &mut self,
        in_force: &PolicyInForce,
        ids: &[AccountId],
        act: &BulkAction,
    ) -> Result<BulkOutcome, FlowError> {
        accounts::lock_administrators(self.connection)?;
        let mut sum = BulkOutcome::default();
        for account in accounts::find_all(self.connection, ids)? {
            if act.skips_own_account() && self.initiator.account_id() == Some(account.id) {
                sum.skip(account, SkipReason::Yourself);
                continue;
            }
            if *act == BulkAction::EnrolmentLink {
                match self.issue_link(in_force, &account, true)? {
                    EnrolmentLinkOutcome::Sent | EnrolmentLinkOutcome::Link(_) => sum.done += 1,
                    EnrolmentLinkOutcome::OwnAccount => sum.skip(account, SkipReason::Yourself),
                    EnrolmentLinkOutcome::NoAddress => sum.skip(account, SkipReason::NoAddress),
                    EnrolmentLinkOutcome::Unusable => sum.skip(account, SkipReason::Unusable),
                    EnrolmentLinkOutcome::HasFactor => sum.skip(account, SkipReason::HasFactor),
                }
                continue;
            }
            let Some(one) = act.act_for(&account) else {
                sum.already += 1;
                continue;
            };
            if *act == BulkAction::EndSessions
                && sessions::list_live_of_account(self.connection, account.id)?.is_empty()
            {
                sum.already += 1;
                continue;
            }
            let refused = match self.change_account(account.id, one, None)? {
                AccountActionOutcome::Done { ended, .. } => {
                    sum.done += 1;
                    sum.ended += ended;
                    None
                }
                AccountActionOutcome::LastAdministrator => Some(SkipReason::LastAdministrator),
                AccountActionOutcome::Yourself => Some(SkipReason::Yourself),
                AccountActionOutcome::Managed(_) => Some(SkipReason::Managed),
                AccountActionOutcome::Faulty(_) => Some(SkipReason::Faulty),
            };
            sum.skipped
                .extend(refused.map(|reason| (account.id, account.name, reason)));
        }
        sum.already += ids.len().saturating_sub(sum.done + sum.already + sum.skipped.len());
        for id in ids {
            self.forget_account(*id);
        }
        Ok(sum)
    }
}
