//! The groups of a person: by `memberOf`, by searches, or by the matching rule of Active Directory.

use super::{
    connection::DirectoryConnection,
    entry::DirectoryEntry,
    error::{DirectoryError, DirectoryStep},
    filter,
    person::{DirectoryPerson, MEMBER_OF},
    pool::ConnectionPool,
};
use crate::domain::source::GroupLookup;
use ldap3::{
    LdapError, Scope,
    adapters::{Adapter, EntriesOnly, PagedResults},
    ldap_escape,
};
use std::collections::BTreeSet;

/// The rule of Active Directory that follows members of members (LDAP_MATCHING_RULE_IN_CHAIN).
const IN_CHAIN: &str = "1.2.840.113556.1.4.1941";
/// Maximum number of levels of groups in groups.
const MAX_LEVELS: usize = 32;
/// Maximum number of groups of one person; more is a fault of the settings.
const MAX_GROUPS: usize = 10_000;
/// Number of groups whose parents are searched at once.
const GROUPS_PER_SEARCH: usize = 50;

/// A group that was found.
struct FoundGroup {
    dn: String,
    name: Option<String>,
}

/// Returns the DNs and names of the groups, without duplicates.
pub(super) async fn groups_of(pool: &ConnectionPool, person: &DirectoryPerson) -> Result<Vec<String>, DirectoryError> {
    let settings = pool.settings();
    let found = match settings.group_lookup {
        GroupLookup::Off => Vec::new(),
        GroupLookup::MemberOf => {
            let base = settings.group_base.as_deref().unwrap_or(&settings.base);
            let direct = complete_member_of(pool, person).await?.into_iter();
            direct
                .map(|dn| FoundGroup {
                    // Elsewhere in the tree other people may create groups of the same name.
                    name: first_value(&dn).filter(|_| is_below(&dn, base)),
                    dn,
                })
                .collect()
        }
        GroupLookup::Search => {
            let filter = filter::groups(&settings.group_filter, &person.dn, &person.name);
            search_groups(pool, &filter).await?
        }
        GroupLookup::InChain => {
            let filter = format!("(member:{IN_CHAIN}:={})", ldap_escape(person.dn.as_str()));
            search_groups(pool, &filter).await?
        }
        GroupLookup::Nested => walk_up(pool, person).await?,
    };
    let mut names = BTreeSet::new();
    for group in found {
        names.extend(group.name);
        names.insert(group.dn);
    }
    Ok(names.into_iter().collect())
}

/// Returns the groups that the entry of a person names. Active Directory sends at most 1500 values
/// at once; the others are asked for by their numbers (range retrieval).
async fn complete_member_of(pool: &ConnectionPool, person: &DirectoryPerson) -> Result<Vec<String>, DirectoryError> {
    let mut all = person.member_of.clone();
    let mut missing = person.member_of_missing;
    while let Some(start) = missing {
        if all.len() > MAX_GROUPS {
            return Err(too_many_groups());
        }
        let attribute = format!("{MEMBER_OF};range={start}-*");
        let (dn, attribute) = (person.dn.as_str(), attribute.as_str());
        let search = async |connection: DirectoryConnection| {
            let mut operation = connection.operation();
            let found = operation
                .search(dn, Scope::Base, "(objectClass=*)", vec![attribute])
                .await?;
            Ok::<_, LdapError>(found.success()?.0)
        };
        let entries = pool.on_service(DirectoryStep::Groups, search).await?;
        let Some(entry) = entries.into_iter().find_map(DirectoryEntry::read) else {
            let words = "the entry disappeared while its groups were read".to_owned();
            return Err(DirectoryError::new(DirectoryStep::Groups, words));
        };
        all.extend(entry.texts(MEMBER_OF).map(str::to_owned));
        // A server that does not move on would keep us here for ever.
        missing = entry.first_missing(MEMBER_OF).filter(|next| *next > start);
    }
    Ok(all)
}

fn too_many_groups() -> DirectoryError {
    let words = format!("the person is in more than {MAX_GROUPS} groups");
    DirectoryError::new(DirectoryStep::Groups, words)
}

