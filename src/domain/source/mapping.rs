//! The rules that turn the groups of a directory, or the values of a claim, into our role and
//! groups.

use super::reader::SettingReader;
use crate::{account::Role, text::fold, text::is_invisible};

/// Maximum number of rules of one source.
const MAX_RULES: usize = 500;

/// The role or group that a rule grants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MappingTarget {
    /// A role.
    Role(Role),
    /// One of our groups, which give access to applications.
    Group(String),
}

/// One rule: members of the group get the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappingRule {
    /// The group at the source, by name or by distinguished name; `*` matches every account.
    pub group: String,
    /// The role or group that the rule grants.
    pub target: MappingTarget,
}

/// The rules of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mapping {
    /// The rules in order. The order decides nothing: the strongest role wins, groups add up.
    pub rules: Vec<MappingRule>,
    /// The groups at the source of which an account needs one to sign in; empty: none is needed.
    pub allowed_groups: Vec<String>,
}

/// The rights that the rules grant to one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedRights {
    /// Whether the account may sign in at all.
    pub allowed: bool,
    /// Its role: member, unless a rule grants administrator.
    pub role: Role,
    /// Its groups with us, sorted, each once.
    pub groups: Vec<String>,
}

impl MappingRule {
    /// Parses `GROUP -> administrator`, `GROUP -> member` or `GROUP -> group NAME`.
    ///
    /// # Errors
    /// The predicate of a sentence about the line.
    pub fn parse(line: &str) -> Result<Self, String> {
        // The last arrow separates: a distinguished name may contain one.
        let Some((group, target)) = line.rsplit_once("->") else {
            return Err(format!(
                "has a line without “->”: {line:?} (write GROUP -> administrator, or GROUP -> group NAME)"
            ));
        };
        let (group, target) = (group.trim(), target.trim());
        if group.is_empty() {
            return Err(format!("names no group of the source in {line:?}"));
        }
        let target = match target.split_once(char::is_whitespace) {
            Some(("group", name)) => MappingTarget::Group(check_group(name.trim())?),
            Some(_) | None => match Role::parse(target) {
                Some(role) => MappingTarget::Role(role),
                None => {
                    return Err(format!(
                        "gives {target:?}, which is neither administrator, member nor group NAME"
                    ));
                }
            },
        };
        Ok(Self {
            group: group.to_owned(),
            target,
        })
    }

    /// Returns the line that parses to this rule.
    pub fn line(&self) -> String {
        match &self.target {
            MappingTarget::Role(role) => format!("{} -> {}", self.group, role.as_str()),
            MappingTarget::Group(name) => format!("{} -> group {name}", self.group),
        }
    }
}

fn check_group(name: &str) -> Result<String, String> {
    if name.is_empty() || name.contains(',') || name.chars().any(is_invisible) || name.chars().count() > 64 {
        return Err(format!(
            "gives the group {name:?}: a group has at most 64 characters, no commas and no control characters"
        ));
    }
    Ok(name.to_owned())
}

impl Mapping {
    /// Reads the settings `mapping` and `allowed_groups`.
    pub(super) fn read(reader: &mut SettingReader<'_>) -> Self {
        let mut rules = Vec::new();
        for line in reader.lines("mapping") {
            match MappingRule::parse(&line) {
                Ok(rule) => rules.push(rule),
                Err(fault) => reader.fault("mapping", fault),
            }
        }
        if rules.len() > MAX_RULES {
            reader.fault("mapping", format!("has more than {MAX_RULES} rules"));
        }
        Self {
            rules,
            allowed_groups: reader.lines("allowed_groups"),
        }
    }

    /// Returns what an account with these groups at the source gets. Groups are compared without
    /// case, and distinguished names also without blanks after commas.
    pub fn apply(&self, groups: &[String]) -> MappedRights {
        let has: Vec<String> = groups.iter().map(|group| group_key(group)).collect();
        let is_in = |group: &str| group == "*" || has.contains(&group_key(group));
        let mut rights = MappedRights {
            allowed: self.allowed_groups.is_empty() || self.allowed_groups.iter().any(|group| is_in(group)),
            role: Role::Member,
            groups: Vec::new(),
        };
        for rule in self.rules.iter().filter(|rule| is_in(&rule.group)) {
            match &rule.target {
                MappingTarget::Role(role) => rights.role = rights.role.max(*role),
                MappingTarget::Group(name) => rights.groups.push(name.clone()),
            }
        }
        rights.groups.sort_unstable();
        rights.groups.dedup();
        rights
    }

    /// Returns whether a rule can make someone an administrator.
    pub fn gives_administrator(&self) -> bool {
        let administrator = MappingTarget::Role(Role::Administrator);
        self.rules.iter().any(|rule| rule.target == administrator)
    }
}

/// Returns the form in which two names of a group are compared.
fn group_key(group: &str) -> String {
    let parts: Vec<&str> = group.split(',').map(str::trim).collect();
    fold(&parts.join(","))
}
