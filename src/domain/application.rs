//! Protected applications: which application an address belongs to, who has access, and which paths
//! are public. The policy decides how long a session lives in an application; `http::forward_auth`
//! reads addresses from a proxy's headers.

use std::{collections::HashMap, fmt, sync::Arc};

use url::{Origin, Url};

use super::{
    account::{Role, forbidden_in_names},
    policy::{effective::Glob, is_application_name},
};

mod public_path;
mod target;

pub use crate::account::profile::FieldFault;
use public_path::parse_public_path;
pub use target::{RequestTarget, TargetError, canonical_path, loosen_path, without_parameters};

/// Maximum number of hosts, prefixes, groups or public paths of one application.
const MAX_PATHS: usize = 32;
/// Maximum length of a prefix, group or public path, in characters.
const MAX_LENGTH: usize = 256;

/// One entry of the table of applications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Application {
    /// The name, also in the policy's scope `app:NAME`.
    pub name: String,
    /// The hosts where it answers; at least one.
    pub hosts: Vec<Host>,
    /// Path prefixes that belong to the application, decoded and without a trailing slash; empty:
    /// all paths.
    pub prefixes: Vec<String>,
    /// Roles with access. With no role and no group, anyone signed in has access.
    pub roles: Vec<Role>,
    /// Groups with access.
    pub groups: Vec<String>,
    /// Patterns of paths that need no sign-in: `/assets/*`, or for one method `OPTIONS /api/*`.
    pub public: Vec<String>,
}

/// A host name in the form in which it is compared: lower case, punycode, no trailing dot. The port
/// is set only if the entry names one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host {
    /// `wiki.example.org`, `192.0.2.7`, `[2001:db8::1]`.
    pub name: String,
    /// The port; `None`: any port.
    pub port: Option<u16>,
}

impl Host {
    /// Parses `Wiki.Example.org`, `wiki.example.org.`, `bücher.example:8443`, `[::1]:80`.
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

/// An application as entered in a form or on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApplicationFields {
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

impl ApplicationFields {
    /// Returns the input that describes an existing application.
    pub fn from_application(application: &Application) -> Self {
        Self {
            name: application.name.clone(),
            hosts: application.hosts.iter().map(Host::to_string).collect(),
            prefixes: application.prefixes.clone(),
            roles: application.roles.clone(),
            groups: application.groups.clone(),
            public: application.public.clone(),
        }
    }

    /// Checks the input and returns the application or all errors.
    pub fn check(&self) -> Result<Application, Vec<FieldFault>> {
        let mut faults = Vec::new();
        let name = self.name.trim();
        // A dot segment has no address of its own.
        if !is_application_name(name) || matches!(name, "." | "..") {
            let rule = "A name has 1 to 64 characters, without spaces or invisible characters.";
            faults.push(("name", rule.to_owned()));
        }
        let hosts = read_each("hosts", &self.hosts, &mut faults, Host::parse);
        if hosts.is_empty() && self.hosts.iter().all(|host| host.trim().is_empty()) {
            faults.push((
                "hosts",
                "At least one host is needed, like wiki.example.org.".to_owned(),
            ));
        }
        let mut prefixes = read_each("prefixes", &self.prefixes, &mut faults, prefix);
        // An empty prefix would mean the whole host.
        if prefixes.iter().any(String::is_empty) {
            prefixes.clear();
        }
        let groups = read_each("groups", &self.groups, &mut faults, group);
        let public = read_each("public", &self.public, &mut faults, parse_public_path);
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

/// Parses every non-empty item of a field; sorts and removes duplicates.
fn read_each<T: Ord>(
    field: &'static str,
    items: &[String],
    faults: &mut Vec<FieldFault>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let mut kept = Vec::new();
    for item in items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()) {
        if item.chars().count() > MAX_LENGTH {
            faults.push((field, format!("At most {MAX_LENGTH} characters each.")));
        } else {
            match read(item) {
                Ok(item) => kept.push(item),
                Err(why) => faults.push((field, why)),
            }
        }
    }
    kept.sort_unstable();
    kept.dedup();
    if kept.len() > MAX_PATHS {
        faults.push((field, format!("At most {MAX_PATHS} of them.")));
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
        return Err(format!(
            "{text:?}: a group cannot contain commas or invisible characters."
        ));
    }
    Ok(text.to_owned())
}

/// Returns whether an entry of the public paths matches a request.
fn opens(entry: &str, method: &str, path: &str) -> bool {
    match entry.split_once(' ') {
        Some((known, pattern)) if !entry.starts_with('/') => known == method && Glob::fits(pattern, path),
        Some(_) | None => Glob::fits(entry, path),
    }
}

impl Application {
    /// Returns whether decisions depend on the path; a path must then be unambiguous.
    pub fn has_path_rules(&self) -> bool {
        !self.prefixes.is_empty() || !self.public.is_empty()
    }

