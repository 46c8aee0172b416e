//! A file of accounts: what it would do, told line by line before anything is done, and doing it: all good lines in one write, or none.
//! What its columns mean is `domain::roster`; what each change does to an account is `act`.

use super::{
    super::{Acting, Ctx, FlowError},
    act::{Act, ActVerdict, Changing},
};
use crate::{
    domain::{
        account::{AccountId, Role},
        password::{NEVER, ONE_TIME, works_at},
        roster::{self, Column, Difference, Entry, Fault, Line, Reading},
        secret::{self, Secret},
        session::{EndReason, SessionId},
        time::Timestamp,
    },
    store::{
        Conn,
        accounts::{self, Account, AccountFilter},
    },
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Accounts that get a one-time password at once, at most: each costs a hash.
pub const MOST_ONE_TIME: usize = 500;

/// What new accounts sign in with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passwords {
    /// A one-time password each, shown once.
    OneTime,
    /// One that its owner chooses, through a link in a letter.
    Invitation,
    /// None that anybody knows: somebody resets it first.
    Unknown,
}

/// Who has the file read.
#[derive(Clone)]
pub struct ImportFile {
    pub bytes: Arc<[u8]>,
    pub passwords: Passwords,
}

/// What a line of the file would do.
#[derive(Debug, Clone)]
pub enum Planned {
    Create(Entry),
    Update(AccountId, Vec<Difference>),
    Unchanged,
}

#[derive(Debug, Clone)]
pub struct PlannedLine {
    pub number: usize,
    /// As the account spells it.
    pub name: String,
    pub what: Planned,
}

/// What the file would do as things are.
#[derive(Debug, Default)]
pub struct ImportPlan {
    pub lines: Vec<PlannedLine>,
    /// In the order of lines; of these lines nothing is done.
    pub faults: Vec<Fault>,
    pub passed_over: Vec<&'static str>,
    /// Of the lines and their faults: another one, and something has changed since.
    pub fingerprint: String,
}

impl ImportPlan {
    /// How many accounts it would create, change, and leave as they are.
    pub fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for line in &self.lines {
            match line.what {
                Planned::Create(_) => counts.0 += 1,
                Planned::Update(..) => counts.1 += 1,
                Planned::Unchanged => counts.2 += 1,
            }
        }
        counts
    }
}

/// What is to be done with a plan that was shown.
#[derive(Debug, Clone)]
pub struct Confirmed {
    /// [`ImportPlan::fingerprint`] of what was shown; `None`: whatever it is by now.
    pub shown: Option<String>,
    /// Do the good lines though others have faults.
    pub good_lines: bool,
}

/// What was done.
#[derive(Debug)]
pub struct Imported {
    /// In the order of lines, with their one-time passwords.
    pub created: Vec<(String, Option<Secret>)>,
    pub plan: ImportPlan,
    /// Sessions that ended.
    pub ended: usize,
}

#[derive(Debug)]
pub enum ImportVerdict {
    Done(Imported),
    /// It has faults, or does something else by now than was shown: nothing was done.
    Refused(ImportPlan),
}

/// Only says what it would do.
pub async fn plan_import(ctx: &Ctx, acting: &Acting, file: ImportFile) -> Result<ImportPlan, FlowError> {
    let (flow, acting) = (ctx.clone(), acting.clone());
    ctx.store
        .read(move |c| {
            let reading = roster::read(&file.bytes);
            let planner = Planner::new(c, &flow, &acting, file.passwords)?;
            planner.plan(c, reading)
        })
        .await
}

/// Does it, in one write: every good line or nothing.
pub async fn import(
    ctx: &Ctx,
    acting: &Acting,
    file: ImportFile,
    confirmed: Confirmed,
) -> Result<ImportVerdict, FlowError> {
    let plan = plan_import(ctx, acting, file.clone()).await?;
    let is_shown = confirmed.shown.as_ref().is_none_or(|shown| *shown == plan.fingerprint);
    if !is_shown || plan.lines.is_empty() || (!plan.faults.is_empty() && !confirmed.good_lines) {
        return Ok(ImportVerdict::Refused(plan));
    }
    // Before the write: hashing takes long.
    let made = ctx.hash_for(&plan, file.passwords).await?;
    let importing = Importing {
        acting: acting.clone(),
        expected: plan.fingerprint,
        passwords: file.passwords,
        made,
        now: ctx.now(),
    };
    let flow = ctx.clone();
    let done = ctx
        .store
        .write(move |c| flow.import_in(c, roster::read(&file.bytes), importing))
        .await?;
    let (verdict, touched) = done;
    for (id, ended, reason) in touched {
        ctx.forget_ended(&ended, reason);
        ctx.live.accounts.forget(id);
    }
    Ok(verdict)
}

