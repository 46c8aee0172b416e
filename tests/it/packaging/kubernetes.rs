//! The Kubernetes manifests: settings, ports, probes and the time to stop.

use super::{assert_is_setting, container::instruction, port, read};
use crate::harness::yaml::{values, values_of};
use nightlatch::{
    config::{Config, Flags},
    http::paths,
};
use std::{collections::BTreeMap, fs};

const MANIFESTS: &str = "contrib/kubernetes/nightlatch.yaml";

/// Returns the only value with this name.
fn one<'a>(values: &'a [(String, String)], end: &str) -> &'a str {
    let found = values_of(values, end);
    assert_eq!(found.len(), 1, "{end}: {found:?}");
    found[0]
}

fn number(values: &[(String, String)], end: &str) -> u64 {
    one(values, end).parse().unwrap()
}

fn settings(values: &[(String, String)]) -> BTreeMap<String, String> {
    let data = values
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix("data.")?, value)));
    data.map(|(name, value)| (name.to_owned(), value.clone())).collect()
}

#[test]
fn the_server_accepts_the_settings_of_the_manifests() {
    let values = values(MANIFESTS);
    let mut settings = settings(&values);
    let secrets = tempfile::tempdir().unwrap();
    let mounted = values_of(&values, "volumeMounts.mountPath")[0];
    for (variable, value) in &mut settings {
        assert_is_setting(MANIFESTS, variable);
        if variable.ends_with("_FILE") {
            let name = value.strip_prefix(&format!("{mounted}/")).unwrap().to_owned();
            // The command in the first lines creates the Secret.
            let text = read(MANIFESTS);
            assert!(text.contains(&format!("--from-literal={name}=")), "{name}");
            let file = secrets.path().join(&name);
            let secret = match name.as_str() {
                "database-url" => "postgres://nightlatch:secret@db/nightlatch?sslmode=require".to_owned(),
                "secret-key" => (0..64).map(|byte| format!("{:02x}", byte * 37 % 251)).collect(),
                "smtp-url" => "smtps://user:secret@mail.example.org".to_owned(),
                other => panic!("unknown secret {other}"),
            };
            fs::write(&file, secret).unwrap();
            *value = file.to_str().unwrap().to_owned();
        }
    }
    // The program also gets what the image sets: a setting that both give, one as a value and one
    // as a file, is refused.
    for pair in instruction("ENV") {
        let (name, value) = pair.split_once('=').unwrap();
        settings.entry(name.to_owned()).or_insert(value.to_owned());
    }
    let empty = tempfile::NamedTempFile::new().unwrap();
    Config::load(Some(empty.path()), settings.into_iter(), Flags::default()).unwrap();
}

#[test]
fn ports_and_probes_lead_to_the_server() {
    let values = values(MANIFESTS);
    let settings = settings(&values);
    let (bind, metrics) = (&settings["NIGHTLATCH_BIND"], &settings["NIGHTLATCH_METRICS_BIND"]);
    assert_eq!(
        values_of(&values, "containers.ports.containerPort"),
        [port(bind), port(metrics)]
    );
    assert_eq!(one(&values, "annotations.prometheus.io/port"), port(metrics));
    assert_eq!(one(&values, "spec.ports.targetPort"), "http");
    assert_eq!(one(&values, "startupProbe.httpGet.path"), paths::HEALTHZ);
    assert_eq!(one(&values, "livenessProbe.httpGet.path"), paths::HEALTHZ);
    assert_eq!(one(&values, "readinessProbe.httpGet.path"), paths::READYZ);
}

#[test]
fn an_instance_that_stops_is_out_of_the_service_before_it_closes() {
    let values = values(MANIFESTS);
    let delay = settings(&values)["NIGHTLATCH_STOP_DELAY"]
        .trim_end_matches('s')
        .parse::<u64>()
        .unwrap();
    let noticed = number(&values, "readinessProbe.periodSeconds") * number(&values, "readinessProbe.failureThreshold");
    assert!(
        delay > noticed,
        "the probe fails after {noticed} s, connections are refused after {delay} s"
    );
    // 10 s for open requests and 6 s for writing.
    assert!(number(&values, "terminationGracePeriodSeconds") > delay + 16);
    assert_eq!(number(&values, "spec.replicas"), 3);
    assert_eq!(number(&values, "rollingUpdate.maxUnavailable"), 0);
}

#[test]
fn instances_have_no_rights() {
    let values = values(MANIFESTS);
    for (name, value) in [
        ("securityContext.runAsNonRoot", "true"),
        ("securityContext.runAsUser", "65532"),
        ("securityContext.readOnlyRootFilesystem", "true"),
        ("securityContext.allowPrivilegeEscalation", "false"),
        ("securityContext.capabilities.drop", "ALL"),
        ("securityContext.seccompProfile.type", "RuntimeDefault"),
        ("spec.automountServiceAccountToken", "false"),
    ] {
        assert_eq!(one(&values, name), value, "{name}");
    }
    assert!(
        read("contrib/container/Containerfile").contains("USER 65532:65532"),
        "the account of the image"
    );
}
