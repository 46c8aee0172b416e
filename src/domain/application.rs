//! Protected applications: which one an address belongs to, who may enter it, which of its paths are public.
//! How long a session lives in one is the policy's; reading the address out of a proxy's headers is not here.

use std::{collections::HashMap, fmt, sync::Arc};

use url::{Origin, Url};

use super::{
    account::{Role, forbidden_in_names, invisible},
    policy::{application_name, effective::Glob},
};

mod target;

pub use target::{Target, TargetError, canonical_path, without_parameters};

/// Hosts, prefixes, groups or public paths of one application at most.
const MOST: usize = 32;
/// Longest prefix, group or public path, in characters.
const LONGEST: usize = 256;

/// One entry of the table of applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// As the policy's scope names it.
    pub name: String,
    /// Where it answers; at least one.
    pub hosts: Vec<Host>,
    /// The parts of those hosts that are it, decoded and without a slash at the end; none = all of them.
    pub prefixes: Vec<String>,
    /// Roles that may enter; with no group either: anyone signed in.
    pub roles: Vec<Role>,
    /// Groups that may enter.
    pub groups: Vec<String>,
    /// Patterns of paths that anybody gets, without identity.
    pub public: Vec<String>,
}

/// A host name as compared: lower case, punycode, no dot at the end; the port only when the entry names one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// `wiki.example.org`, `192.0.2.7`, `[2001:db8::1]`.
    pub name: String,
    /// None: whatever the port.
    pub port: Option<u16>,
}

impl Host {
    /// Reads `Wiki.Example.org`, `wiki.example.org.`, `bücher.example:8443`, `[::1]:80`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refused = || format!("{text:?}: write a host name, like wiki.example.org or wiki.example.org:8443.");
        let (name, port) = target::authority(text.trim()).ok_or_else(refused)?;
        Ok(Self { name, port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// An application as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Typed {
    /// Its name.
    pub name: String,
    /// Hosts.
    pub hosts: Vec<String>,
    /// Path prefixes.
    pub prefixes: Vec<String>,
    /// Roles.
    pub roles: Vec<Role>,
    /// Groups.
    pub groups: Vec<String>,
    /// Public paths.
    pub public: Vec<String>,
}

/// A field and what is wrong with it.
pub type FieldFault = (&'static str, String);

impl Typed {
    /// What was typed of an application that exists.
    pub fn of(application: &Application) -> Self {
        Self {
            name: application.name.clone(),
            hosts: application.hosts.iter().map(Host::to_string).collect(),
            prefixes: application.prefixes.clone(),
            roles: application.roles.clone(),
            groups: application.groups.clone(),
            public: application.public.clone(),
        }
    }

    /// The application that this means, or everything that is wrong with it.
    pub fn check(&self) -> Result<Application, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let name = self.name.trim();
        // A dot segment has no address of its own.
        if !application_name(name) || matches!(name, "." | "..") {
            let rule = "A name has 1 to 64 characters, none of them white space or invisible.";
            faults.push(("name", rule.to_owned()));
        }
        let hosts = each("hosts", &self.hosts, &mut faults, Host::parse);
        if hosts.is_empty() && self.hosts.iter().all(|host| host.trim().is_empty()) {
            faults.push((
                "hosts",
                "At least one host is needed, like wiki.example.org.".to_owned(),
            ));
        }
        let mut prefixes = each("prefixes", &self.prefixes, &mut faults, prefix);
        // All of the host is no part of it.
        if prefixes.iter().any(String::is_empty) {
            prefixes.clear();
        }
        let groups = each("groups", &self.groups, &mut faults, group);
        let public = each("public", &self.public, &mut faults, public_path);
        let mut roles = self.roles.clone();
        roles.sort_unstable();
        roles.dedup();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Application {
            name: name.to_owned(),
            hosts,
            prefixes,
            roles,
            groups,
            public,
        })
    }
}

/// Reads every filled item of a field, sorted, each once.
fn each<T: Ord>(
    field: &'static str,
    items: &[String],
    faults: &mut Vec<FieldFault>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut kept = Vec::new();
    for item in items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()) {
        if item.chars().count() > LONGEST {
            faults.push((field, format!("At most {LONGEST} characters each.")));
        } else {
            match read(item) {
                Ok(item) => kept.push(item),
                Err(why) => faults.push((field, why)),
            }
        }
    }
    kept.sort_unstable();
    kept.dedup();
    if kept.len() > MOST {
        faults.push((field, format!("At most {MOST} of them.")));
    }
    kept
}

