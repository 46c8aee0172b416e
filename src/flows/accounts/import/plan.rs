//! The preview of an import, line by line, from the current accounts.

use super::Passwords;
use crate::{
    domain::{
        account::{Account, AccountId, Role},
        account_csv::{AccountColumn, AccountCsvFault, AccountCsvLine, AccountEntry, Difference, ParsedAccountCsv},
        password::is_valid_at,
        time::Timestamp,
    },
    flows::{Initiator, Read},
    live::sources::Sources,
    store::{Conn, StoreError, accounts},
};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc};

/// Maximum number of new accounts in a file that get one-time passwords; each costs a hash.
pub const MAX_ONE_TIME_PASSWORDS: usize = 500;

/// The action of a line of the file.
#[derive(Debug, Clone)]
pub enum PlannedChange {
    Create(AccountEntry),
    Update(AccountId, Vec<Difference>),
    Unchanged,
}

/// The planned action for one line of the file.
#[derive(Debug, Clone)]
pub struct PlannedLine {
    /// The line of the file, counted from 1.
    pub number: usize,
    /// The name as the account spells it.
    pub name: String,
    /// What it changes.
    pub what: PlannedChange,
}

/// The plan of a file.
#[derive(Debug, Default)]
pub struct ImportPlan {
    /// The lines of the file, in its order.
    pub lines: Vec<PlannedLine>,
    /// The faults in the order of lines; these lines are not imported.
    pub faults: Vec<AccountCsvFault>,
    /// Read-only columns that the import ignores.
    pub passed_over: Vec<&'static str>,
    /// The fingerprint of the lines and their faults; a different one means that something has
    /// changed.
    pub fingerprint: String,
}

impl PlannedLine {
    /// Returns whether it creates an account.
    pub(super) fn is_new(&self) -> bool {
        matches!(self.what, PlannedChange::Create(_))
    }

    /// Returns whether it removes the administrator role from an account, or disables an
    /// administrator.
    pub(super) fn takes_access(&self) -> bool {
        let takes = |difference: &Difference| {
            matches!(
                (difference.column, difference.new.as_str()),
                (AccountColumn::Role, "member") | (AccountColumn::Disabled, "yes")
            )
        };
        match &self.what {
            PlannedChange::Update(_, differences) => differences.iter().any(takes),
            PlannedChange::Create(_) | PlannedChange::Unchanged => false,
        }
    }
}

impl ImportPlan {
    /// Returns how many accounts it creates, changes, and leaves unchanged.
    pub fn counts(&self) -> (usize, usize, usize) {
        let mut counts = (0, 0, 0);
        for line in &self.lines {
            match line.what {
                PlannedChange::Create(_) => counts.0 += 1,
                PlannedChange::Update(..) => counts.1 += 1,
                PlannedChange::Unchanged => counts.2 += 1,
            }
        }
        counts
    }
}

impl Read<'_> {
    /// Plans the import of a file by `importer`.
    pub(super) fn plan_import(
        &mut self,
        importer: &Initiator,
        reading: ParsedAccountCsv,
        passwords: Passwords,
    ) -> Result<ImportPlan, StoreError> {
        let planner = Planner {
            importer: importer.account_id(),
            passwords,
            now: self.now,
            administrators: accounts::count_usable_administrators(self.connection, None, self.now)?,
            sources: self.ctx.live.sources(),
        };
        planner.plan(self.connection, reading)
    }
}

