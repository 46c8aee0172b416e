//! The LDAP client against a real server.

use crate::harness::{
    relay::Relay,
    slapd::{PERSON_PASSWORD, SERVICE_PASSWORD, Slapd, group_dn, person_dn},
};
use nightlatch::{
    clock::{Clock, SystemClock},
    domain::{
        secret::Secret,
        source::{SourceDefinition, SourceSettings},
    },
    identity::ldap::{Directory, DirectoryPerson, DirectoryRefusal, DirectoryStep, PasswordAnswer, PersonLookup},
};
use std::{
    future::Future,
    time::{Duration, Instant},
};

pub fn run<T>(act: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(act)
}

pub fn client(definition: SourceDefinition) -> Directory {
    let SourceSettings::Ldap(settings) = definition.settings else {
        panic!("not a directory");
    };
    Directory::new(settings, Some(Secret::new(SERVICE_PASSWORD.to_owned())))
}

async fn find(directory: &Directory, name: &str) -> PersonLookup {
    directory.find_person(name, SystemClock.now()).await.unwrap()
}

async fn person(directory: &Directory, name: &str) -> DirectoryPerson {
    match find(directory, name).await {
        PersonLookup::Found(person) => *person,
        other => panic!("{name}: {other:?}"),
    }
}

async fn try_password(directory: &Directory, name: &str, password: &str) -> PasswordAnswer {
    let person = person(directory, name).await;
    let password = Secret::new(password.to_owned());
    directory.check_password(&person, &password).await.unwrap()
}

const WRONG: PasswordAnswer = PasswordAnswer::Refused(DirectoryRefusal::WrongPassword);

#[test]
fn passwords_are_checked_by_bind_over_ldaps_and_start_tls() {
    let slapd = Slapd::start();
    let start_tls = [("urls", slapd.plain_url("localhost")), ("start_tls", "true".to_owned())];
    let start_tls: Vec<(&str, &str)> = start_tls.iter().map(|(key, text)| (*key, text.as_str())).collect();
    for definition in [slapd.definition(&[]), slapd.definition(&start_tls)] {
        run(async {
            let directory = client(definition);
            assert_eq!(
                try_password(&directory, "ada.l", PERSON_PASSWORD).await,
                PasswordAnswer::Right
            );
            assert_eq!(
                try_password(&directory, "ADA.L", PERSON_PASSWORD).await,
                PasswordAnswer::Right
            );
            assert_eq!(try_password(&directory, "ada.l", "wrong").await, WRONG);
            // The service connection still reads after a refused password.
            assert_eq!(person(&directory, "grace").await.name, "grace");
        });
    }
    let before = slapd.binds(&person_dn("ada.l"));
    run(async {
        let directory = client(slapd.definition(&[]));
        assert_eq!(try_password(&directory, "ada.l", "").await, WRONG);
    });
    assert_eq!(
        slapd.binds(&person_dn("ada.l")),
        before,
        "an empty password never reaches the directory"
    );
}

#[test]
fn a_person_is_read_with_id_name_and_address() {
    let slapd = Slapd::start();
    run(async {
        let directory = client(slapd.definition(&[]));
        let ada = person(&directory, " ada.l ").await;
        assert_eq!(ada.dn, person_dn("ada.l"));
        assert_eq!(ada.name, "ada.l");
        assert_eq!(ada.display_name, "Ada Lovelace");
        assert_eq!(ada.email.as_deref(), Some("ada-l@example.test"));
        assert_eq!(ada.refusal, None);
        assert_eq!(ada.external_id.len(), 36, "{}", ada.external_id);
        let found = directory.find_by_id(&ada.external_id, SystemClock.now()).await.unwrap();
        assert_eq!(found, PersonLookup::Found(Box::new(ada.clone())));
        // The ID stays when the name changes.
        slapd.rename_person("ada.l", "ada.king");
        let found = directory.find_by_id(&ada.external_id, SystemClock.now()).await.unwrap();
        let PersonLookup::Found(renamed) = found else {
            panic!("{found:?}")
        };
        assert_eq!(
            (renamed.name.as_str(), &renamed.external_id),
            ("ada.king", &ada.external_id)
        );
        assert_eq!(find(&directory, "ada.l").await, PersonLookup::NotFound);
    });
}

#[test]
fn names_cannot_change_the_filter() {
    let slapd = Slapd::start();
    run(async {
        let directory = client(slapd.definition(&[]));
        for name in [
            "*",
            "*)(uid=*",
            "ada.l)(objectClass=*",
            "ada*",
            "ada.l\u{200b}",
            "\0",
            "",
            "   ",
        ] {
            assert_eq!(find(&directory, name).await, PersonLookup::NotFound, "{name:?}");
        }
        assert_eq!(person(&directory, "b(*)\\").await.display_name, "Bobby Tables");
        for id in ["*", "*)(uid=*", "hex:", "hex:2a", "hex:zz"] {
            let found = directory.find_by_id(id, SystemClock.now()).await.unwrap();
            assert_eq!(found, PersonLookup::NotFound, "{id:?}");
        }
    });
    let ambiguous = slapd.definition(&[("user_filter", "(|(uid={})(objectClass=inetOrgPerson))")]);
    run(async {
        assert_eq!(find(&client(ambiguous), "ada.l").await, PersonLookup::Ambiguous);
    });
}

