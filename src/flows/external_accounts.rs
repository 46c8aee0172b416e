//! Accounts whose identity is proved at a source: found by their identity there, never by their
//! name alone, created or claimed at the first sign-in, and updated to match the source.
//! Directories and identity providers share these rules.

use super::{Ctx, FlowError, Initiator, Write};
use crate::{
    domain::{
        account::{Account, AccountName, Role, check_email},
        audit::Event,
        password::NEVER,
        source::{ExternalIdentity, IdentitySource, MappedRights, Provision},
        text::is_invisible,
    },
    store::{Conn, StoreError, accounts, sources},
};
use serde_json::json;

/// The stored hash of an account whose identity is proved elsewhere: no password matches it.
const NO_PASSWORD: &str = "!";
/// Maximum length of a name for screens, in characters.
const MAX_DISPLAY_NAME: usize = 128;
/// How often a write about a person is tried while other writes are first.
const TRIES: usize = 3;

/// A person whom a source has identified, with what the source's rules give them.
#[derive(Clone)]
pub(super) struct IdentifiedPerson {
    pub(super) source: IdentitySource,
    pub(super) identity: ExternalIdentity,
    pub(super) rights: MappedRights,
}

/// Why a person whom a source has identified gets no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExternalRefusal {
    /// None of the allowed groups is theirs.
    NotAllowed,
    /// The source admits only accounts that an administrator listed.
    NotListed,
    /// A local account, or one of another source, has the name.
    NameTaken,
    /// The account with the name belongs to another identity at the same source.
    IdentityChanged,
    /// The name cannot be used here.
    NameUnusable,
    /// The source was disabled, deleted or given other rules while the person signed in.
    SourceChanged,
}

impl ExternalRefusal {
    /// Returns the stable code for the audit.
    pub(super) const fn code(self) -> &'static str {
        match self {
            ExternalRefusal::NotAllowed => "not_in_allowed_group",
            ExternalRefusal::NotListed => "not_listed",
            ExternalRefusal::NameTaken => "name_taken",
            ExternalRefusal::IdentityChanged => "identity_changed",
            ExternalRefusal::NameUnusable => "name_unusable",
            ExternalRefusal::SourceChanged => "source_changed",
        }
    }
}

/// Why a write about a person of a source failed.
pub(super) enum PersonWriteError {
    /// Another write created the account, or took its name, at the same moment.
    Overtaken,
    /// Anything else.
    Failed(FlowError),
}

impl From<StoreError> for PersonWriteError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict(_) => Self::Overtaken,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<FlowError> for PersonWriteError {
    fn from(error: FlowError) -> Self {
        Self::Failed(error)
    }
}

/// Which account a person of a source has or would get.
pub(super) enum AccountClaim {
    /// The account with the person's identity.
    Own(Account),
    /// The account that an administrator listed for the person's name.
    Listed(Account),
    /// None yet; the first sign-in creates it.
    Fresh,
    /// None.
    Refused(ExternalRefusal),
}

/// Finds the account of a person by the identity at the source. A name alone never links an
/// account: the same name with another identity is refused, whether the account is local, of
/// another source, or of a person who was deleted and created again.
pub(super) fn find_claim(
    c: &mut Conn,
    source: &IdentitySource,
    external_id: &str,
    name: &AccountName,
) -> Result<AccountClaim, StoreError> {
    if let Some(own) = accounts::find_by_external_id(c, source.id, external_id)? {
        return Ok(AccountClaim::Own(own));
    }
    if let Some(listed) = accounts::find_listed(c, source.id, name.key())? {
        return Ok(AccountClaim::Listed(listed));
    }
    let is_own =
        |account: &Account| account.source == Some(source.id) && account.external_id.as_deref() == Some(external_id);
    Ok(match accounts::find_by_name_key(c, name.key())? {
        // Another request created it between these statements.
        Some(own) if is_own(&own) => AccountClaim::Own(own),
        Some(other) if other.source == Some(source.id) => AccountClaim::Refused(ExternalRefusal::IdentityChanged),
        Some(_) => AccountClaim::Refused(ExternalRefusal::NameTaken),
        None if source.definition.provision == Provision::Listed => AccountClaim::Refused(ExternalRefusal::NotListed),
        None => AccountClaim::Fresh,
    })
}