/// Finds the groups of the person, the groups of those groups, and so on. A ring of groups
/// ends, because no group is searched twice.
async fn walk_up(pool: &ConnectionPool, person: &DirectoryPerson) -> Result<Vec<FoundGroup>, DirectoryError> {
    let template = &pool.settings().group_filter;
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    let mut filters = vec![filter::groups(template, &person.dn, &person.name)];
    for _ in 0..MAX_LEVELS {
        let mut fresh = Vec::new();
        for filter in &filters {
            for group in search_groups(pool, filter).await? {
                if seen.insert(group.dn.to_lowercase()) {
                    fresh.push(group);
                }
            }
        }
        if fresh.is_empty() {
            return Ok(all);
        }
        let parents = |groups: &[FoundGroup]| {
            let each: String = groups
                .iter()
                .map(|group| filter::groups(template, &group.dn, group.name.as_deref().unwrap_or_default()))
                .collect();
            format!("(|{each})")
        };
        filters = fresh.chunks(GROUPS_PER_SEARCH).map(parents).collect();
        all.extend(fresh);
        check_number(&all)?;
    }
    Ok(all)
}

fn check_number(groups: &[FoundGroup]) -> Result<(), DirectoryError> {
    match groups.len() > MAX_GROUPS {
        true => Err(too_many_groups()),
        false => Ok(()),
    }
}

async fn search_groups(pool: &ConnectionPool, filter: &str) -> Result<Vec<FoundGroup>, DirectoryError> {
    let settings = pool.settings();
    let base = settings.group_base.as_deref().unwrap_or(&settings.base);
    let name_attribute = settings.group_name_attribute.as_str();
    let page_size = i32::try_from(settings.page_size).unwrap_or(500);
    let search = async |connection: DirectoryConnection| {
        let adapters: Vec<Box<dyn Adapter<'_, &str, Vec<&str>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(page_size))];
        let mut operation = connection.operation();
        let mut stream = operation
            .streaming_search_with(adapters, base, Scope::Subtree, filter, vec![name_attribute])
            .await?;
        let mut groups = Vec::new();
        while let Some(entry) = stream.next().await? {
            if let Some(entry) = DirectoryEntry::read(entry) {
                groups.push(FoundGroup {
                    name: entry.text(name_attribute).map(str::to_owned),
                    dn: entry.dn,
                });
            }
            if groups.len() > MAX_GROUPS {
                connection.close();
                return Ok(groups);
            }
        }
        // A search that a limit cut short ends like a complete one.
        stream.finish().await.success()?;
        Ok::<_, LdapError>(groups)
    };
    let _turn = pool.paging.lock().await;
    let groups = pool.on_service(DirectoryStep::Groups, search).await?;
    check_number(&groups)?;
    Ok(groups)
}

/// Returns whether a DN lies below another, without regard to case and to blanks around separators.
/// Two spellings that differ in escapes are taken for different ones.
fn is_below(dn: &str, base: &str) -> bool {
    let (parts, base) = (dn_parts(dn), dn_parts(base));
    parts.len() > base.len() && parts.ends_with(&base)
}

/// Splits a DN at its commas (RFC 4514), except escaped ones.
fn dn_parts(dn: &str) -> Vec<String> {
    let (mut parts, mut is_escaped) = (vec![String::new()], false);
    for c in dn.chars() {
        match (c, parts.last_mut()) {
            (',', _) if !is_escaped => parts.push(String::new()),
            (_, Some(part)) => part.extend(c.to_lowercase()),
            (_, None) => {}
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    let tidy = |part: String| match part.split_once('=') {
        Some((name, value)) => format!("{}={}", name.trim(), value.trim()),
        None => part.trim().to_owned(),
    };
    parts.into_iter().map(tidy).collect()
}

/// Returns the first value of a DN: `admins` of `cn=admins,ou=groups,dc=example`. `None`: it is
/// escaped, and only the whole DN names the group.
fn first_value(dn: &str) -> Option<String> {
    let (first, _) = dn.split_once(',').unwrap_or((dn, ""));
    let (_, value) = first.split_once('=')?;
    let is_plain = !value.is_empty() && !value.contains(['\\', '+', '"', '#']);
    is_plain.then(|| value.trim().to_owned())
}
