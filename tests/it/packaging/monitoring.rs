//! The dashboard and the alerts use metrics that a running server serves, and the documentation
//! explains them.

use super::read;
use crate::harness::{
    client::fetch,
    server::{Backend, PASSWORD, TestServer},
    yaml,
};
use nightlatch::domain::{account::Role, audit::Event, mail::EmailState};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
};

const DASHBOARD: &str = "contrib/monitoring/dashboard.json";
const ALERTS: &str = "contrib/monitoring/alerts.yaml";

/// The series that a server exports: names, each with the names of its labels.
type Series = BTreeMap<String, BTreeSet<String>>;

/// A server with metrics, after requests for everything that counts.
struct Watched {
    server: TestServer,
    address: String,
}

impl Watched {
    fn start() -> Self {
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let server = TestServer::on(Backend::Sqlite)
            .env("NIGHTLATCH_METRICS_BIND", &address)
            .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1")
            .file("[audit_targets.disk]\nkind = \"file\"\npath = \"/nowhere/audit\"\n")
            .start();
        Self { server, address }
    }

    fn use_it(&self) {
        self.server.account("ada", Role::Member);
        self.server.anyone().sign_in("ada", "a wrong password");
        let browser = self.server.signed_in("ada");
        let question = [
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "wiki.example.org"),
            ("x-forwarded-uri", "/"),
            ("x-forwarded-method", "GET"),
        ];
        let asked = browser.send(reqwest::Method::GET, "/api/authz/forward-auth", None, &question);
        assert_eq!(asked.status(), 403, "no application is registered");
        browser.get("/").expect(200);
        browser.post("/logout", &[]).expect(303);
    }

    fn metrics(&self) -> String {
        let answer = fetch(&format!("http://{}/metrics", self.address)).unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().unwrap()
    }

    fn series(&self) -> Series {
        let mut series = Series::new();
        for line in self
            .metrics()
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let (name, labels) = line
                .rsplit_once(' ')
                .unwrap()
                .0
                .split_once('{')
                .unwrap_or((line.split(' ').next().unwrap(), ""));
            let labels = labels.split("\",").filter_map(|label| label.split('=').next());
            let names = labels
                .map(|name| name.trim_end_matches('}').to_owned())
                .filter(|name| !name.is_empty());
            series.entry(name.to_owned()).or_default().extend(names);
        }
        series
    }
}

/// Returns the expressions of the dashboard and of the alerts.
fn expressions() -> Vec<String> {
    let dashboard: serde_json::Value = serde_json::from_str(&read(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let shown = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let listed = variables.filter_map(|variable| variable["query"].as_str().map(str::to_owned));
    let alerts = yaml::values(ALERTS);
    let alarming = yaml::values_of(&alerts, "rules.expr").into_iter().map(str::to_owned);
    shown.chain(listed).chain(alarming).collect()
}

/// Returns the metrics in an expression, each with its matchers: label, value.
fn named(expression: &str) -> Vec<(String, Vec<(String, String)>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = expression.match_indices("nightlatch_").map(|(at, _)| at);
    let metric = |at: usize| {
        let rest = &expression[at..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let matchers = rest[end..]
            .strip_prefix('{')
            .and_then(|rest| rest.split('}').next())
            .unwrap_or("");
        let pairs = matchers.split("\",").filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| {
            let (label, value) = pair.split_once('=').unwrap();
            (label.to_owned(), value.trim_matches(['~', '"']).to_owned())
        });
        (rest[..end].to_owned(), pairs.collect())
    };
    starts.map(metric).collect()
}

#[test]
fn dashboard_and_alerts_use_metrics_that_are_served() {
    let watched = Watched::start();
    watched.use_it();
    let series = watched.series();
    let expressions = expressions();
    assert!(expressions.len() > 25, "{}", expressions.len());
    for expression in expressions {
        for (metric, matchers) in named(&expression) {
            let labels = series
                .get(&metric)
                .unwrap_or_else(|| panic!("{metric} is not served: {expression}"));
            for (label, values) in matchers.iter().filter(|(label, _)| label != "instance") {
                assert!(labels.contains(label), "{metric} has no label {label}: {expression}");
                for value in values.split('|') {
                    let is_known = match label.as_str() {
                        "event" => Event::parse(value).is_some(),
                        "state" => EmailState::parse(value).is_some(),
                        "answered_by" => ["memory", "database"].contains(&value),
                        "outcome" => ["sent", "postponed", "given_up"].contains(&value),
                        "status" => value == "5..",
                        other => panic!("the values of {other} are not checked"),
                    };
                    assert!(is_known, "{label}={value}: {expression}");
                }
            }
        }
        for by in expression
            .split("by (")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            for label in by.split(", ").filter(|label| *label != "instance") {
                let has_label =
                    |(metric, _): &(String, _)| series.get(metric).is_some_and(|labels| labels.contains(label));
                assert!(named(&expression).iter().any(has_label), "{label}: {expression}");
            }
        }
    }
}

#[test]
fn every_metric_is_explained() {
    let watched = Watched::start();
    watched.use_it();
    let documented = read("docs/operating.md");
    let text = watched.metrics();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, _) = line.split_once(' ').unwrap();
        assert!(documented.contains(&format!("`{name}`")), "{name} is not documented");
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
    }
    // This includes the metrics of an unused instance: a graph begins at 0, not at the first event.
    for part in documented.split('`').filter(|part| part.starts_with("nightlatch_")) {
        assert!(
            text.contains(&format!("# TYPE {part} ")),
            "{part} is documented and not served"
        );
    }
}

#[test]
fn metrics_tell_what_happened() {
    let watched = Watched::start();
    watched.use_it();
    let text = watched.metrics();
    for line in [
        "nightlatch_verify_seconds_count{status=\"403\"} 1",
        "nightlatch_sign_in_seconds_count{outcome=\"accepted\"} 1",
        "nightlatch_sign_in_seconds_count{outcome=\"refused\"} 1",
        // And one for the account that was created.
        "nightlatch_password_hash_seconds_count 3",
        "nightlatch_passwords_checked_total 2",
        "nightlatch_hashing_queue 0",
        "nightlatch_database_up 1",
        "nightlatch_sessions_live 0",
        "nightlatch_events_total{event=\"session.ended\",reason=\"signed_out\"} 1",
        // The counter exists before the first such event; otherwise an alert would miss that event.
        "nightlatch_events_total{event=\"session.ended\",reason=\"idle\"} 0",
        "nightlatch_events_total{event=\"session.rotated_id_reused\",reason=\"rotated_reuse\"} 0",
    ] {
        assert!(text.lines().any(|served| served == line), "{line}: {text}");
    }
    // They contain no names or addresses.
    for name in ["ada", "127.0.0.1", "wiki", PASSWORD] {
        assert!(!text.contains(name), "{name}");
    }
}