#[test]
fn groups_are_found_by_each_way() {
    let slapd = Slapd::start();
    // A ring: staff is in wiki, which is in staff.
    slapd.replace(&group_dn("wiki"), "member", &[&person_dn("linus"), &group_dn("staff")]);
    for (way, expected) in [
        ("off", vec![]),
        ("member_of", vec!["wiki"]),
        ("search", vec!["wiki"]),
        ("nested", vec!["staff", "wiki"]),
    ] {
        run(async {
            let directory = client(slapd.definition(&[("group_lookup", way)]));
            let linus = person(&directory, "linus").await;
            let groups = directory.list_groups(&linus).await.unwrap();
            let mut all: Vec<String> = expected
                .iter()
                .flat_map(|name| [(*name).to_owned(), group_dn(name)])
                .collect();
            all.sort();
            assert_eq!(groups, all, "{way}");
        });
    }
}

/// Who may create groups elsewhere in the tree must not be able to make administrators by a name.
#[test]
fn names_of_groups_outside_the_search_base_of_groups_do_not_count() {
    let slapd = Slapd::start();
    for (base, counts) in [
        ("OU=Groups, DC=example, DC=test", true),
        ("ou=elsewhere,dc=example,dc=test", false),
        ("ups,dc=example,dc=test", false),
        (&group_dn("wiki"), false),
    ] {
        run(async {
            let directory = client(slapd.definition(&[("group_lookup", "member_of"), ("group_base", base)]));
            let linus = person(&directory, "linus").await;
            let groups = directory.list_groups(&linus).await.unwrap();
            assert_eq!(groups.contains(&"wiki".to_owned()), counts, "{base}");
            assert!(groups.contains(&group_dn("wiki")), "{base}");
        });
    }
}

#[test]
fn locked_and_disabled_people_are_recognized() {
    let slapd = Slapd::start();
    slapd.lock_person("grace");
    run(async {
        let directory = client(slapd.definition(&[]));
        assert_eq!(
            person(&directory, "grace").await.refusal,
            Some(DirectoryRefusal::Disabled)
        );
        let locked = PasswordAnswer::Refused(DirectoryRefusal::Locked);
        assert_eq!(try_password(&directory, "grace", PERSON_PASSWORD).await, locked);
        for _ in 0..8 {
            assert_ne!(try_password(&directory, "ada.l", "wrong").await, PasswordAnswer::Right);
        }
        assert_eq!(try_password(&directory, "ada.l", PERSON_PASSWORD).await, locked);
        assert_eq!(
            person(&directory, "ada.l").await.refusal,
            Some(DirectoryRefusal::Locked)
        );
    });
}

/// The faults name the step, and no secret.
#[test]
fn connections_need_the_right_certificate_and_password() {
    let slapd = Slapd::start();
    let other = tempfile::NamedTempFile::new().unwrap();
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(other.path(), certificate.cert.pem()).unwrap();
    let wrong_name = slapd.tls_url("127.0.0.1");
    for (replaced, step, words) in [
        (
            ("ca_file", other.path().to_str().unwrap()),
            DirectoryStep::Tls,
            "certificate",
        ),
        (("urls", wrong_name.as_str()), DirectoryStep::Tls, "not valid for name"),
        (("ca_file", "/nonexistent.pem"), DirectoryStep::Tls, "/nonexistent.pem"),
        (("urls", "ldaps://localhost:1"), DirectoryStep::Connect, "refused"),
        (
            ("urls", "ldaps://no-such-host.invalid"),
            DirectoryStep::Resolve,
            "no-such-host.invalid",
        ),
        (
            ("bind_dn", "cn=nobody,dc=example,dc=test"),
            DirectoryStep::ServiceBind,
            "invalid credentials",
        ),
        (("base", "dc=elsewhere,dc=test"), DirectoryStep::Search, "no such entry"),
    ] {
        run(async {
            let directory = client(slapd.definition(&[replaced]));
            let error = directory.find_person("ada.l", SystemClock.now()).await.unwrap_err();
            assert_eq!(error.step, step, "{error}");
            assert!(error.to_string().contains(words), "{error}");
            assert!(!error.to_string().contains(SERVICE_PASSWORD), "{error}");
        });
    }
    // The certificate that `openssl req -x509` makes.
    let mut authority = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = authority.self_signed(&key).unwrap();
    let mut other = Slapd::start();
    other.kill();
    std::fs::write(other.certificate(), certificate.pem()).unwrap();
    std::fs::write(other.certificate().with_file_name("key.pem"), key.serialize_pem()).unwrap();
    other.restart();
    run(async {
        let directory = client(other.definition(&[]));
        let error = directory.find_person("ada.l", SystemClock.now()).await.unwrap_err();
        assert!(error.to_string().contains("authority (CA:TRUE)"), "{error}");
    });
    // The first address that answers is taken.
    let both = format!("ldaps://localhost:1\n{}", slapd.tls_url("localhost"));
    run(async {
        let directory = client(slapd.definition(&[("urls", both.as_str())]));
        assert_eq!(person(&directory, "ada.l").await.name, "ada.l");
    });
}

