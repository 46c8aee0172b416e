//! The operations of a directory: finding people, listing them, and checking passwords.

use super::{
    bind::bind_person,
    error::DirectoryError,
    filter,
    groups::groups_of,
    people::{PeoplePages, find_people, one_person},
    person::{DirectoryPerson, PersonLookup},
    pool::ConnectionPool,
    refusal::{DirectoryRefusal, PasswordAnswer},
};
use crate::domain::{secret::Secret, source::LdapSettings, time::Timestamp};

/// The client of one directory; shared by everyone who asks it.
pub struct Directory {
    pub(super) pool: ConnectionPool,
}

impl Directory {
    /// Creates a client; nothing is opened or read yet. `bind_password`: the source's secret.
    pub fn new(settings: LdapSettings, bind_password: Option<Secret>) -> Self {
        Self {
            pool: ConnectionPool::new(settings, bind_password),
        }
    }

    /// Returns the settings of the source.
    pub fn settings(&self) -> &LdapSettings {
        self.pool.settings()
    }

    /// Finds the person with a typed name. `now` decides which accounts have expired.
    pub async fn find_person(&self, typed: &str, now: Timestamp) -> Result<PersonLookup, DirectoryError> {
        let Some(filter) = filter::person(&self.settings().user_filter, typed) else {
            return Ok(PersonLookup::NotFound);
        };
        self.pool.bounded(one_person(&self.pool, &filter, now)).await
    }

    /// Finds the person with an external ID ([`DirectoryPerson::external_id`]).
    pub async fn find_by_id(&self, external_id: &str, now: Timestamp) -> Result<PersonLookup, DirectoryError> {
        let Some(filter) = filter::identity(self.settings(), external_id) else {
            return Ok(PersonLookup::NotFound);
        };
        self.pool.bounded(one_person(&self.pool, &filter, now)).await
    }

    /// Returns the DN and the name of every group of a person, by the source's way to look them up.
    pub async fn list_groups(&self, person: &DirectoryPerson) -> Result<Vec<String>, DirectoryError> {
        self.pool.bounded(groups_of(&self.pool, person)).await
    }

    /// Checks a password on a connection of its own. An empty one is refused without asking,
    /// because a directory may answer it with success (RFC 4513, 5.1.2).
    pub async fn check_password(
        &self,
        person: &DirectoryPerson,
        password: &Secret,
    ) -> Result<PasswordAnswer, DirectoryError> {
        if password.expose().is_empty() || person.dn.is_empty() {
            return Ok(PasswordAnswer::Refused(DirectoryRefusal::WrongPassword));
        }
        self.pool
            .bounded(bind_person(&self.pool.connector, &person.dn, password))
            .await
    }

    /// Finds the people with these external IDs. IDs that no person has are left out.
    pub async fn find_all_by_id(
        &self,
        external_ids: &[String],
        now: Timestamp,
    ) -> Result<Vec<DirectoryPerson>, DirectoryError> {
        match filter::identities(self.settings(), external_ids) {
            Some(filter) => {
                // An ID names one entry; an attribute that is not quite unique is still tolerated.
                let most = external_ids.len().saturating_mul(2);
                self.pool.bounded(find_people(&self.pool, &filter, most, now)).await
            }
            None => Ok(Vec::new()),
        }
    }

    /// Starts to read all people of the source, page by page, without their groups.
    pub async fn read_people(&self, now: Timestamp) -> Result<PeoplePages<'_>, DirectoryError> {
        self.pool.bounded(PeoplePages::open(&self.pool, now)).await
    }

    /// Reads some people, at most `most`, in the directory's order.
    pub async fn read_sample(&self, most: usize, now: Timestamp) -> Result<Vec<DirectoryPerson>, DirectoryError> {
        let mut pages = self.read_people(now).await?;
        let mut sample = Vec::new();
        while sample.len() < most
            && let Some(people) = pages.next_page().await?
        {
            sample.extend(people);
        }
        sample.truncate(most);
        Ok(sample)
    }
}
