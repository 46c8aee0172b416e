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
}

/// One thing about the installation, right or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Nothing to do.
    pub ok: bool,
    /// What is right, when it is.
    pub title: &'static str,
    /// Why it matters, or what is wrong.
    pub why: String,
    /// The setting that mends it, when one does.
    pub key: Option<Key>,
}

/// Everything there is to say, in the order in which somebody would mend it.
pub fn installation(facts: &Installation, policy: &Policy) -> Vec<Finding> {
    let around = vec![
        Finding {
            ok: facts.public_address,
            title: "The public address is configured",
            why: "NIGHTLATCH_PUBLIC_URL is what links and redirects are made of; without it people reach the console by \
                  address only."
                .to_owned(),
            key: None,
        },
        Finding {
            ok: facts.https,
            title: "People reach Nightlatch over https",
            why: "Over plain http anybody on the way can read the cookie.".to_owned(),
            key: None,
        },
        Finding {
            ok: (policy.value_in(&Scope::Everyone, Key::SessionSecure).0 == Value::Flag(true)) == facts.https,
            title: "The cookie's Secure attribute fits the address",
            why: "Secure is on exactly where people come over https.".to_owned(),
            key: Some(Key::SessionSecure),
        },
        proxies(facts),
        pins(&facts.pins),
        Finding {
            ok: facts.security_log,
            title: "The security log is written to a file",
            why: "NIGHTLATCH_SECURITY_LOG names it. Without it refused and ended sessions are recorded in the audit alone, \
                  where nothing else on this machine looks."
                .to_owned(),
            key: None,
        },
        Finding {
            ok: !policy.dev(),
            title: "Idle endings are enforced",
            why: "This server runs in development mode (serve --dev): idle sessions never end, whatever the policy says."
                .to_owned(),
            key: None,
        },
    ];
    around.into_iter().chain(applications(&facts.applications)).collect()
}

/// The silent way in which forwarding requests fails; nothing where nothing is protected. Hosts beyond the cookie domain are no fault:
/// sessions are handed over to them.
fn applications(protected: &[Protected]) -> Option<Finding> {
    let silent: Vec<&str> = protected
        .iter()
        .filter(|application| !application.asked)
        .map(|application| application.name.as_str())
        .collect();
    (!protected.is_empty()).then(|| Finding {
        ok: silent.is_empty(),
        title: "The proxy of each application asks",
        why: format!(
            "No forwarded request was ever seen of {}: until the proxy asks, nothing is protected.",
            silent.join(", ")
        ),
        key: None,
    })
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
    Finding {
        // Without https there need not be any proxy.
        ok: !facts.trusts_everybody && (facts.trusts_proxies || (!facts.https && facts.one_locked_address.is_none())),
        title: "The proxy in front is trusted, and nobody else",
        why,
        key: None,
    }
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
    Finding {
        ok: differing.is_empty(),
        title: "All servers fix the same settings",
        why: format!(
            "Running servers fix these settings differently in their environments, so that it depends on which one answers: {}.",
            differing.join(", ")
        ),
        key: None,
    }
}