impl Ctx {
    /// Reads the account of an identified person; `None`: there is none yet.
    pub(super) async fn find_external_account(&self, person: &IdentifiedPerson) -> Result<Option<Account>, FlowError> {
        let person = person.clone();
        self.read(move |r| {
            let external_id = &person.identity.external_id;
            let Ok(name) = AccountName::parse(&person.identity.name) else {
                return Ok(accounts::find_by_external_id(
                    r.connection,
                    person.source.id,
                    external_id,
                )?);
            };
            Ok(match find_claim(r.connection, &person.source, external_id, &name)? {
                AccountClaim::Own(account) | AccountClaim::Listed(account) => Some(account),
                AccountClaim::Fresh | AccountClaim::Refused(_) => None,
            })
        })
        .await
    }

    /// Returns the account of an identified person, created or brought up to date in a write of its
    /// own if that is necessary. `Err` inside: the person may not sign in.
    pub(super) async fn keep_external_account(
        &self,
        initiator: &Initiator,
        person: &IdentifiedPerson,
    ) -> Result<Result<Account, ExternalRefusal>, FlowError> {
        let known = self.find_external_account(person).await?;
        let concerns_administrators = person.concerns_administrators(known.as_ref());
        // The usual case needs no write.
        if let Some(account) = known
            && person.rights.allowed
            && person.describe(&account) == account
        {
            return Ok(Ok(account));
        }
        let person = person.clone();
        let kept = self.write_about_person(initiator, move |w| {
            // In the order of all writes: administrators before accounts.
            if concerns_administrators {
                accounts::lock_administrators(w.connection)?;
            }
            let current = sources::hold(w.connection, person.source.id)?;
            Ok(w.external_account(&person, current.as_ref())?)
        });
        Ok(kept.await?.unwrap_or(Err(ExternalRefusal::NameTaken)))
    }