fn prefix(text: &str) -> Result<String, String> {
    let path = text.trim_end_matches('/');
    if path.is_empty() {
        return Ok(String::new());
    }
    let plain = !path.contains(['?', '#', '*']);
    canonical_path(path)
        .filter(|_| plain)
        .ok_or_else(|| format!("{text:?}: write the beginning of a path, like /wiki."))
}

fn group(text: &str) -> Result<String, String> {
    if text.chars().any(forbidden_in_names) {
        return Err(format!("{text:?}: a group has no commas or invisible characters."));
    }
    Ok(text.to_owned())
}

fn public_path(text: &str) -> Result<String, String> {
    if !text.starts_with('/') || text.chars().any(invisible) {
        return Err(format!(
            "{text:?}: write a path that begins with /, like /healthz or /assets/*."
        ));
    }
    Ok(text.to_owned())
}

impl Application {
    /// Whether decisions depend on the path: then a path must have one reading only.
    pub fn has_path_rules(&self) -> bool {
        !self.prefixes.is_empty() || !self.public.is_empty()
    }

    /// Whether somebody signed in may enter. An administrator may do what members may.
    pub fn admits(&self, role: Role, groups: &[String]) -> bool {
        let anyone = self.roles.is_empty() && self.groups.is_empty();
        anyone || self.roles.iter().any(|allowed| role >= *allowed) || self.groups.iter().any(|g| groups.contains(g))
    }

    /// Who may enter, in words.
    pub fn entrants(&self) -> String {
        let groups = self.groups.iter().map(|group| format!("group {group}"));
        let roles = self.roles.iter().map(|role| match role {
            Role::Member => "members".to_owned(),
            Role::Administrator => "administrators".to_owned(),
        });
        let all: Vec<String> = roles.chain(groups).collect();
        if all.is_empty() {
            "anyone signed in".to_owned()
        } else {
            all.join(", ")
        }
    }

    /// Whether anybody gets this (decoded) path.
    fn is_public(&self, path: &str) -> bool {
        self.public.iter().any(|pattern| Glob::fits(pattern, path))
    }

    /// How well the entry fits: a named port before any port, then the longest prefix. `None`: not at all.
    fn fits(&self, target: &Target, path: Option<&str>) -> Option<(bool, usize)> {
        let named_port = self.host_of(target)?;
        if self.prefixes.is_empty() {
            return Some((named_port, 0));
        }
        let below = |prefix: &String| {
            let rest = path?.strip_prefix(prefix.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then_some(prefix.len())
        };
        let longest = self.prefixes.iter().filter_map(below).max()?;
        Some((named_port, longest))
    }

    /// Whether it answers there, and by an entry that names the port.
    fn host_of(&self, target: &Target) -> Option<bool> {
        let fitting = self.hosts.iter().filter(|host| host.name == target.host());
        fitting
            .filter(|host| host.port.is_none_or(|port| port == target.port()))
            .map(|host| host.port.is_some())
            .max()
    }

    /// Every place that is its own: (host, prefix).
    pub fn places(&self) -> Vec<(String, String)> {
        let whole = [String::new()];
        let prefixes: &[String] = if self.prefixes.is_empty() {
            &whole
        } else {
            &self.prefixes
        };
        let at = |host: &Host| {
            let host = host.to_string();
            prefixes.iter().map(move |prefix| (host.clone(), prefix.clone()))
        };
        self.hosts.iter().flat_map(at).collect()
    }

    /// For the audit and for scripts.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name,
            "hosts": self.hosts.iter().map(Host::to_string).collect::<Vec<_>>(),
            "path_prefixes": self.prefixes,
            "roles": self.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(),
            "groups": self.groups,
            "public_paths": self.public,
        })
    }
}

