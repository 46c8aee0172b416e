//! Importing a file of accounts: first a preview line by line, then all valid lines in one write,
//! or none. `domain::account_csv` defines the columns; `act` changes accounts.

mod plan;
mod results;

pub use results::{ImportSummary, StoredImport, fetch_import, find_import};

pub use plan::{ImportPlan, MAX_ONE_TIME_PASSWORDS, PlannedChange, PlannedLine, entry_of};

use super::act::{AccountAction, AccountActionOutcome};
use crate::{
    domain::{
        account::{Account, AccountFilter, AccountId, AccountName},
        account_csv::{self, AccountColumn, AccountCsvLine, AccountEntry, Difference},
        password::{NEVER, ONE_TIME},
        secret::{self, Secret},
    },
    flows::{
        Ctx, FlowError, FormSubmission, Initiator, KeptForm, Write, abandon_form, begin_form,
        patience::with_long_patience,
    },
    hashing::{HashingClient, HashingPurpose},
    store::accounts,
};
use std::{collections::BTreeMap, sync::Arc};

/// How new accounts can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passwords {
    /// With a one-time password for each, shown once.
    OneTime,
    /// With a password that the owner chooses through a link in an email.
    Invitation,
    /// Not until an administrator resets the password.
    Unknown,
}

/// The file and who imports it.
#[derive(Clone)]
pub struct ImportFile {
    /// The file as it was sent.
    pub bytes: Arc<[u8]>,
    /// The first passwords of new accounts.
    pub passwords: Passwords,
}

/// Options for performing a plan that was shown.
#[derive(Debug, Clone)]
pub struct ImportConfirmation {
    /// [`ImportPlan::fingerprint`] of the plan that was shown; `None`: any plan.
    pub shown: Option<String>,
    /// Whether to import the valid lines even if others have faults.
    pub good_lines: bool,
}

/// The result of an import.
#[derive(Debug)]
pub struct ImportedAccounts {
    /// In the order of lines, with their one-time passwords.
    pub created: Vec<(String, Option<Secret>)>,
    /// What was done.
    pub plan: ImportPlan,
    /// The number of sessions that ended.
    pub ended: usize,
}

/// How an import ended.
#[derive(Debug)]
pub enum ImportOutcome {
    Done(ImportedAccounts),
    /// It has faults, or the plan has changed since it was shown: nothing was done.
    Refused(ImportPlan),
}

/// Returns the preview of a file and changes nothing.
pub async fn plan_import(ctx: &Ctx, initiator: &Initiator, file: ImportFile) -> Result<ImportPlan, FlowError> {
    let initiator = initiator.clone();
    ctx.read(move |r| Ok(r.plan_import(&initiator, account_csv::read(&file.bytes), file.passwords)?))
        .await
}

/// Imports a file in one write: every valid line or nothing.
pub async fn import(
    ctx: &Ctx,
    initiator: &Initiator,
    file: ImportFile,
    confirmation: ImportConfirmation,
) -> Result<ImportOutcome, FlowError> {
    let outcome = perform(ctx, initiator, file, confirmation, None, &|_, _| {}).await?;
    outcome.ok_or_else(|| FlowError::Internal("an import without a form was known".to_owned()))
}

