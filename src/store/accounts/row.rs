//! The row of an account.

use crate::{
    domain::{
        account::{Account, AccountId, Role},
        factor::EnrolledFactors,
        source::SourceId,
        time::Timestamp,
    },
    store::{StoreError, instant::StoredInstant, schema::accounts, text},
};
use diesel::{AsChangeset, Insertable, Queryable, Selectable};
use uuid::Uuid;

/// An account as its row.
#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = accounts, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(in crate::store) struct AccountRow {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) name_key: String,
    pub(super) name_sort: String,
    pub(super) search: String,
    pub(super) display_name: String,
    pub(super) email: Option<String>,
    pub(super) role: String,
    pub(super) member_of: String,
    pub(super) password_hash: String,
    pub(super) password_changed_at: StoredInstant,
    pub(super) password_set_by_other: bool,
    pub(super) must_change_password: bool,
    pub(super) disabled_at: Option<StoredInstant>,
    pub(super) expires_at: Option<StoredInstant>,
    pub(super) expired_at: Option<StoredInstant>,
    pub(super) expired_by: Option<String>,
    pub(super) created_at: StoredInstant,
    pub(super) activated_at: StoredInstant,
    pub(super) last_sign_in_at: Option<StoredInstant>,
    pub(super) last_session_ended_at: Option<StoredInstant>,
    pub(super) password_good_until: Option<StoredInstant>,
    pub(super) factor_required_at: Option<StoredInstant>,
    pub(super) authenticator_app: bool,
    pub(super) passkeys: i32,
    pub(super) recovery_codes: i32,
    pub(super) source_id: Option<String>,
    pub(super) external_id: Option<String>,
}

impl AccountRow {
    pub(super) fn from_account(account: &Account) -> Result<AccountRow, StoreError> {
        let groups = serde_json::to_string(&account.groups);
        Ok(AccountRow {
            id: account.id.0.to_string(),
            name: text::clean(&account.name).into_owned(),
            name_key: text::clean(&account.name_key).into_owned(),
            name_sort: text::sort_key(&account.name_key),
            search: text::searchable(
                [account.name.as_str(), account.display_name.as_str()]
                    .into_iter()
                    .chain(account.email.as_deref()),
            ),
            display_name: text::clean(&account.display_name).into_owned(),
            email: account.email.as_deref().map(|email| text::clean(email).into_owned()),
            role: account.role.as_str().to_owned(),
            member_of: groups.map_err(|_| StoreError::Corrupt("an account's groups".into()))?,
            password_hash: account.password_hash.clone(),
            password_changed_at: account.password_changed_at.into(),
            password_set_by_other: account.password_set_by_other,
            must_change_password: account.must_change_password,
            disabled_at: account.disabled_at.map(StoredInstant::from),
            expires_at: account.expires_at.map(StoredInstant::from),
            expired_at: account.expired_at.map(StoredInstant::from),
            expired_by: account.expired_by.clone(),
            created_at: account.created_at.into(),
            activated_at: account.activated_at.into(),
            last_sign_in_at: account.last_sign_in_at.map(StoredInstant::from),
            last_session_ended_at: account.last_session_ended_at.map(StoredInstant::from),
            password_good_until: account.password_good_until.map(StoredInstant::from),
            factor_required_at: account.factor_required_at.map(StoredInstant::from),
            authenticator_app: account.factors.authenticator_app,
            passkeys: factor_column(account.factors.passkeys),
            recovery_codes: factor_column(account.factors.recovery_codes),
            source_id: account.source.map(|source| source.0.to_string()),
            external_id: account.external_id.clone(),
        })
    }

    pub(super) fn read(self) -> Result<Account, StoreError> {
        Ok(Account {
            id: parse_id(&self.id)?,
            role: parse_role(&self.role)?,
            groups: serde_json::from_str(&self.member_of)
                .map_err(|_| StoreError::Corrupt("an account's groups".into()))?,
            name: self.name,
            name_key: self.name_key,
            display_name: self.display_name,
            email: self.email,
            password_hash: self.password_hash,
            password_changed_at: self.password_changed_at.into(),
            password_set_by_other: self.password_set_by_other,
            must_change_password: self.must_change_password,
            disabled_at: self.disabled_at.map(Timestamp::from),
            expires_at: self.expires_at.map(Timestamp::from),
            expired_at: self.expired_at.map(Timestamp::from),
            expired_by: self.expired_by,
            created_at: self.created_at.into(),
            activated_at: self.activated_at.into(),
            last_sign_in_at: self.last_sign_in_at.map(Timestamp::from),
            last_session_ended_at: self.last_session_ended_at.map(Timestamp::from),
            password_good_until: self.password_good_until.map(Timestamp::from),
            factor_required_at: self.factor_required_at.map(Timestamp::from),
            factors: factors_of(self.authenticator_app, self.passkeys, self.recovery_codes)?,
            source: self.source_id.as_deref().map(parse_source_id).transpose()?,
            external_id: self.external_id,
        })
    }
}

fn factor_column(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Reads the columns with the factors of an account.
pub(in crate::store) fn factors_of(
    authenticator_app: bool,
    passkeys: i32,
    recovery_codes: i32,
) -> Result<EnrolledFactors, StoreError> {
    let number =
        |column: i32| u32::try_from(column).map_err(|_| StoreError::Corrupt("an account's number of factors".into()));
    Ok(EnrolledFactors {
        authenticator_app,
        passkeys: number(passkeys)?,
        recovery_codes: number(recovery_codes)?,
    })
}

pub(in crate::store) fn parse_id(text: &str) -> Result<AccountId, StoreError> {
    Uuid::parse_str(text)
        .map(AccountId)
        .map_err(|_| StoreError::Corrupt("an account's id".into()))
}

pub(in crate::store) fn parse_role(text: &str) -> Result<Role, StoreError> {
    Role::parse(text).ok_or_else(|| StoreError::Corrupt("an account's role".into()))
}

pub(in crate::store) fn parse_source_id(text: &str) -> Result<SourceId, StoreError> {
    Uuid::parse_str(text)
        .map(SourceId)
        .map_err(|_| StoreError::Corrupt("an account's source".into()))
}