#[test]
fn a_frozen_server_is_given_up_in_time_and_used_again_when_it_answers() {
    let slapd = Slapd::start();
    let replaced = [
        ("connect_timeout", "1s"),
        ("operation_timeout", "1s"),
        ("connections", "2"),
    ];
    run(async {
        let directory = client(slapd.definition(&replaced));
        let ada = person(&directory, "ada.l").await;
        slapd.freeze();
        let began = Instant::now();
        let password = Secret::new(PERSON_PASSWORD.to_owned());
        let error = directory.find_person("ada.l", SystemClock.now()).await.unwrap_err();
        assert_eq!(error.step, DirectoryStep::Search);
        let error = directory.check_password(&ada, &password).await.unwrap_err();
        assert_eq!(error.step, DirectoryStep::Tls);
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
        // More than its places wait no longer than an operation may take.
        let began = Instant::now();
        let now = SystemClock.now();
        let all = futures_util::future::join_all((0..6).map(|_| directory.find_person("ada.l", now))).await;
        assert!(all.iter().all(Result::is_err));
        assert!(
            all.iter()
                .any(|one| one.as_ref().unwrap_err().to_string().contains("busy")),
            "{all:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
        slapd.thaw();
        assert_eq!(person(&directory, "ada.l").await.name, "ada.l");
        assert_eq!(
            try_password(&directory, "ada.l", PERSON_PASSWORD).await,
            PasswordAnswer::Right
        );
    });
}

#[test]
fn a_server_that_is_gone_is_a_fault_and_its_return_is_noticed() {
    let mut slapd = Slapd::start();
    run(async {
        let directory = client(slapd.definition(&[]));
        let ada = person(&directory, "ada.l").await;
        slapd.kill();
        let began = Instant::now();
        let error = directory.find_person("ada.l", SystemClock.now()).await.unwrap_err();
        assert_eq!(error.step, DirectoryStep::Connect, "{error}");
        let password = Secret::new(PERSON_PASSWORD.to_owned());
        let error = directory.check_password(&ada, &password).await.unwrap_err();
        assert_eq!(error.step, DirectoryStep::Connect, "{error}");
        assert!(began.elapsed() < Duration::from_secs(2));
        slapd.restart();
        assert_eq!(person(&directory, "ada.l").await, ada);
    });
}

/// A firewall that forgot a connection drops its packets without a word; new connections work.
#[test]
fn a_search_on_a_forgotten_connection_is_repeated_on_a_new_one() {
    let slapd = Slapd::start();
    let direct = slapd.tls_url("localhost");
    let relay = Relay::before(&direct);
    let replaced = [
        ("urls", relay.url(&direct).replace("127.0.0.1", "localhost")),
        // As by default: longer than a sign-in waits.
        ("operation_timeout", "10s".to_owned()),
    ];
    let replaced = replaced.each_ref().map(|(key, text)| (*key, text.as_str()));
    run(async {
        let directory = client(slapd.definition(&replaced));
        person(&directory, "ada.l").await;
        relay.hold_open_ones();
        let began = Instant::now();
        let both = futures_util::future::join(person(&directory, "ada.l"), person(&directory, "grace")).await;
        assert_eq!((both.0.name.as_str(), both.1.name.as_str()), ("ada.l", "grace"));
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        let began = Instant::now();
        person(&directory, "linus").await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    });
}

/// The server's limit is 500 entries a search; references to other servers are left out.
#[test]
fn everyone_is_read_page_by_page() {
    let slapd = Slapd::with_more_people(1_200);
    run(async {
        let directory = client(slapd.definition(&[("page_size", "100")]));
        let mut names = Vec::new();
        let mut pages = directory.read_people(SystemClock.now()).await.unwrap();
        while let Some(people) = pages.next_page().await.unwrap() {
            assert!(people.len() <= 100);
            names.extend(people.into_iter().map(|person| person.name));
        }
        assert_eq!(names.len(), 1_204);
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 1_204);
        let probe = directory
            .probe(Some("ada.l"), SystemClock.now(), Duration::from_secs(60))
            .await;
        let steps: Vec<&str> = probe.steps.iter().map(|step| step.step.as_str()).collect();
        assert_eq!(steps, ["resolve", "connect", "tls", "bind", "search", "groups"]);
        assert!(probe.steps.iter().all(|step| step.result.is_ok()), "{:?}", probe.steps);
        assert_eq!(probe.person.unwrap().name, "ada.l");
    });
}
