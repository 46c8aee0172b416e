//! What no policy can mend: whether the installation around it lets it do its work. Facts in, findings out; who collects the
//! facts is a flow.

use crate::domain::policy::{Key, Pins, Scope, Value, effective::Policy};

/// What is known about the installation.
#[derive(Debug, Clone, Default)]
pub struct Installation {
    /// The address that people use is configured.
    pub public_address: bool,
    /// People come over https.
    pub https: bool,
    /// Somebody's word about client addresses is believed.
    pub trusts_proxies: bool,
    /// Everybody's is.
    pub trusts_everybody: bool,
    /// Several locks, all on this one address.
    pub one_locked_address: Option<String>,
    /// The security log file is written.
    pub security_log: bool,
    /// Protected applications.
    pub applications: Vec<Protected>,
    /// What each running server fixes by its environment.
    pub pins: Vec<(String, Pins)>,
}

/// What is known about a protected application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protected {
    /// Its name.
    pub name: String,
    /// Its proxy asked at least once.
    pub asked: bool,
    /// Browsers send our cookie to each of its hosts; to the others sessions are handed over.
    pub within_reach: bool,
}

/// One thing about the installation, right or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Nothing to do.
    pub ok: bool,
    /// What is right, or what is not.
    pub title: &'static str,
    /// Why it matters, or what is wrong.
    pub why: String,
    /// The setting that mends it, when one does.
    pub key: Option<Key>,
}

impl Finding {
    /// `right` and `open` are its titles.
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

/// Everything there is to say, in the order in which somebody would mend it.
pub fn installation(facts: &Installation, policy: &Policy) -> Vec<Finding> {
    let secure = policy.value_in(&Scope::Everyone, Key::SessionSecure).0 == Value::Flag(true);
    let around = vec![
        Finding::new(
            facts.public_address,
            "The public address is configured",
            "No public address is configured",
            "NIGHTLATCH_PUBLIC_URL is what links and redirects are made of; without it people reach the console by \
             address only.",
        ),
        Finding::new(
            facts.https,
            "People reach Nightlatch over https",
            "People reach Nightlatch over plain http",
            "Over plain http anybody on the way can read the cookie.",
        ),
        Finding::new(
            secure == facts.https,
            "The cookie's Secure attribute fits the address",
            "The cookie's Secure attribute does not fit the address",
            "Secure is on exactly where people come over https.",
        )
        .mended_by(Key::SessionSecure),
        proxies(facts),
        pins(&facts.pins),
        Finding::new(
            facts.security_log,
            "The security log is written to a file",
            "No security log is written",
            "NIGHTLATCH_SECURITY_LOG names its file. Without it refused and ended sessions are recorded in the audit alone, \
             where nothing else on this machine looks.",
        ),
        Finding::new(
            !policy.dev(),
            "Idle endings are enforced",
            "Idle endings are not enforced",
            "This server runs in development mode (serve --dev): idle sessions never end, whatever the policy says.",
        ),
    ];
    around.into_iter().chain(applications(&facts.applications)).collect()
}

/// The silent ways in which forwarding requests fails; nothing where nothing is protected. Hosts beyond the cookie's domain are no fault:
/// sessions are handed over to them.
fn applications(protected: &[Protected]) -> Vec<Finding> {
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
            "The proxy of each application asks",
            "Not every application's proxy asks",
            format!(
                "No forwarded request was ever seen of {}: until the proxy asks, nothing is protected.",
                silent.join(", ")
            ),
        ),
        Finding::new(
            true,
            reached,
            reached,
            "Beyond the cookie's domain a host gets a cookie of its own, by the hand-over; its proxy passes /nightlatch/ on for that.",
        ),
    ]
}

fn proxies(facts: &Installation) -> Finding {
    let why = match (&facts.one_locked_address, facts.trusts_everybody) {
        (_, true) => {
            "NIGHTLATCH_TRUSTED_PROXIES believes everybody: anybody can say that any address is theirs.".to_owned()
        }
        (Some(ip), false) => format!(
            "Every lock has one address, {ip}: most likely your reverse proxy's. Name it in NIGHTLATCH_TRUSTED_PROXIES, or \
             everybody behind it is locked together."
        ),
        (None, false) => {
            "Without NIGHTLATCH_TRUSTED_PROXIES everybody behind the proxy shares its address: one lock for all."
                .to_owned()
        }
    };
    // Without https there need not be any proxy.
    let ok = !facts.trusts_everybody && (facts.trusts_proxies || (!facts.https && facts.one_locked_address.is_none()));
    let open = if facts.trusts_everybody {
        "Everybody is trusted as if a proxy"
    } else {
        "No proxy in front is trusted"
    };
    Finding::new(ok, "The proxy in front is trusted, and nobody else", open, why)
}

/// Keys that running servers fix differently: which value holds depends on which server answers.
pub fn differing_pins(servers: &[(String, Pins)]) -> Vec<Key> {
    let differ = |key: &Key| {
        let mut values = servers.iter().map(|(_, pins)| pins.get(key));
        values.next().is_some_and(|first| values.any(|value| value != first))
    };
    Key::ALL.iter().copied().filter(differ).collect()
}

fn pins(servers: &[(String, Pins)]) -> Finding {
    let differing: Vec<&str> = differing_pins(servers).into_iter().map(Key::name).collect();
    Finding::new(
        differing.is_empty(),
        "All servers fix the same settings",
        "Servers fix settings differently",
        format!(
            "Running servers fix these settings differently in their environments, so that it depends on which one answers: {}.",
            differing.join(", ")
        ),
    )
}