/// The account as a file says it.
pub fn entry_of(account: &Account) -> Entry {
    Entry {
        name: account.name.clone(),
        display_name: account.display_name.clone(),
        email: account.email.clone(),
        role: account.role,
        groups: account.groups.clone(),
        expires_at: account.expires_at,
        must_change: account.must_change_password,
        disabled: account.disabled_at.is_some(),
    }
}

/// The next accounts of the filter as lines of a file, and the filter of those that follow.
pub async fn export(ctx: &Ctx, filter: AccountFilter) -> Result<(Vec<Entry>, Option<AccountFilter>), FlowError> {
    let page = ctx
        .store
        .read({
            let filter = filter.clone();
            move |c| accounts::list(c, &filter)
        })
        .await?;
    let after = page
        .items
        .last()
        .filter(|_| page.older)
        .map(|account| account.name_key.clone());
    let next = after.map(|after| AccountFilter {
        after: Some(after),
        ..filter
    });
    Ok((page.items.iter().map(entry_of).collect(), next))
}

/// A password hash for an account to be made, by the number of its line.
type Made = BTreeMap<usize, (String, Option<Secret>)>;

struct Importing {
    acting: Acting,
    expected: String,
    passwords: Passwords,
    made: Made,
    now: Timestamp,
}

/// Accounts whose memory is over, with the sessions that ended.
type Touched = Vec<(AccountId, Vec<SessionId>, EndReason)>;

/// Reads lines against the accounts as they are, and keeps count of who could still sign in to this console.
struct Planner {
    me: Option<AccountId>,
    passwords: Passwords,
    now: Timestamp,
    administrators: i64,
}

impl Planner {
    fn new(c: &mut Conn, flow: &Ctx, acting: &Acting, passwords: Passwords) -> Result<Self, FlowError> {
        Ok(Self {
            me: acting.account_id(),
            passwords,
            now: flow.now(),
            administrators: accounts::count_usable_administrators(c, None, flow.now())?,
        })
    }

    fn plan(mut self, c: &mut Conn, reading: Reading) -> Result<ImportPlan, FlowError> {
        let Reading {
            lines,
            mut faults,
            passed_over,
            faulty_dates,
        } = reading;
        let faulty = faulty_dates.iter().filter_map(|date| date.name.as_ref());
        let keys: Vec<&str> = lines
            .iter()
            .map(|line| &line.name)
            .chain(faulty)
            .map(|name| name.key())
            .collect();
        let mut known: BTreeMap<String, Account> = BTreeMap::new();
        for account in accounts::find_by_name_keys(c, &keys)? {
            known.insert(account.name_key.clone(), account);
        }
        // Who comes in is counted before who goes.
        for line in &lines {
            self.administrators += i64::from(self.gives(line, known.get(line.name.key())));
        }
        let mut planned = Vec::new();
        for line in lines {
            match self.line(&line, known.get(line.name.key())) {
                Ok(what) => planned.push(what),
                Err(found) => faults.extend(found),
            }
        }
        faults.extend(faulty_dates.iter().filter_map(|date| {
            let known = date.name.as_ref().and_then(|name| known.get(name.key()));
            self.over(
                date.number,
                Some(date.expires_at),
                known.and_then(|account| account.expires_at),
            )
        }));
        faults.sort_by_key(Fault::place);
        self.bound(&planned, &mut faults);
        let mut plan = ImportPlan {
            lines: planned,
            faults,
            passed_over,
            fingerprint: String::new(),
        };
        plan.fingerprint = fingerprint(&plan);
        Ok(plan)
    }

    /// Whether the line makes an administrator who can sign in.
    fn gives(&self, line: &Line, known: Option<&Account>) -> bool {
        let new = line.applied_to(known.map_or_else(|| Entry::new(line.name.shown()), entry_of));
        let is_one = new.role == Role::Administrator && !new.disabled;
        match known {
            Some(account) => {
                is_one
                    && !is_usable(account, self.now)
                    && works_at(account.password_good_until, self.now)
                    && (account.expired_at.is_none() || account.disabled_at.is_some())
            }
            None => is_one && self.passwords == Passwords::OneTime,
        }
    }

    /// A date that is new and over.
    fn over(&self, number: usize, new: Option<Timestamp>, old: Option<Timestamp>) -> Option<Fault> {
        let at = new.filter(|at| *at <= self.now && old != new)?;
        let message = format!(
            "{} is over; to keep an account out, say yes in {}",
            at.to_rfc3339(),
            Column::Disabled.name()
        );
        Some(Fault::at(number, Column::ExpiresAt, message))
    }

