//! Device binding: how long a proof counts, and whether what browsers ask for it arrives here.

use super::{CheckStatus, DoctorFindings, pins_in_force};
use crate::{
    cli::output::format_count,
    config::Config,
    domain::{
        account::Role,
        application::Application,
        duration::humanize,
        policy::effective::{DeviceBinding, DevicePolicy, Policy},
        session::proof_lifetime,
    },
    http::paths,
    identity::oidc::make_http_client,
    server::maintenance::DatabaseFacts,
};
use futures_util::future::{join, join_all};
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use std::{collections::BTreeSet, time::Duration};
use url::Url;

const CHECK: &str = "device_binding";
/// How long one address may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Maximum number of bytes of an answer that are read.
const MAX_BODY: usize = 64 * 1024;

/// The outcome of a request that this machine made as a browser would.
#[derive(Debug, PartialEq, Eq)]
enum Arrival {
    /// It arrived, and the answer is right.
    Right,
    /// The answer is not the one that browsers need, for this reason.
    Wrong(String),
    /// There was no answer, for this reason. Browsers may reach it nevertheless.
    Unreachable,
}

/// The answer of an address.
struct ProbeAnswer {
    status: StatusCode,
    body: Vec<u8>,
}

/// A problem of Nightlatch's own.
#[derive(Deserialize)]
struct ProblemBody {
    code: String,
}

/// The file with which a domain lets one of its hosts bind sessions for all of them.
#[derive(Deserialize)]
struct RegistrationFile {
    registering_origins: Vec<String>,
}

impl DoctorFindings {
    /// Checks whether browsers can bind sessions to devices, and says how long a proof counts.
    pub(super) async fn check_device_binding(&mut self, config: &Config, facts: &DatabaseFacts) {
        let (Ok(Some((revision, document))), Some(public_url)) = (&facts.policy, &config.public_url) else {
            return;
        };
        let policy = Policy::new(*revision, document.clone(), pins_in_force(config, facts), false);
        let rules = policy.effective(Role::Member, &[], None).device;
        if !config.https() || rules.binding == DeviceBinding::Off {
            return;
        }
        let elsewhere = hosts_with_own_cookie(config, &facts.applications);
        let own_origin = public_url.origin().ascii_serialization();
        let mut origins: Vec<String> = elsewhere.iter().map(|host| format!("https://{host}")).collect();
        let (offered, file) = match config.cookie_domain.as_deref() {
            Some(domain) if !config.owns_cookie_domain() => {
                self.warning(
                    CHECK,
                    format!("not possible: the cookie domain {domain} is not the whole domain of its owner"),
                );
                (
                    "offered only on the hosts of applications on other domains".to_owned(),
                    None,
                )
            }
            Some(domain) => {
                origins.push(own_origin.clone());
                (
                    format!("offered for all hosts of {domain}"),
                    registration_file(public_url, domain),
                )
            }
            None => {
                origins.push(own_origin.clone());
                ("offered on each host".to_owned(), None)
            }
        };
        let mut unchecked = Vec::new();
        if let Some(client) = make_http_client(PATIENCE) {
            for (address, arrival) in probe(&client, &origins, file.as_ref(), &own_origin).await {
                match arrival {
                    Arrival::Right => {}
                    Arrival::Wrong(why) => self.warning(
                        CHECK,
                        format!("{address}: {why}. Browsers cannot bind sessions there (docs/device-binding.md)"),
                    ),
                    Arrival::Unreachable => unchecked.push(address),
                }
            }
        } else {
            self.warning(CHECK, "nothing was requested, because TLS cannot be set up");
        }
        let mut message = format!("{offered}; {}", describe_lifetime(&rules, elsewhere.len() + 1));
        if !unchecked.is_empty() {
            message.push_str(&format!("; not reachable from this machine: {}", unchecked.join(", ")));
        }
        self.add(CHECK, CheckStatus::Ok, message);
    }
}