/// Which of the applications of a host a (decoded) path belongs to, the best fitting.
fn place_of(there: &[&Arc<Application>], target: &Target, path: Option<&str>) -> Place {
    let fitting = there.iter().filter_map(|a| Some((a.fits(target, path)?, *a)));
    match (fitting.max_by_key(|(fit, _)| *fit), path) {
        (None, _) => Place::Unknown,
        (Some((_, application)), Some(path)) if application.is_public(path) => Place::Public(application.clone()),
        (Some((_, application)), _) => Place::Guarded(application.clone()),
    }
}

/// All applications, ready to be asked; cheap to share.
#[derive(Debug, Clone, Default)]
pub struct Applications {
    all: Vec<Arc<Application>>,
    by_host: HashMap<String, Vec<Arc<Application>>>,
}

/// What an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// No application answers there.
    Unknown,
    /// A path with more than one reading, where decisions depend on it.
    NotCanonical,
    /// Anybody gets it, without identity.
    Public(Arc<Application>),
    /// A session must be live, and may have to have a role or group.
    Guarded(Arc<Application>),
}

impl Applications {
    /// The table, in the order given.
    pub fn new(all: Vec<Application>) -> Self {
        let all: Vec<Arc<Application>> = all.into_iter().map(Arc::new).collect();
        let mut by_host: HashMap<String, Vec<Arc<Application>>> = HashMap::new();
        for application in &all {
            for host in &application.hosts {
                let there = by_host.entry(host.name.clone()).or_default();
                if !there.iter().any(|known| Arc::ptr_eq(known, application)) {
                    there.push(application.clone());
                }
            }
        }
        Self { all, by_host }
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<Application>] {
        &self.all
    }

    /// The application of that name.
    pub fn named(&self, name: &str) -> Option<&Arc<Application>> {
        self.all.iter().find(|application| application.name == name)
    }

    /// The first application that answers at a host (`wiki.example.org`, `wiki.example.org:8443`), whatever the port.
    pub fn at_host(&self, host: &str) -> Option<&Arc<Application>> {
        let (name, _) = target::authority(host)?;
        self.by_host.get(&name)?.first()
    }

    /// Which application a request is for, and whether its path is public.
    pub fn matching(&self, target: &Target) -> Place {
        let Some(there) = self.by_host.get(target.host()) else {
            return Place::Unknown;
        };
        let there: Vec<_> = there
            .iter()
            .filter(|application| application.host_of(target).is_some())
            .collect();
        let path = canonical_path(target.path());
        let place = place_of(&there, target, path.as_deref());
        // INVARIANT: nothing that depends on a path is decided by a path that others may read in another way: neither one that has no
        // canonical form, nor one of which `;x` may be a part or not.
        let agreed = match &path {
            None => there.iter().all(|application| !application.has_path_rules()),
            Some(path) if path.contains(';') => place_of(&there, target, Some(&without_parameters(path))) == place,
            Some(_) => true,
        };
        if agreed { place } else { Place::NotCanonical }
    }

    /// The application that a page belongs to: by its address, else the first that answers on its host. `None`: none does.
    pub fn of_page(&self, page: &Target) -> Option<Arc<Application>> {
        match self.matching(page) {
            Place::Public(application) | Place::Guarded(application) => Some(application),
            Place::Unknown | Place::NotCanonical => {
                let there = self.by_host.get(page.host())?;
                there
                    .iter()
                    .find(|application| application.host_of(page).is_some())
                    .cloned()
            }
        }
    }

    /// The application that has one of these places already; `except` is not asked.
    pub fn taken(&self, wanted: &Application) -> Option<(&str, String)> {
        let places = wanted.places();
        let others = self.all.iter().filter(|other| other.name != wanted.name);
        others.into_iter().find_map(|other| {
            let (host, prefix) = other.places().into_iter().find(|place| places.contains(place))?;
            Some((other.name.as_str(), format!("{host}{prefix}")))
        })
    }

    /// The origin of an address on an application's host: where people may be sent back to. Only https, unless our own
    /// address (`own_scheme`) is plain http too.
    pub fn origin_of(&self, address: &str, own_scheme: &str) -> Option<Origin> {
        let url = Url::parse(address).ok()?;
        let target = Target::of_parts(url.scheme(), url.authority(), "/").ok()?;
        let secure = url.scheme() == "https" || url.scheme() == own_scheme;
        let there = self.by_host.get(target.host())?;
        let registered = secure && there.iter().any(|application| application.host_of(&target).is_some());
        registered.then(|| url.origin())
    }
}