    /// Returns whether a signed-in user has access. Administrators have the access of members.
    pub fn admits(&self, role: Role, groups: &[String]) -> bool {
        let anyone = self.roles.is_empty() && self.groups.is_empty();
        anyone || self.roles.iter().any(|allowed| role >= *allowed) || self.groups.iter().any(|g| groups.contains(g))
    }

    /// Describes who has access.
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

    /// Returns whether this (decoded) path is public for this method.
    fn is_public(&self, method: &str, path: &str) -> bool {
        self.public.iter().any(|entry| opens(entry, method, path))
    }

    /// Returns how well the entry matches: a named port before any port, then the longest prefix.
    /// `None`: no match.
    fn fits(&self, target: &RequestTarget, path: Option<&str>) -> Option<(bool, usize)> {
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

    /// Returns whether the application answers at the target; `Some(true)` if the entry names the
    /// port.
    fn host_of(&self, target: &RequestTarget) -> Option<bool> {
        let fitting = self.hosts.iter().filter(|host| host.name == target.host());
        fitting
            .filter(|host| host.port.is_none_or(|port| port == target.port()))
            .map(|host| host.port.is_some())
            .max()
    }

    /// Returns every place of the application: (host, prefix).
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

    /// Converts the application to JSON for the audit and for scripts.
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

/// An application together with its lenient reading, as stored under its hosts.
#[derive(Debug, Clone)]
struct HostedApplication {
    application: Arc<Application>,
    /// The same application with prefixes and public paths as the most lenient servers read them
    /// ([`loosen_path`]).
    lenient: Application,
}

impl HostedApplication {
    fn new(application: &Arc<Application>) -> Self {
        let loosen = |paths: &[String]| -> Vec<String> {
            let loosened = paths.iter().map(|entry| {
                // A public path may begin with a method, which stays unchanged.
                let at = entry.find('/').unwrap_or_default();
                let (method, path) = entry.split_at(at);
                loosen_path(path).map_or_else(|| entry.clone(), |path| format!("{method}{path}"))
            });
            loosened.collect()
        };
        Self {
            application: application.clone(),
            lenient: Application {
                prefixes: loosen(&application.prefixes),
                public: loosen(&application.public),
                ..Application::clone(application)
            },
        }
    }
}

/// Returns whether a lenient server takes a (decoded) path for the same place, and no other
/// application claims it.
fn agrees_leniently(
    there: &[&HostedApplication],
    target: &RequestTarget,
    method: &str,
    path: &str,
    place: &AddressMatch,
) -> bool {
    let Some(path) = loosen_path(path) else {
        return false;
    };
    let fits: Vec<_> = there
        .iter()
        .filter_map(|hosted| Some((hosted.lenient.fits(target, Some(&path))?, *hosted)))
        .collect();
    let best = fits.iter().map(|(fit, _)| *fit).max();
    let mut claimants = fits
        .iter()
        .filter(|(fit, _)| Some(*fit) == best)
        .map(|(_, hosted)| hosted);
    let (first, others) = (claimants.next(), claimants.next());
    match (place, first) {
        (AddressMatch::Unknown, None) => true,
        (AddressMatch::Public(application) | AddressMatch::Guarded(application), Some(hosted)) => {
            // If the exact reading requires a session, a lenient reading that requires none changes
            // nothing.
            let guarded = matches!(place, AddressMatch::Guarded(_));
            others.is_none()
                && hosted.lenient.name == application.name
                && (guarded || hosted.lenient.is_public(method, &path))
        }
        (AddressMatch::Unknown, Some(_)) | (AddressMatch::NotCanonical, _) | (_, None) => false,
    }
}

/// Finds the application of a host that matches a (decoded) path best.
fn place_of(there: &[&HostedApplication], target: &RequestTarget, method: &str, path: Option<&str>) -> AddressMatch {
    let fitting = there.iter().filter_map(|hosted| {
        let application = &hosted.application;
        Some((application.fits(target, path)?, application))
    });
    match (fitting.max_by_key(|(fit, _)| *fit), path) {
        (None, _) => AddressMatch::Unknown,
        (Some((_, application)), Some(path)) if application.is_public(method, path) => {
            AddressMatch::Public(application.clone())
        }
        (Some((_, application)), _) => AddressMatch::Guarded(application.clone()),
    }
}

/// All applications, indexed by host; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Applications {
    all: Vec<Arc<Application>>,
    by_host: HashMap<String, Vec<HostedApplication>>,
}

/// The place to which an address belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressMatch {
    /// No application answers there.
    Unknown,
    /// An ambiguous path where decisions depend on the path.
    NotCanonical,
    /// Public: no sign-in needed.
    Public(Arc<Application>),
    /// A session must be live, and may need a role or group.
    Guarded(Arc<Application>),
}

impl Applications {
    /// Creates the table; entries keep the given order.
    pub fn new(all: Vec<Application>) -> Self {
        let all: Vec<Arc<Application>> = all.into_iter().map(Arc::new).collect();
        let mut by_host: HashMap<String, Vec<HostedApplication>> = HashMap::new();
        for application in &all {
            for host in &application.hosts {
                let there = by_host.entry(host.name.clone()).or_default();
                if !there.iter().any(|known| Arc::ptr_eq(&known.application, application)) {
                    there.push(HostedApplication::new(application));
                }
            }
        }
        Self { all, by_host }
    }