/// Like [`import`], for a form that may be sent twice: one instance performs it once, and
/// [`find_import`] has the result for an hour. Returns false if it was refused. `note_progress`
/// receives how many passwords are hashed, and of how many, because hashing takes most of the time.
pub async fn import_once(
    ctx: &Ctx,
    initiator: &Initiator,
    file: ImportFile,
    confirmation: ImportConfirmation,
    (submission, route): (FormSubmission, &str),
    note_progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<bool, FlowError> {
    if let Some(StoredImport::Done { .. }) = find_import(ctx, submission).await? {
        return Ok(true);
    }
    begin_form(ctx, submission, route).await?;
    let outcome = perform(ctx, initiator, file, confirmation, Some(submission), note_progress).await;
    if let Ok(Some(ImportOutcome::Done(_)) | None) = outcome {
        return Ok(true);
    }
    // The accounts may have changed because another instance performed the same submission.
    if let Some(StoredImport::Done { .. }) = find_import(ctx, submission).await? {
        return Ok(true);
    }
    abandon_form(ctx, submission).await?;
    outcome.map(|_| false)
}

/// Performs an import. `None`: its submission was performed before.
async fn perform(
    ctx: &Ctx,
    initiator: &Initiator,
    file: ImportFile,
    confirmation: ImportConfirmation,
    submission: Option<FormSubmission>,
    note_progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Option<ImportOutcome>, FlowError> {
    let plan = plan_import(ctx, initiator, file.clone()).await?;
    let is_shown = confirmation
        .shown
        .as_ref()
        .is_none_or(|shown| *shown == plan.fingerprint);
    if !is_shown || plan.lines.is_empty() || (!plan.faults.is_empty() && !confirmation.good_lines) {
        return Ok(Some(ImportOutcome::Refused(plan)));
    }
    // Done before the write, because hashing takes long.
    let client = HashingClient::new(HashingPurpose::Administration, initiator.origin.ip);
    let hashes = ctx.hash_for(&client, &plan, file.passwords, note_progress).await?;
    let expected = plan.fingerprint;
    with_long_patience(ctx.write(initiator, move |w| {
        w.import_accounts(&file, &expected, hashes, submission)
    }))
    .await
}

/// Returns the next accounts of the filter as lines of a file, and the filter for the following
/// ones.
pub async fn export(ctx: &Ctx, filter: AccountFilter) -> Result<(Vec<AccountEntry>, Option<AccountFilter>), FlowError> {
    let wanted = filter.clone();
    let page = ctx.read(move |r| Ok(accounts::list(r.connection, &wanted)?)).await?;
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

/// The password hash of an account to be created, and the password if it is shown.
struct MadePassword {
    hash: String,
    one_time: Option<Secret>,
}

/// The password hashes of accounts to be created, by line number.
type MadePasswords = BTreeMap<usize, MadePassword>;

impl AccountAction {
    /// Returns the actions that make an account match a line of a file. The order matters: an
    /// account is enabled before its date is set.
    fn of_differences(old: &AccountEntry, differences: &[Difference], new: &AccountEntry) -> Vec<AccountAction> {
        let differs = |column: AccountColumn| differences.iter().any(|difference| difference.column == column);
        let mut acts = Vec::new();
        if differs(AccountColumn::Disabled) && !new.disabled {
            acts.push(AccountAction::Enable);
        }
        if [AccountColumn::DisplayName, AccountColumn::Email, AccountColumn::Groups]
            .into_iter()
            .any(differs)
        {
            acts.push(AccountAction::SetProfile {
                display_name: new.display_name.clone(),
                email: new.email.clone().unwrap_or_default(),
                groups: new.groups.clone(),
            });
        }
        if differs(AccountColumn::ExpiresAt) || (old.disabled && !new.disabled && new.expires_at.is_some()) {
            acts.push(AccountAction::SetExpiry(new.expires_at));
        }
        if differs(AccountColumn::Role) {
            acts.push(AccountAction::SetRole(new.role));
        }
        if differs(AccountColumn::MustChange) {
            acts.push(AccountAction::ForceChange);
        }
        if differs(AccountColumn::Disabled) && new.disabled {
            acts.push(AccountAction::Disable);
        }
        acts
    }
}

impl Ctx {
    async fn hash_for(
        &self,
        client: &HashingClient,
        plan: &ImportPlan,
        passwords: Passwords,
        note_progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<MadePasswords, FlowError> {
        let total = plan.lines.iter().filter(|line| line.is_new()).count();
        let mut made = MadePasswords::new();
        let mut unknown: Option<String> = None;
        for line in plan.lines.iter().filter(|line| line.is_new()) {
            let password = secret::one_time_password(self.random_bytes());
            let (hash, one_time) = match (passwords, &unknown) {
                (Passwords::OneTime, _) => (
                    self.hasher.hash(client, password.clone(), self.salt()).await?,
                    Some(password),
                ),
                (Passwords::Unknown | Passwords::Invitation, Some(hash)) => (hash.clone(), None),
                (Passwords::Unknown | Passwords::Invitation, None) => {
                    // Nobody sees this password, so all accounts can share its hash.
                    let hash = self.hasher.hash(client, password, self.salt()).await?;
                    unknown = Some(hash.clone());
                    (hash, None)
                }
            };
            made.insert(line.number, MadePassword { hash, one_time });
            note_progress(made.len(), total);
        }
        Ok(made)
    }
}

impl Write<'_> {
    fn import_accounts(
        &mut self,
        file: &ImportFile,
        expected: &str,
        mut hashes: MadePasswords,
        submission: Option<FormSubmission>,
    ) -> Result<Option<ImportOutcome>, FlowError> {
        // Imports take turns from here on.
        accounts::lock_administrators(self.connection)?;
        if let Some(submission) = &submission
            && let Some(KeptForm { outcome: Some(_), .. }) = self.find_form(submission)?
        {
            return Ok(None);
        }
        let reading = account_csv::read(&file.bytes);
        let lines: BTreeMap<usize, AccountCsvLine> =
            reading.lines.iter().map(|line| (line.number, line.clone())).collect();
        let initiator = self.initiator.clone();
        let plan = self.as_read().plan_import(&initiator, reading, file.passwords)?;
        if plan.fingerprint != expected {
            return Ok(Some(ImportOutcome::Refused(plan)));
        }
        let mut created = Vec::new();
        for line in plan.lines.iter().filter(|line| line.is_new()) {
            let (PlannedChange::Create(entry), Some(password)) = (&line.what, hashes.remove(&line.number)) else {
                continue;
            };
            let name = &lines.get(&line.number).ok_or_else(changed)?.name;
            created.push(self.create_imported(name, entry, password, file.passwords)?);
        }
        let mut ended = 0;
        // New administrators are added before any are removed.
        let (givers, others): (Vec<_>, Vec<_>) = plan.lines.iter().partition(|line| !line.takes_access());
        for planned in givers.into_iter().chain(others) {
            if let PlannedChange::Update(id, differences) = &planned.what {
                let line = lines.get(&planned.number).ok_or_else(changed)?;
                ended += self.update_imported(*id, line, differences)?;
            }
        }
        let done = ImportedAccounts { created, plan, ended };
        if let Some(submission) = &submission {
            let outcome = done.to_outcome(file.passwords, self.now)?;
            self.finish_form(submission, &outcome)?;
        }
        Ok(Some(ImportOutcome::Done(done)))
    }

    /// Creates the account of a line; returns its name and its one-time password.
    fn create_imported(
        &mut self,
        name: &AccountName,
        entry: &AccountEntry,
        password: MadePassword,
        passwords: Passwords,
    ) -> Result<(String, Option<Secret>), FlowError> {
        let one_time = password.one_time;
        let good_until = one_time.as_ref().map_or(NEVER, |_| self.now.saturating_add(ONE_TIME));
        let account = Account {
            display_name: entry.display_name.clone(),
            email: entry.email.clone(),
            groups: entry.groups.clone(),
            expires_at: entry.expires_at,
            password_set_by_other: passwords != Passwords::Invitation,
            must_change_password: entry.must_change || one_time.is_some(),
            password_good_until: Some(good_until),
            disabled_at: entry.disabled.then_some(self.now),
            ..self.ctx.new_account(name, entry.role, password.hash, self.now)
        };
        self.create_account(&account, one_time.is_some())?;
        if passwords == Passwords::Invitation && account.disabled_at.is_none() {
            self.send_invitation(&account)?;
        }
        Ok((account.name, one_time))
    }

    /// Changes an account as its line says; returns how many sessions ended.
    fn update_imported(
        &mut self,
        id: AccountId,
        line: &AccountCsvLine,
        differences: &[Difference],
    ) -> Result<usize, FlowError> {
        let old = entry_of(&accounts::find(self.connection, id)?.ok_or(FlowError::NotFound)?);
        let new = line.applied_to(old.clone());
        let mut all_ended = 0;
        for act in AccountAction::of_differences(&old, differences, &new) {
            // The plan was made under the same locks, so any other result rolls the import back.
            let AccountActionOutcome::Done { ended, .. } = self.change_account(id, act, None)? else {
                return Err(changed());
            };
            all_ended += ended;
        }
        Ok(all_ended)
    }
}

fn changed() -> FlowError {
    FlowError::Internal("the accounts changed while a file of them was imported; nothing was done".to_owned())
}
