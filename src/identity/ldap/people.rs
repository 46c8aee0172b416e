//! The searches that find people.

use super::{
    connection::DirectoryConnection,
    error::{DirectoryError, DirectoryStep},
    filter,
    person::{DirectoryPerson, PersonLookup, person_attributes, read_person},
    pool::ConnectionPool,
};
use crate::domain::{source::LdapSettings, time::Timestamp};
use ldap3::{
    LdapError, Scope, SearchOptions, SearchStream,
    adapters::{Adapter, EntriesOnly, PagedResults},
};

/// Maximum number of entries that a search for one person asks for: the second one shows that the
/// name is ambiguous.
const MAX_MATCHES: usize = 2;

/// Finds the one person that a filter matches.
pub(super) async fn one_person(
    pool: &ConnectionPool,
    filter: &str,
    now: Timestamp,
) -> Result<PersonLookup, DirectoryError> {
    let settings = pool.settings();
    let search = async |connection: DirectoryConnection| {
        let mut operation = connection.operation();
        operation.with_search_options(SearchOptions::new().sizelimit(MAX_MATCHES as i32));
        // References to other servers are not followed: they would receive the password.
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![Box::new(EntriesOnly::new())];
        let mut stream = operation
            .streaming_search_with(
                adapters,
                &settings.base,
                Scope::Subtree,
                filter,
                person_attributes(settings),
            )
            .await?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.next().await? {
            entries.push(entry);
            if entries.len() > MAX_MATCHES {
                // The server ignores the limit, and nobody knows when it would stop.
                connection.close();
                return Ok(entries);
            }
        }
        let result = stream.finish().await;
        match result.rc {
            // Code 4 (size limit): more than one entry matches, which is reported as ambiguous.
            0 | 4 => Ok(entries),
            // A base that does not exist (code 32) is a fault of the settings, not a missing
            // person.
            _ => Err(LdapError::from(result)),
        }
    };
    let entries = pool.on_service(DirectoryStep::Search, search).await?;
    let mut entries = entries.into_iter();
    Ok(match (entries.next(), entries.next()) {
        (None, _) => PersonLookup::NotFound,
        (Some(_), Some(_)) => PersonLookup::Ambiguous,
        (Some(entry), None) => match read_person(settings, entry, now) {
            Some(person) => PersonLookup::Found(Box::new(person)),
            None => PersonLookup::Incomplete,
        },
    })
}

/// Finds all people that a filter matches. More than `most` entries are an error.
pub(super) async fn find_people(
    pool: &ConnectionPool,
    filter: &str,
    most: usize,
    now: Timestamp,
) -> Result<Vec<DirectoryPerson>, DirectoryError> {
    let settings = pool.settings();
    let search = async |connection: DirectoryConnection| {
        let mut operation = connection.operation();
        let mut stream = operation
            .streaming_search_with(
                page_adapters(settings),
                &settings.base,
                Scope::Subtree,
                filter,
                person_attributes(settings),
            )
            .await?;
        let (mut people, mut count) = (Vec::new(), 0_usize);
        while let Some(entry) = stream.next().await? {
            people.extend(read_person(settings, entry, now));
            count += 1;
            if count > most {
                connection.close();
                return Ok((people, count));
            }
        }
        // A search that a limit cut short ends like a complete one; only the result code differs.
        stream.finish().await.success()?;
        Ok::<_, LdapError>((people, count))
    };
    let _turn = pool.paging.lock().await;
    let (people, count) = pool.on_service(DirectoryStep::Search, search).await?;
    match count > most {
        true => Err(DirectoryError::new(
            DirectoryStep::Search,
            format!("the server sent more than {most} entries"),
        )),
        false => Ok(people),
    }
}

/// All people of a source, page by page. Only one page is in memory at a time.
pub struct PeoplePages<'a> {
    pool: &'a ConnectionPool,
    /// Closed together with this value.
    _connection: DirectoryConnection,
    stream: SearchStream<'a, String, Vec<String>>,
    now: Timestamp,
}

impl<'a> PeoplePages<'a> {
    pub(super) async fn open(pool: &'a ConnectionPool, now: Timestamp) -> Result<Self, DirectoryError> {
        let settings = pool.settings();
        let filter = filter::everyone(&settings.user_filter);
        // A connection of its own: other searches in pages would end this one.
        let connection = pool.open_service().await?;
        let stream = connection
            .operation()
            .streaming_search_with(
                page_adapters(settings),
                &settings.base,
                Scope::Subtree,
                &filter,
                person_attributes(settings),
            )
            .await
            .map_err(|fault| DirectoryError::from_ldap(DirectoryStep::Search, &fault))?;
        Ok(Self {
            pool,
            _connection: connection,
            stream,
            now,
        })
    }

    /// Returns the next people, at most one page. `Ok(None)`: there are no more. A search that was
    /// cut short is an error.
    pub async fn next_page(&mut self) -> Result<Option<Vec<DirectoryPerson>>, DirectoryError> {
        let settings = self.pool.settings();
        let most = usize::try_from(settings.page_size).unwrap_or(usize::MAX);
        let mut people = Vec::new();
        while people.len() < most {
            match self.stream.next().await {
                Ok(Some(entry)) => people.extend(read_person(settings, entry, self.now)),
                Ok(None) if people.is_empty() => {
                    let done = self.stream.finish().await.success();
                    let done = done.map_err(|fault| DirectoryError::from_ldap(DirectoryStep::Search, &fault));
                    return done.map(|_| None);
                }
                Ok(None) => break,
                Err(fault) => return Err(DirectoryError::from_ldap(DirectoryStep::Search, &fault)),
            }
        }
        Ok(Some(people))
    }
}

/// References to other servers are left out, and the rest comes in pages.
fn page_adapters<'a>(settings: &LdapSettings) -> Vec<Box<dyn Adapter<'a, String, Vec<String>> + 'a>> {
    let page_size = i32::try_from(settings.page_size).unwrap_or(500);
    vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(page_size))]
}