    /// Returns all applications.
    pub fn all(&self) -> &[Arc<Application>] {
        &self.all
    }

    /// Finds an application by name.
    pub fn named(&self, name: &str) -> Option<&Arc<Application>> {
        self.all.iter().find(|application| application.name == name)
    }

    /// Finds the first application that answers at a host (`wiki.example.org`,
    /// `wiki.example.org:8443`), with any port.
    pub fn at_host(&self, host: &str) -> Option<&Arc<Application>> {
        let (name, _) = target::authority(host)?;
        self.by_host.get(&name)?.first().map(|hosted| &hosted.application)
    }

    /// Finds the application that a request is for, and whether its path is public for this method.
    pub fn matching(&self, target: &RequestTarget, method: &str) -> AddressMatch {
        let Some(there) = self.by_host.get(target.host()) else {
            return AddressMatch::Unknown;
        };
        let there: Vec<_> = there
            .iter()
            .filter(|hosted| hosted.application.host_of(target).is_some())
            .collect();
        let path = canonical_path(target.path());
        let place = place_of(&there, target, method, path.as_deref());
        // INVARIANT: no decision depends on a path that another server may read differently: a path
        // without a canonical form, a path where `;x` may or may not be a part, or a path that a
        // server without case sensitivity reads as another one.
        let ruled = there.iter().any(|hosted| hosted.application.has_path_rules());
        let agreed = match &path {
            _ if !ruled => true,
            None => false,
            Some(path) => {
                let bare = without_parameters(path);
                place_of(&there, target, method, Some(&bare)) == place
                    && agrees_leniently(&there, target, method, path, &place)
                    && agrees_leniently(&there, target, method, &bare, &place)
            }
        };
        if agreed { place } else { AddressMatch::NotCanonical }
    }

    /// Finds the application of a page: by its address, otherwise the first that answers on its
    /// host. `None`: no application.
    pub fn of_page(&self, page: &RequestTarget) -> Option<Arc<Application>> {
        match self.matching(page, "GET") {
            AddressMatch::Public(application) | AddressMatch::Guarded(application) => Some(application),
            AddressMatch::Unknown | AddressMatch::NotCanonical => {
                let there = self.by_host.get(page.host())?;
                there
                    .iter()
                    .map(|hosted| &hosted.application)
                    .find(|application| application.host_of(page).is_some())
                    .cloned()
            }
        }
    }

    /// Finds another application that already has one of these places; `except` is skipped.
    pub fn taken(&self, wanted: &Application) -> Option<(&str, String)> {
        let places = wanted.places();
        let others = self.all.iter().filter(|other| other.name != wanted.name);
        others.into_iter().find_map(|other| {
            let (host, prefix) = other.places().into_iter().find(|place| places.contains(place))?;
            Some((other.name.as_str(), format!("{host}{prefix}")))
        })
    }

    /// Returns the origin of an address on an application's host, to which redirects are allowed.
    /// Only https, unless our own address (`own_scheme`) is plain http too.
    pub fn origin_of(&self, address: &str, own_scheme: &str) -> Option<Origin> {
        let url = Url::parse(address).ok()?;
        let target = RequestTarget::of_parts(url.scheme(), url.authority(), "/").ok()?;
        let secure = url.scheme() == "https" || url.scheme() == own_scheme;
        let there = self.by_host.get(target.host())?;
        let registered = secure && there.iter().any(|hosted| hosted.application.host_of(&target).is_some());
        registered.then(|| url.origin())
    }
}