/// Converts an account to a line of the file.
pub fn entry_of(account: &Account) -> AccountEntry {
    AccountEntry {
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

/// Compares lines with the current accounts, and counts who could still sign in to the console.
struct Planner {
    /// The importer's own account, which must stay usable.
    importer: Option<AccountId>,
    passwords: Passwords,
    now: Timestamp,
    administrators: i64,
    /// The sources that decide about their accounts.
    sources: Arc<Sources>,
}

impl Planner {
    fn plan(mut self, connection: &mut Conn, reading: ParsedAccountCsv) -> Result<ImportPlan, StoreError> {
        let ParsedAccountCsv {
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
        for account in accounts::find_by_name_keys(connection, &keys)? {
            known.insert(account.name_key.clone(), account);
        }
        // Added administrators are counted before removed ones.
        for line in &lines {
            self.administrators += i64::from(self.gives(line, known.get(line.name.key())));
        }
        let mut planned = Vec::new();
        for line in lines {
            match self.plan_line(&line, known.get(line.name.key())) {
                Ok(what) => planned.push(what),
                Err(found) => faults.extend(found),
            }
        }
        faults.extend(faulty_dates.iter().filter_map(|date| {
            let known = date.name.as_ref().and_then(|name| known.get(name.key()));
            self.expiry_fault(
                date.number,
                Some(date.expires_at),
                known.and_then(|account| account.expires_at),
            )
        }));
        faults.sort_by_key(AccountCsvFault::place);
        self.limit_one_time(&planned, &mut faults);
        let mut plan = ImportPlan {
            lines: planned,
            faults,
            passed_over,
            fingerprint: String::new(),
        };
        plan.fingerprint = fingerprint(&plan);
        Ok(plan)
    }

    /// Returns whether the line makes an administrator who can sign in.
    fn gives(&self, line: &AccountCsvLine, known: Option<&Account>) -> bool {
        let new = line.applied_to(known.map_or_else(|| AccountEntry::new(line.name.shown()), entry_of));
        let is_one = new.role == Role::Administrator && !new.disabled;
        match known {
            Some(account) => {
                is_one
                    && account.is_local()
                    && !is_usable(account, self.now)
                    && is_valid_at(account.password_good_until, self.now)
                    && (account.expired_at.is_none() || account.disabled_at.is_some())
            }
            None => is_one && self.passwords == Passwords::OneTime,
        }
    }

    /// Returns the fault of a new expiry date in the past.
    fn expiry_fault(&self, number: usize, new: Option<Timestamp>, old: Option<Timestamp>) -> Option<AccountCsvFault> {
        let at = new.filter(|at| *at <= self.now && old != new)?;
        let message = format!(
            "{} is in the past; to block the account set {} to yes",
            at.to_rfc3339(),
            AccountColumn::Disabled.name()
        );
        Some(AccountCsvFault::in_column(number, AccountColumn::ExpiresAt, message))
    }

    /// Returns the reasons why an account cannot be changed as its line says. A removed
    /// administrator is counted only if there is no other reason.
    fn refusals(
        &mut self,
        number: usize,
        account: &Account,
        old: &AccountEntry,
        new: &AccountEntry,
    ) -> Vec<AccountCsvFault> {
        let mut faults: Vec<AccountCsvFault> = self
            .expiry_fault(number, new.expires_at, old.expires_at)
            .into_iter()
            .collect();
        if old.must_change && !new.must_change {
            let message = "a required password change cannot be withdrawn; accepted: yes or empty";
            faults.push(AccountCsvFault::in_column(number, AccountColumn::MustChange, message));
        }
        faults.extend(self.source_faults(number, account, old, new));
        let goes = is_usable(account, self.now) && (new.disabled || new.role != Role::Administrator);
        let column = if new.disabled {
            AccountColumn::Disabled
        } else {
            AccountColumn::Role
        };
        if self.importer == Some(account.id) && (goes || (new.disabled && !old.disabled)) {
            let message = "this is your own account; another administrator can do this";
            faults.push(AccountCsvFault::in_column(number, column, message));
        } else if goes && self.administrators <= 1 {
            let message = "this is the last administrator who can sign in";
            faults.push(AccountCsvFault::in_column(number, column, message));
        } else if goes && faults.is_empty() {
            self.administrators -= 1;
        }
        faults
    }

    /// Returns the faults of a line that changes what the source of its account decides.
    fn source_faults(
        &self,
        number: usize,
        account: &Account,
        old: &AccountEntry,
        new: &AccountEntry,
    ) -> Vec<AccountCsvFault> {
        let Some(source) = account.source else {
            return Vec::new();
        };
        let known = self.sources.by_id(source);
        let title = known.map_or("a deleted source", |live| live.source.title.as_str());
        let message = format!("this account is managed by {title}; change it there");
        let changed = [
            (AccountColumn::DisplayName, old.display_name != new.display_name),
            (AccountColumn::Email, old.email != new.email),
            (AccountColumn::Role, old.role != new.role),
            (AccountColumn::Groups, old.groups != new.groups),
            (AccountColumn::MustChange, old.must_change != new.must_change),
        ];
        let changed = changed.into_iter().filter(|(_, is_changed)| *is_changed);
        changed
            .map(|(column, _)| AccountCsvFault::in_column(number, column, message.clone()))
            .collect()
    }

    fn new_account_refusals(&self, number: usize, new: &AccountEntry) -> Vec<AccountCsvFault> {
        let uninvitable = self.passwords == Passwords::Invitation && new.email.is_none();
        let no_address = uninvitable
            .then(|| AccountCsvFault::in_column(number, AccountColumn::Email, "an invitation needs an email address"));
        let expired = self.expiry_fault(number, new.expires_at, None);
        no_address.into_iter().chain(expired).collect()
    }

    fn plan_line(
        &mut self,
        line: &AccountCsvLine,
        known: Option<&Account>,
    ) -> Result<PlannedLine, Vec<AccountCsvFault>> {
        let old = known.map_or_else(|| AccountEntry::new(line.name.shown()), entry_of);
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
                what: PlannedChange::Create(new),
            });
        };
        let differences = old.differences(&new);
        Ok(PlannedLine {
            number: line.number,
            name: account.name.clone(),
            what: if differences.is_empty() {
                PlannedChange::Unchanged
            } else {
                PlannedChange::Update(account.id, differences)
            },
        })
    }

    fn limit_one_time(&self, planned: &[PlannedLine], faults: &mut Vec<AccountCsvFault>) {
        let new: Vec<&PlannedLine> = planned
            .iter()
            .filter(|line| matches!(line.what, PlannedChange::Create(_)))
            .collect();
        if let (Passwords::OneTime, Some(beyond)) = (self.passwords, new.get(MAX_ONE_TIME_PASSWORDS)) {
            let number = new.len();
            let message = format!(
                "{number} new accounts: at most {MAX_ONE_TIME_PASSWORDS} can get one-time passwords in one import; import them \
                 in parts, or without passwords"
            );
            faults.push(AccountCsvFault {
                line: beyond.number,
                column: None,
                message,
            });
        }
    }
}

/// Returns whether it counts among the administrators who can sign in.
fn is_usable(account: &Account, now: Timestamp) -> bool {
    account.role == Role::Administrator
        && account.is_local()
        && account.is_enabled()
        && is_valid_at(account.password_good_until, now)
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