/// Describes how long a proof counts, for a session on one host and on all of them.
fn describe_lifetime(rules: &DevicePolicy, hosts: usize) -> String {
    let (shortest, longest) = (proof_lifetime(rules, 1), proof_lifetime(rules, hosts));
    let mut text = format!("a proof counts for {}", humanize(shortest.as_secs()));
    if longest > shortest {
        let (hosts, longest) = (format_count(hosts, "host", "hosts"), humanize(longest.as_secs()));
        text.push_str(&format!(", and for {longest} once bound on all {hosts}"));
    }
    text
}

/// Returns the hosts of applications, with their ports, on which a session gets a cookie and a key
/// of its own.
fn hosts_with_own_cookie(config: &Config, applications: &[Application]) -> BTreeSet<String> {
    let hosts = applications.iter().flat_map(|application| &application.hosts);
    let own = hosts.filter(|host| !config.cookie_reaches(&host.name));
    own.map(ToString::to_string).collect()
}

/// Returns the address of the file of a cookie domain.
fn registration_file(public_url: &Url, domain: &str) -> Option<Url> {
    let mut url = public_url.clone();
    url.set_host(Some(domain)).ok()?;
    url.set_path("/.well-known/device-bound-sessions");
    url.set_query(None);
    Some(url)
}

/// Asks every address at which browsers register or refresh, all at the same time.
async fn probe(client: &Client, origins: &[String], file: Option<&Url>, own_origin: &str) -> Vec<(String, Arrival)> {
    let refreshes = origins.iter().map(async |origin| {
        let address = format!("{origin}{}", paths::DEVICE_REFRESH);
        let answer = fetch(client.post(&address)).await;
        let arrival = answer.map_or(Arrival::Unreachable, |answer| judge_refresh(&answer));
        (address, arrival)
    });
    let files = file.into_iter().map(async |file| {
        let answer = fetch(client.get(file.clone())).await;
        let arrival = answer.map_or(Arrival::Unreachable, |answer| judge_file(&answer, own_origin));
        (file.to_string(), arrival)
    });
    let (mut arrivals, files) = join(join_all(refreshes), join_all(files)).await;
    arrivals.extend(files);
    arrivals
}

/// Sends a request; `None`: there was no answer.
async fn fetch(request: reqwest::RequestBuilder) -> Option<ProbeAnswer> {
    let mut response = request.send().await.ok()?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            break;
        }
    }
    Some(ProbeAnswer {
        status: response.status(),
        body,
    })
}

/// Judges the answer to a refresh that names no device session: Nightlatch knows none.
fn judge_refresh(answer: &ProbeAnswer) -> Arrival {
    let code = serde_json::from_slice::<ProblemBody>(&answer.body).map(|problem| problem.code);
    match (answer.status, code.as_deref()) {
        (StatusCode::NOT_FOUND, Ok("not_found")) => Arrival::Right,
        (StatusCode::SERVICE_UNAVAILABLE, Ok("unavailable")) => Arrival::Wrong(
            "Nightlatch answers, but not for this host: the proxy must pass the Host header on, and must be trusted"
                .to_owned(),
        ),
        (status, _) => Arrival::Wrong(format!(
            "something in front of Nightlatch answers ({})",
            status.as_u16()
        )),
    }
}

/// Judges the file of a cookie domain.
fn judge_file(answer: &ProbeAnswer, own_origin: &str) -> Arrival {
    if answer.status != StatusCode::OK {
        return Arrival::Wrong(format!("the answer is {}, not the file", answer.status.as_u16()));
    }
    match serde_json::from_slice::<RegistrationFile>(&answer.body) {
        Err(_) => Arrival::Wrong("the answer is not the expected JSON".to_owned()),
        Ok(file) if file.registering_origins.iter().any(|origin| origin == own_origin) => Arrival::Right,
        Ok(_) => Arrival::Wrong(format!("the file does not name {own_origin}")),
    }
}

#[cfg(test)]
mod tests;