    /// Performs a write about a person of a source. If another write was first, it is tried again
    /// and finds what that one left; `None`: another one was first every time.
    pub(super) async fn write_about_person<T: Send + 'static>(
        &self,
        initiator: &Initiator,
        act: impl Fn(&mut Write<'_>) -> Result<T, PersonWriteError> + Clone + Send + 'static,
    ) -> Result<Option<T>, FlowError> {
        for _ in 0..TRIES {
            match self.write_at(self.now(), initiator, act.clone()).await {
                Ok(done) => return Ok(Some(done)),
                Err(PersonWriteError::Overtaken) => {}
                Err(PersonWriteError::Failed(error)) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl IdentifiedPerson {
    /// Applies the rules of a source to a person.
    pub(super) fn new(source: &IdentitySource, identity: ExternalIdentity) -> Self {
        Self {
            rights: source.definition.mapping.apply(&identity.groups),
            source: source.clone(),
            identity,
        }
    }

    /// Returns whether a write about the person may change the number of administrators, so that it
    /// must lock their rows first. `known`: the account before the write.
    pub(super) fn concerns_administrators(&self, known: Option<&Account>) -> bool {
        let is_one = known.is_some_and(|known| known.role == Role::Administrator);
        is_one || self.rights.role == Role::Administrator
    }

    /// Returns the account as the source and its rules describe it. A name that cannot be used here
    /// is left as it was.
    pub(super) fn describe(&self, account: &Account) -> Account {
        let name = AccountName::parse(&self.identity.name).ok();
        let (name, name_key) = match &name {
            Some(name) => (name.shown(), name.key()),
            None => (account.name.as_str(), account.name_key.as_str()),
        };
        Account {
            name: name.to_owned(),
            name_key: name_key.to_owned(),
            // Identity headers carry the name, so invisible characters are left out.
            display_name: {
                let visible = self.identity.display_name.trim().chars().filter(|c| !is_invisible(*c));
                visible.take(MAX_DISPLAY_NAME).collect()
            },
            email: self.identity.email.as_deref().and_then(|email| check_email(email).ok()),
            role: self.rights.role,
            groups: self.rights.groups.clone(),
            external_id: Some(self.identity.external_id.clone()),
            ..account.clone()
        }
    }
}

impl Write<'_> {
    /// Finds, claims or creates the account of an identified person, and makes name, address, role
    /// and groups follow the source. The caller has locked what
    /// [`IdentifiedPerson::concerns_administrators`] asks for. `current`: the source, which the
    /// caller holds; `None`: it was deleted.
    pub(super) fn external_account(
        &mut self,
        person: &IdentifiedPerson,
        current: Option<&IdentitySource>,
    ) -> Result<Result<Account, ExternalRefusal>, StoreError> {
        // The source may have kept its answer back until now.
        if current != Some(&person.source) {
            return Ok(Err(ExternalRefusal::SourceChanged));
        }
        if !person.rights.allowed {
            return Ok(Err(ExternalRefusal::NotAllowed));
        }
        let Ok(name) = AccountName::parse(&person.identity.name) else {
            return Ok(Err(ExternalRefusal::NameUnusable));
        };
        match find_claim(self.connection, &person.source, &person.identity.external_id, &name)? {
            AccountClaim::Own(account) | AccountClaim::Listed(account) => Ok(Ok(self.follow_source(account, person)?)),
            AccountClaim::Fresh => Ok(Ok(self.create_external_account(person, &name)?)),
            AccountClaim::Refused(refusal) => Ok(Err(refusal)),
        }
    }

    fn create_external_account(
        &mut self,
        person: &IdentifiedPerson,
        name: &AccountName,
    ) -> Result<Account, StoreError> {
        let hash = NO_PASSWORD.to_owned();
        let account = Account {
            source: Some(person.source.id),
            password_good_until: Some(NEVER),
            ..self.ctx.new_account(name, person.rights.role, hash, self.now)
        };
        let account = person.describe(&account);
        accounts::insert(self.connection, &account)?;
        let detail = json!({
            "role": account.role.as_str(), "groups": account.groups, "source": person.source.name.as_str(),
        });
        self.record_for_source(Event::AccountCreated, &account, detail)?;
        Ok(account)
    }

    /// Returns whether nobody may sign in to the account, because its source is disabled or
    /// deleted.
    pub(super) fn is_source_closed(&mut self, account: &Account) -> Result<bool, StoreError> {
        let Some(id) = account.source else { return Ok(false) };
        Ok(!sources::hold(self.connection, id)?.is_some_and(|source| source.enabled))
    }

    /// Updates an account to match its source, and records what changed. A name that is taken stays
    /// as it was. The caller has locked what [`IdentifiedPerson::concerns_administrators`] asks
    /// for.
    pub(super) fn follow_source(&mut self, before: Account, person: &IdentifiedPerson) -> Result<Account, StoreError> {
        let mut account = person.describe(&before);
        if account.name_key != before.name_key
            && accounts::find_by_name_key(self.connection, &account.name_key)?.is_some()
        {
            account.name.clone_from(&before.name);
            account.name_key.clone_from(&before.name_key);
        }
        if account == before {
            return Ok(account);
        }
        accounts::update(self.connection, &account)?;
        self.forget_account(account.id);
        let source = person.source.name.as_str();
        if account.role != before.role {
            let detail = json!({ "from": before.role.as_str(), "to": account.role.as_str(), "source": source });
            self.record_for_source(Event::AccountRoleChanged, &account, detail)?;
        }
        let changed = [
            ("name", account.name != before.name),
            ("display_name", account.display_name != before.display_name),
            ("email", account.email != before.email),
            ("groups", account.groups != before.groups),
            ("external_id", account.external_id != before.external_id),
        ];
        let changed: Vec<&str> = changed
            .iter()
            .filter(|(_, changed)| *changed)
            .map(|(name, _)| *name)
            .collect();
        if !changed.is_empty() {
            let detail = json!({ "changed": changed, "source": source });
            self.record_for_source(Event::AccountUpdated, &account, detail)?;
        }
        Ok(account)
    }

    /// Records a change that the source caused, not the person.
    fn record_for_source(
        &mut self,
        event: Event,
        account: &Account,
        detail: serde_json::Value,
    ) -> Result<(), StoreError> {
        self.on_behalf_of(Initiator::system(), |w| {
            let entry = w.entry(event).with_account(account.id, &account.name);
            w.record(&entry.with_detail(detail))
        })
    }
}
