//! Checks of the installation around the policy, which no policy can change. A flow collects the
//! facts.

use crate::{
    account::Role,
    duration::humanize,
    factor::FactorRequirement,
    policy::{
        Key, Pins, Scope, Value,
        effective::{DeviceBinding, Policy},
    },
    session::proof_lifetime,
};

/// Facts about the installation.
#[derive(Debug, Clone, Default)]
pub struct Installation {
    /// Whether a public URL is configured.
    pub public_address: bool,
    /// Whether people use https.
    pub https: bool,
    /// Whether browsers can bind sessions to their device on Nightlatch's own host.
    pub binds_devices: bool,
    /// The number of hosts on which a session gets a key of its own, Nightlatch's own included.
    pub device_hosts: usize,
    /// Whether forwarded client addresses of any proxy are trusted.
    pub trusts_proxies: bool,
    /// Whether all addresses are trusted as proxies.
    pub trusts_every_address: bool,
    /// The IP address, if several locks are all about one.
    pub one_locked_address: Option<String>,
    /// Whether the security log file is written.
    pub security_log: bool,
    /// The protected applications.
    pub applications: Vec<ProtectedApplication>,
    /// The settings that each running server pins by its environment.
    pub pins: Vec<(String, Pins)>,
    /// The number of usable accounts without a second factor.
    pub accounts: FactorCoverage,
}

/// The number of usable accounts without a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FactorCoverage {
    /// Administrators without a second factor.
    pub bare_administrators: i64,
    /// Members without a second factor.
    pub bare_members: i64,
}

/// Facts about a protected application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectedApplication {
    /// Its name.
    pub name: String,
    /// Whether its proxy has sent a request.
    pub asked: bool,
    /// Whether browsers send our cookie to each of its hosts; sessions are handed over to other
    /// hosts.
    pub within_reach: bool,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether there is nothing to do.
    pub ok: bool,
    /// The title, which depends on the result.
    pub title: &'static str,
    /// Why it matters, or the problem.
    pub why: String,
    /// The setting that solves it, if there is one.
    pub key: Option<Key>,
}

impl Finding {
    /// Creates a finding; `right` and `open` are its two titles.
    fn new(ok: bool, right: &'static str, open: &'static str, why: impl Into<String>) -> Self {
        Self {
            ok,
            title: if ok { right } else { open },
            why: why.into(),
            key: None,
        }
    }

