//! The same act for many accounts: those that were selected, or all that match. What cannot be done to one is said of it, and the others are done.

use super::{
    super::{Acting, Ctx, FlowError},
    act::{Act, ActVerdict, Changing},
};
use crate::{
    domain::{
        account::AccountId,
        session::{EndReason, SessionId},
        time::Timestamp,
    },
    store::{
        Conn, StoreError,
        accounts::{self, Account, AccountFilter},
        sessions,
    },
};

/// Accounts of one write: what waits behind it does not wait long.
const BATCH: usize = 200;

/// What can be done to many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BulkAct {
    Disable,
    Enable,
    ForceChange,
    EndSessions,
    ExpireNow,
    Delete,
    AddGroup(String),
    RemoveGroup(String),
}

/// To whom.
#[derive(Debug, Clone)]
pub enum Chosen {
    These(Vec<AccountId>),
    /// Wherever in the list.
    Matching(AccountFilter),
}

/// Why one was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    LastAdministrator,
    Yourself,
    /// The group's name is none.
    Faulty,
}

/// What became of them.
#[derive(Debug, Default)]
pub struct BulkDone {
    pub done: usize,
    /// It was so before, or the account is gone.
    pub already: usize,
    pub left_out: Vec<(AccountId, String, LeftOut)>,
    /// Sessions that ended.
    pub ended: usize,
}

/// Who would be concerned, by name, bounded; and how many in all: without one's own account where the act spares it.
pub async fn chosen(
    ctx: &Ctx,
    acting: &Acting,
    chosen: Chosen,
    act: &BulkAct,
    limit: i64,
) -> Result<(Vec<Account>, i64), FlowError> {
    let spared = acting.account_id().filter(|_| act.spares_yourself());
    let is_meant = spared.is_some() && includes(ctx, &chosen, spared).await?;
    let (mut named, count) = found(ctx, chosen, limit).await?;
    named.retain(|account| Some(account.id) != spared);
    Ok((named, count - i64::from(is_meant)))
}

async fn includes(ctx: &Ctx, chosen: &Chosen, id: Option<AccountId>) -> Result<bool, FlowError> {
    Ok(match chosen {
        Chosen::These(ids) => ids.iter().any(|chosen| Some(*chosen) == id),
        Chosen::Matching(filter) => {
            let filter = filter.clone();
            let ids = ctx.store.read(move |c| accounts::ids_matching(c, &filter)).await?;
            ids.iter().any(|matching| Some(*matching) == id)
        }
    })
}

async fn found(ctx: &Ctx, chosen: Chosen, limit: i64) -> Result<(Vec<Account>, i64), FlowError> {
    Ok(ctx
        .store
        .read(move |c| match chosen {
            Chosen::These(ids) => {
                let mut found = accounts::find_all(c, &ids)?;
                let total = found.len();
                found.truncate(usize::try_from(limit).unwrap_or(0));
                Ok::<_, StoreError>((found, i64::try_from(total).unwrap_or(i64::MAX)))
            }
            Chosen::Matching(filter) => {
                let filter = AccountFilter {
                    after: None,
                    before: None,
                    limit,
                    ..filter
                };
                Ok((accounts::list(c, &filter)?.items, accounts::count(c, &filter)?))
            }
        })
        .await?)
}

/// Does it to each, two hundred in a write.
pub async fn act_on_all(ctx: &Ctx, acting: &Acting, whom: Chosen, act: BulkAct) -> Result<BulkDone, FlowError> {
    let ids: Vec<AccountId> = match whom {
        Chosen::These(ids) => ids,
        Chosen::Matching(filter) => ctx.store.read(move |c| accounts::ids_matching(c, &filter)).await?,
    };
    let mut sum = BulkDone::default();
    for ids in ids.chunks(BATCH) {
        let (flow, acting, act, ids) = (ctx.clone(), acting.clone(), act.clone(), ids.to_vec());
        let now = ctx.now();
        let touched = ids.clone();
        let (done, ended) = ctx
            .store
            .write(move |c| flow.act_on_in(c, now, &acting, &ids, &act))
            .await?;
        for (sessions, reason) in ended {
            ctx.forget_ended(&sessions, reason);
        }
        for id in touched {
            ctx.live.accounts.forget(id);
        }
        sum.done += done.done;
        sum.already += done.already;
        sum.left_out.extend(done.left_out);
        sum.ended += done.ended;
    }
    Ok(sum)
}

impl BulkAct {
    /// Whether it would take the console from whoever asks for it, or the page from under them.
    fn spares_yourself(&self) -> bool {
        match self {
            Self::Disable | Self::ForceChange | Self::EndSessions | Self::ExpireNow | Self::Delete => true,
            Self::Enable | Self::AddGroup(_) | Self::RemoveGroup(_) => false,
        }
    }

    /// What it means for this account; `None`: it is so already.
    fn of(&self, account: &Account) -> Option<Act> {
        let grouped = |groups: Vec<String>| {
            (groups != account.groups).then(|| Act::SetProfile {
                display_name: account.display_name.clone(),
                email: account.email.clone().unwrap_or_default(),
                groups,
            })
        };
        match self {
            Self::Disable => account.disabled_at.is_none().then_some(Act::Disable),
            Self::Enable => (account.disabled_at.is_some() || account.expired_at.is_some()).then_some(Act::Enable),
            Self::ForceChange => (!account.must_change_password).then_some(Act::ForceChange),
            Self::EndSessions => Some(Act::EndSessions),
            Self::ExpireNow => account.expired_at.is_none().then_some(Act::ExpireNow),
            Self::Delete => Some(Act::Delete),
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
        }
    }
}

/// Sessions that a write ended, and why.
type Ended = Vec<(Vec<SessionId>, EndReason)>;

impl Ctx {
    fn act_on_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        ids: &[AccountId],
        act: &BulkAct,
    ) -> Result<(BulkDone, Ended), FlowError> {
        accounts::lock_administrators(c)?;
        let (mut sum, mut ended) = (BulkDone::default(), Vec::new());
        for account in accounts::find_all(c, ids)? {
            if act.spares_yourself() && acting.account_id() == Some(account.id) {
                sum.left_out.push((account.id, account.name, LeftOut::Yourself));
                continue;
            }
            let Some(one) = act.of(&account) else {
                sum.already += 1;
                continue;
            };
            if *act == BulkAct::EndSessions && sessions::live_of_account(c, account.id)?.is_empty() {
                sum.already += 1;
                continue;
            }
            let change = Changing {
                act: one,
                hash: None,
                acting: acting.clone(),
                now,
            };
            let (verdict, gone) = self.change_account_in(c, account.id, change)?;
            let refused = match verdict {
                ActVerdict::Done { ended, .. } => {
                    sum.done += 1;
                    sum.ended += ended;
                    None
                }
                ActVerdict::LastAdministrator => Some(LeftOut::LastAdministrator),
                ActVerdict::Yourself => Some(LeftOut::Yourself),
                ActVerdict::Faulty(_) => Some(LeftOut::Faulty),
            };
            sum.left_out.extend(refused.map(|why| (account.id, account.name, why)));
            ended.extend(gone);
        }
        sum.already += ids.len().saturating_sub(sum.done + sum.already + sum.left_out.len());
        Ok((sum, ended))
    }
}