    /// What keeps an account from being as a line would have it. Who goes is counted when nothing else does.
    fn refusals(&mut self, number: usize, account: &Account, old: &Entry, new: &Entry) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.over(number, new.expires_at, old.expires_at).into_iter().collect();
        if old.must_change && !new.must_change {
            let message = "a change that was demanded stays so until it is made; yes or empty is accepted";
            faults.push(Fault::at(number, Column::MustChange, message));
        }
        let goes = is_usable(account, self.now) && (new.disabled || new.role != Role::Administrator);
        let column = if new.disabled { Column::Disabled } else { Column::Role };
        if self.me == Some(account.id) && (goes || (new.disabled && !old.disabled)) {
            let message = "this is your own account; another administrator can do that";
            faults.push(Fault::at(number, column, message));
        } else if goes && self.administrators <= 1 {
            let message = "this is the last administrator who can sign in";
            faults.push(Fault::at(number, column, message));
        } else if goes && faults.is_empty() {
            self.administrators -= 1;
        }
        faults
    }

    fn new_account_refusals(&self, number: usize, new: &Entry) -> Vec<Fault> {
        let uninvitable = self.passwords == Passwords::Invitation && new.email.is_none();
        let no_address = uninvitable.then(|| Fault::at(number, Column::Email, "an invitation needs an e-mail address"));
        let over = self.over(number, new.expires_at, None);
        no_address.into_iter().chain(over).collect()
    }

    fn line(&mut self, line: &Line, known: Option<&Account>) -> Result<PlannedLine, Vec<Fault>> {
        let old = known.map_or_else(|| Entry::new(line.name.shown()), entry_of);
        let new = line.applied_to(old.clone());
        let faults = match known {
            Some(account) => self.refusals(line.number, account, &old, &new),
            None => self.new_account_refusals(line.number, &new),
        };
        if !faults.is_empty() {
            return Err(faults);
        }
        let Some(account) = known else {
            return Ok(PlannedLine {
                number: line.number,
                name: new.name.clone(),
                what: Planned::Create(new),
            });
        };
        let differences = old.differences(&new);
        Ok(PlannedLine {
            number: line.number,
            name: account.name.clone(),
            what: if differences.is_empty() {
                Planned::Unchanged
            } else {
                Planned::Update(account.id, differences)
            },
        })
    }

    fn bound(&self, planned: &[PlannedLine], faults: &mut Vec<Fault>) {
        let new: Vec<&PlannedLine> = planned
            .iter()
            .filter(|line| matches!(line.what, Planned::Create(_)))
            .collect();
        if let (Passwords::OneTime, Some(beyond)) = (self.passwords, new.get(MOST_ONE_TIME)) {
            let number = new.len();
            let message = format!(
                "{number} new accounts: at most {MOST_ONE_TIME} at once get one-time passwords; import them in parts, or without passwords"
            );
            faults.push(Fault {
                line: beyond.number,
                column: None,
                message,
            });
        }
    }
}

/// Counted among the administrators who can sign in.
fn is_usable(account: &Account, now: Timestamp) -> bool {
    account.role == Role::Administrator
        && account.disabled_at.is_none()
        && account.expired_at.is_none()
        && works_at(account.password_good_until, now)
}