    fn mended_by(self, key: Key) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// Returns all findings, in the order in which they should be solved.
pub fn installation(facts: &Installation, policy: &Policy) -> Vec<Finding> {
    let secure = policy.value_in(&Scope::Everyone, Key::SessionSecure).0 == Value::Flag(true);
    let around = vec![
        Finding::new(
            facts.public_address,
            "The public address is configured",
            "No public address is configured",
            "Links and redirects use NIGHTLATCH_PUBLIC_URL; without it they use the address on which this server listens, \
             which other computers may not reach.",
        ),
        Finding::new(
            facts.https,
            "Nightlatch is reached over https",
            "Nightlatch is reached over plain http",
            "Over plain http anyone on the network path can read the cookie.",
        ),
        Finding::new(
            secure == facts.https,
            "The cookie's Secure attribute matches the public URL",
            "The cookie's Secure attribute does not match the public URL",
            "Secure must be on if and only if Nightlatch is reached over https.",
        )
        .mended_by(Key::SessionSecure),
        proxies(facts),
        pins(&facts.pins),
        devices(facts, policy),
        second_factors(facts.accounts, policy),
        Finding::new(
            facts.security_log,
            "The security log is written to a file",
            "No security log is written",
            "Set NIGHTLATCH_SECURITY_LOG to its file. Without it refused and ended sessions are recorded only in the \
             audit, which other tools on this host cannot read.",
        ),
        Finding::new(
            !policy.dev(),
            "Idle timeouts are enforced",
            "Idle timeouts are not enforced",
            "This server runs in development mode (serve --dev): idle sessions never end, regardless of the policy.",
        ),
    ];
    around.into_iter().chain(applications(&facts.applications)).collect()
}

/// Checks for problems with forwarded requests that cause no error; returns nothing without
/// applications. Hosts outside the cookie's domain are not a fault, because sessions are handed
/// over to them.
fn applications(protected: &[ProtectedApplication]) -> Vec<Finding> {
    if protected.is_empty() {
        return Vec::new();
    }
    let silent: Vec<&str> = protected
        .iter()
        .filter(|application| !application.asked)
        .map(|application| application.name.as_str())
        .collect();
    let reached = if protected.iter().all(|application| application.within_reach) {
        "The cookie reaches each application's hosts"
    } else {
        "Sessions are handed over to hosts that the cookie does not reach"
    };
    vec![
        Finding::new(
            silent.is_empty(),
            "The proxy of each application requests decisions",
            "The proxy of some applications requests no decisions",
            format!(
                "No request has arrived for {} yet: until the proxy requests decisions, nothing is protected.",
                silent.join(", ")
            ),
        ),
        Finding::new(
            true,
            reached,
            reached,
            "Outside the cookie's domain a host gets its own cookie by handover; its proxy must pass /nightlatch/ on \
             to Nightlatch.",
        ),
    ]
}

fn proxies(facts: &Installation) -> Finding {
    let why = match (&facts.one_locked_address, facts.trusts_every_address) {
        (_, true) => "NIGHTLATCH_TRUSTED_PROXIES trusts all addresses: anyone can claim any IP address.".to_owned(),
        (Some(ip), false) => format!(
            "All lockouts come from one IP address, {ip}, most likely your reverse proxy. Add it to \
             NIGHTLATCH_TRUSTED_PROXIES; otherwise everyone behind it is locked out together."
        ),
        (None, false) => {
            "Without NIGHTLATCH_TRUSTED_PROXIES everyone behind the proxy shares its IP address and is locked out \
             together."
                .to_owned()
        }
    };
    // Without https there need not be a proxy.
    let ok =
        !facts.trusts_every_address && (facts.trusts_proxies || (!facts.https && facts.one_locked_address.is_none()));
    let open = if facts.trusts_every_address {
        "All addresses are trusted as proxies"
    } else {
        "No proxy in front is trusted"
    };
    Finding::new(ok, "Only the proxy in front is trusted", open, why)
}

/// Returns the keys that running servers pin differently, so that the value in force depends on the
/// server.
pub fn differing_pins(servers: &[(String, Pins)]) -> Vec<Key> {
    let differ = |key: &Key| {
        let mut values = servers.iter().map(|(_, pins)| pins.get(key));
        values.next().is_some_and(|first| values.any(|value| value != first))
    };
    Key::ALL.iter().copied().filter(differ).collect()
}

/// Checks that a copied cookie dies with the proof of its device, in browsers that can. Plain http
/// is a finding of its own.
fn devices(facts: &Installation, policy: &Policy) -> Finding {
    let rules = policy.effective(Role::Member, &[], None).device;
    let is_on = rules.binding != DeviceBinding::Off;
    let right = match facts.https {
        true => "Sessions are bound to devices where browsers can",
        false => "Sessions cannot be bound to devices over plain http",
    };
    let why = match is_on && !facts.binds_devices {
        true => {
            "The cookie domain is not the whole domain of one owner, so browsers do not let Nightlatch bind sessions \
             for its hosts (docs/device-binding.md)."
                .to_owned()
        }
        false => {
            let (shortest, longest) = (
                proof_lifetime(&rules, 1),
                proof_lifetime(&rules, facts.device_hosts.max(1)),
            );
            let on_all = match longest > shortest {
                true => format!(
                    " ({} once its session is bound on all {} hosts)",
                    humanize(longest.as_secs()),
                    facts.device_hosts
                ),
                false => String::new(),
            };
            format!(
                "A copied cookie works for at most {}{on_all} in another browser, instead of until the session ends.",
                humanize(shortest.as_secs())
            )
        }
    };
    let ok = !facts.https || (is_on && facts.binds_devices);
    Finding::new(ok, right, "Sessions are not bound to devices", why).mended_by(Key::SessionDeviceBinding)
}

/// Checks that administrators have a second factor if it is required of them. Whether it should be
/// required is up to the baselines.
fn second_factors(accounts: FactorCoverage, policy: &Policy) -> Finding {
    let rules = policy.effective(Role::Administrator, &[], None).factors;
    let required = rules.required > FactorRequirement::Off;
    let everybody = accounts.bare_administrators == 0;
    let right = if everybody {
        "Every administrator has a second factor"
    } else {
        "No second factor is required of administrators"
    };
    let counted = |n: i64, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    Finding::new(
        everybody || !required,
        right,
        "Not every administrator has a second factor",
        format!(
            "{} and {} have no authenticator app and no passkey: a stolen password is enough to become them.",
            counted(accounts.bare_administrators, "administrator"),
            counted(accounts.bare_members, "member"),
        ),
    )
    .mended_by(Key::FactorRequired)
}

fn pins(servers: &[(String, Pins)]) -> Finding {
    let differing: Vec<&str> = differing_pins(servers).into_iter().map(Key::name).collect();
    Finding::new(
        differing.is_empty(),
        "Pinned settings agree on all servers",
        "Pinned settings differ between servers",
        format!(
            "Running servers pin these settings differently in their environments, so the value depends on the \
             server: {}.",
            differing.join(", ")
        ),
    )
}
