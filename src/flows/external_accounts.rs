//! Accounts whose identity is proved at a source: found by their identity there, never by their
//! name alone, created or claimed at the first sign-in, and made to follow what the source says.

use super::{Ctx, FlowError, Initiator, Write};
use crate::{
    domain::{
        account::{Account, AccountName, Role, profile::check_profile},
        audit::Event,
        password::NEVER,
        secret,
        source::{ExternalIdentity, IdentitySource, MappedRights, Provision},
    },
    hashing::{HashingClient, HashingPurpose},
    store::{StoreError, accounts, accounts::count_usable_administrators},
};
use serde_json::json;
use std::net::IpAddr;

/// A person whom a source has identified, with what the source's rules give them.
pub(super) struct IdentifiedPerson {
    pub(super) source: IdentitySource,
    pub(super) identity: ExternalIdentity,
    rights: MappedRights,
    /// The account before the write; `None`: there is none yet.
    known: Option<Account>,
    /// The hash of a password that nobody knows, for a new account.
    new_hash: Option<String>,
}

/// Why a person whom a source has identified gets no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExternalRefusal {
    /// None of the allowed groups is theirs.
    NotAllowed,
    /// The source admits only accounts that an administrator listed.
    NotListed,
    /// Another account has the name.
    NameTaken,
    /// The name cannot be used here.
    NameUnusable,
}

impl ExternalRefusal {
    /// Returns the stable code for the audit.
    pub(super) const fn code(self) -> &'static str {
        match self {
            ExternalRefusal::NotAllowed => "not_in_allowed_group",
            ExternalRefusal::NotListed => "not_listed",
            ExternalRefusal::NameTaken => "name_taken",
            ExternalRefusal::NameUnusable => "name_unusable",
        }
    }
}

impl Ctx {
    /// Reads the account of an identified person and prepares a new one, before the write: nothing
    /// slow happens inside it. `ip`: the address that the hashing queue counts.
    pub(super) async fn identify_person(
        &self,
        source: &IdentitySource,
        identity: ExternalIdentity,
        ip: IpAddr,
    ) -> Result<IdentifiedPerson, FlowError> {
        let (id, external_id) = (source.id, identity.external_id.clone());
        let name = AccountName::parse(&identity.name).ok();
        let known = self.read(move |r| {
            if let Some(account) = accounts::find_by_external_id(r.connection, id, &external_id)? {
                return Ok(Some(account));
            }
            Ok(match name {
                Some(name) => accounts::find_listed(r.connection, id, name.key())?,
                None => None,
            })
        });
        let known = known.await?;
        let new_hash = if known.is_none() && source.definition.provision == Provision::Auto {
            let client = HashingClient::new(HashingPurpose::SignIn, Some(ip));
            let nobodys = secret::token(self.random_bytes());
            Some(self.hasher.hash(&client, nobodys, self.salt()).await?)
        } else {
            None
        };
        Ok(IdentifiedPerson {
            rights: source.definition.mapping.apply(&identity.groups),
            source: source.clone(),
            identity,
            known,
            new_hash,
        })
    }
}

impl IdentifiedPerson {
    /// Returns the account as it was read.
    pub(super) fn account(&self) -> Option<&Account> {
        self.known.as_ref()
    }

    /// Returns whether the write may change the number of administrators, so that it must lock
    /// their rows first.
    pub(super) fn concerns_administrators(&self) -> bool {
        let is_one = self
            .known
            .as_ref()
            .is_some_and(|known| known.role == Role::Administrator);
        is_one || self.rights.role == Role::Administrator
    }
}

impl Write<'_> {
    /// Finds, claims or creates the account of an identified person, and makes name, address, role
    /// and groups follow the source. The caller has locked what
    /// [`IdentifiedPerson::concerns_administrators`] asks for.
    pub(super) fn external_account(
        &mut self,
        person: &IdentifiedPerson,
    ) -> Result<Result<Account, ExternalRefusal>, FlowError> {
        if !person.rights.allowed {
            return Ok(Err(ExternalRefusal::NotAllowed));
        }
        let Ok(name) = AccountName::parse(&person.identity.name) else {
            return Ok(Err(ExternalRefusal::NameUnusable));
        };
        let (source, external_id) = (person.source.id, person.identity.external_id.as_str());
        if let Some(account) = accounts::find_by_external_id(self.connection, source, external_id)? {
            return Ok(Ok(self.follow_source(account, person, &name)?));
        }
        if let Some(mut listed) = accounts::find_listed(self.connection, source, name.key())? {
            listed.external_id = Some(external_id.to_owned());
            return Ok(Ok(self.follow_source(listed, person, &name)?));
        }
        let Some(hash) = person.new_hash.clone() else {
            return Ok(Err(ExternalRefusal::NotListed));
        };
        if accounts::find_by_name_key(self.connection, name.key())?.is_some() {
            return Ok(Err(ExternalRefusal::NameTaken));
        }
        let mut account = Account {
            source: Some(source),
            external_id: Some(external_id.to_owned()),
            // No password ever opens it.
            password_good_until: Some(NEVER),
            groups: person.rights.groups.clone(),
            ..self.ctx.new_account(&name, person.rights.role, hash, self.now)
        };
        describe(&mut account, &person.identity);
        accounts::insert(self.connection, &account)?;
        let detail = json!({
            "role": account.role.as_str(), "groups": account.groups, "source": person.source.name.as_str(),
        });
        self.record_for_source(Event::AccountCreated, &account, detail)?;
        Ok(Ok(account))
    }

    /// Makes an account follow what its source says, and records what changed. The last usable
    /// administrator keeps the role, and a name that is taken stays as it was.
    pub(super) fn follow_source(
        &mut self,
        account: Account,
        person: &IdentifiedPerson,
        name: &AccountName,
    ) -> Result<Account, StoreError> {
        let before = account.clone();
        let mut account = account;
        describe(&mut account, &person.identity);
        if account.name_key != name.key() && accounts::find_by_name_key(self.connection, name.key())?.is_none() {
            account.name_key = name.key().to_owned();
        }
        if account.name_key == name.key() {
            account.name = name.shown().to_owned();
        }
        account.groups = person.rights.groups.clone();
        let demoted = before.role == Role::Administrator && person.rights.role != Role::Administrator;
        let is_last = demoted && count_usable_administrators(self.connection, Some(account.id), self.now)? == 0;
        if !is_last {
            account.role = person.rights.role;
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

/// Takes over the person's name and address, as far as they are usable here.
fn describe(account: &mut Account, identity: &ExternalIdentity) {
    let mut faults = Vec::new();
    let email = identity.email.as_deref().unwrap_or_default();
    let profile = check_profile(&identity.display_name, email, &[], &mut faults);
    let is_faulty = |name: &str| faults.iter().any(|(field, _)| *field == name);
    if !is_faulty("display_name") {
        account.display_name = profile.display_name;
    }
    if !is_faulty("email") {
        account.email = profile.email;
    }
}