fn fingerprint(plan: &ImportPlan) -> String {
    let mut digest = Sha256::new();
    for line in &plan.lines {
        digest.update(format!("{} {:?} {:?}\n", line.number, line.name, line.what));
    }
    for fault in &plan.faults {
        digest.update(format!("{fault}\n"));
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Act {
    /// What changes an account as a line of a file says. In this order: an account is enabled before its date is set.
    fn of_differences(old: &Entry, differences: &[Difference], new: &Entry) -> Vec<Act> {
        let differs = |column: Column| differences.iter().any(|difference| difference.column == column);
        let mut acts = Vec::new();
        if differs(Column::Disabled) && !new.disabled {
            acts.push(Act::Enable);
        }
        if [Column::DisplayName, Column::Email, Column::Groups]
            .into_iter()
            .any(differs)
        {
            acts.push(Act::SetProfile {
                display_name: new.display_name.clone(),
                email: new.email.clone().unwrap_or_default(),
                groups: new.groups.clone(),
            });
        }
        if differs(Column::ExpiresAt) || (old.disabled && !new.disabled && new.expires_at.is_some()) {
            acts.push(Act::SetExpiry(new.expires_at));
        }
        if differs(Column::Role) {
            acts.push(Act::SetRole(new.role));
        }
        if differs(Column::MustChange) {
            acts.push(Act::ForceChange);
        }
        if differs(Column::Disabled) && new.disabled {
            acts.push(Act::Disable);
        }
        acts
    }
}

impl Ctx {
    async fn hash_for(&self, plan: &ImportPlan, passwords: Passwords) -> Result<Made, FlowError> {
        let mut made = Made::new();
        let mut unknown: Option<String> = None;
        for line in plan.lines.iter().filter(|line| matches!(line.what, Planned::Create(_))) {
            let password = secret::one_time_password(self.random_bytes());
            let one = match (passwords, &unknown) {
                (Passwords::OneTime, _) => (self.hasher.hash(password.clone(), self.salt()).await?, Some(password)),
                (Passwords::Unknown | Passwords::Invitation, Some(hash)) => (hash.clone(), None),
                (Passwords::Unknown | Passwords::Invitation, None) => {
                    // Nobody sees it, so that all may have the same.
                    let hash = self.hasher.hash(password, self.salt()).await?;
                    unknown = Some(hash.clone());
                    (hash, None)
                }
            };
            made.insert(line.number, one);
        }
        Ok(made)
    }

    fn import_in(
        &self,
        c: &mut Conn,
        reading: Reading,
        importing: Importing,
    ) -> Result<(ImportVerdict, Touched), FlowError> {
        let Importing {
            acting,
            expected,
            passwords,
            mut made,
            now,
        } = importing;
        accounts::lock_administrators(c)?;
        let lines: BTreeMap<usize, Line> = reading.lines.iter().map(|line| (line.number, line.clone())).collect();
        let plan = Planner::new(c, self, &acting, passwords)?.plan(c, reading)?;
        if plan.fingerprint != expected {
            return Ok((ImportVerdict::Refused(plan), Vec::new()));
        }
        let (mut created, mut touched, mut ended) = (Vec::new(), Vec::new(), 0);
        let is_new = |line: &&PlannedLine| matches!(line.what, Planned::Create(_));
        for line in plan.lines.iter().filter(is_new) {
            let (Planned::Create(entry), Some((hash, password))) = (&line.what, made.remove(&line.number)) else {
                continue;
            };
            let name = &lines.get(&line.number).ok_or_else(changed)?.name;
            let account = Account {
                display_name: entry.display_name.clone(),
                email: entry.email.clone(),
                groups: entry.groups.clone(),
                expires_at: entry.expires_at,
                password_set_by_other: passwords != Passwords::Invitation,
                must_change_password: entry.must_change || password.is_some(),
                password_good_until: Some(password.as_ref().map_or(NEVER, |_| now.saturating_add(ONE_TIME))),
                disabled_at: entry.disabled.then_some(now),
                ..self.new_account(name, entry.role, hash, now)
            };
            self.create_in(c, now, &acting, &account, password.is_some())?;
            if passwords == Passwords::Invitation && account.disabled_at.is_none() {
                self.invite_in(c, now, &account)?;
            }
            created.push((account.name, password));
        }
        // Administrators come before any of them goes.
        let (givers, others): (Vec<_>, Vec<_>) = plan.lines.iter().partition(|line| {
            let goes = |difference: &Difference| {
                matches!(
                    (difference.column, difference.new.as_str()),
                    (Column::Role, "member") | (Column::Disabled, "yes")
                )
            };
            matches!(&line.what, Planned::Update(_, differences) if !differences.iter().any(goes))
        });
        for line in givers.into_iter().chain(others) {
            let Planned::Update(id, differences) = &line.what else {
                continue;
            };
            let old = entry_of(&accounts::find(c, *id)?.ok_or(FlowError::NotFound)?);
            let new = lines.get(&line.number).ok_or_else(changed)?.applied_to(old.clone());
            for act in Act::of_differences(&old, differences, &new) {
                let change = Changing {
                    act,
                    hash: None,
                    acting: acting.clone(),
                    now,
                };
                let (verdict, gone) = self.change_account_in(c, *id, change)?;
                // The plan was made under the same locks: anything else undoes the whole import.
                let ActVerdict::Done { .. } = verdict else {
                    return Err(changed());
                };
                let (ids, reason) = gone.unwrap_or((Vec::new(), EndReason::Revoked));
                ended += ids.len();
                touched.push((*id, ids, reason));
            }
        }
        Ok((ImportVerdict::Done(Imported { created, plan, ended }), touched))
    }
}

fn changed() -> FlowError {
    FlowError::Internal("the accounts changed while a file of them was imported; nothing was done".to_owned())
}
