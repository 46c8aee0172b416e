//! The lock of sign-ins through real addresses and browsers: its key, its ceilings, its end.

use crate::harness::{
    client::{CHROME, Client, FIREFOX},
    server::{Backend, PASSWORD, TestServer},
};
use nightlatch::{
    domain::{account::Role, lockout::LockoutFilter},
    flows::lockouts,
};

fn proxied(backend: Backend, settings: &[(&str, &str)]) -> TestServer {
    let server = TestServer::on(backend)
        .env("NIGHTLATCH_TRUSTED_PROXIES", "127.0.0.1/32")
        .start();
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "2"),
    ]);
    server.policy(settings);
    for name in ["ada", "eve"] {
        server.account(name, Role::Member);
    }
    server
}

fn from(server: &TestServer, ip: &str) -> Client {
    server.anyone().header("x-forwarded-for", ip)
}

/// Fails until it locks.
fn lock(client: &Client, name: &str) {
    for _ in 0..200 {
        match client.sign_in(name, "wrong").status() {
            422 => {}
            status => {
                assert!([403, 429].contains(&status), "{status}");
                return;
            }
        }
    }
    panic!("never locked");
}

#[test]
fn the_key_is_the_address_the_user_at_an_address_or_with_the_browser_too() {
    const BOTH: (&str, &str) = ("auth.login_lock_out_by_combination_user_and_ip", "true");
    const AGENT: (&str, &str) = ("auth.login_lock_out_use_user_agent", "true");
    // Locked out afterwards: another name there, another browser there.
    for (settings, name_too, browser_too) in [
        (vec![], true, true),
        (vec![BOTH], false, true),
        (vec![AGENT], true, false),
        (vec![BOTH, AGENT], false, false),
    ] {
        for backend in [Backend::Sqlite, Backend::Postgres] {
            let server = proxied(backend, &settings);
            let client = || from(&server, "203.0.113.9");
            lock(&client(), "ada");
            client().sign_in("ada", PASSWORD).expect(429);
            let status = |locked| if locked { 429 } else { 303 };
            assert_eq!(
                client().sign_in("eve", PASSWORD).status(),
                status(name_too),
                "{backend:?} {settings:?}"
            );
            let other = client().header("user-agent", CHROME);
            assert_eq!(
                other.sign_in("ada", PASSWORD).status(),
                status(browser_too),
                "{backend:?} {settings:?}"
            );
            from(&server, "203.0.113.10").sign_in("ada", PASSWORD).expect(303);
        }
    }
}

#[test]
fn spellings_of_a_name_share_one_counter() {
    let server = proxied(
        Backend::Sqlite,
        &[("auth.login_lock_out_by_combination_user_and_ip", "true")],
    );
    let client = from(&server, "203.0.113.9");
    client.sign_in(" ADA", "wrong").expect(422);
    client.sign_in("Ａda\u{200b}", "wrong");
    client.sign_in("aDa ", "wrong").expect(429);
    client.sign_in("ada", PASSWORD).expect(429);
}

#[test]
fn an_empty_or_unknown_name_is_counted_like_any_other_and_locks_nobody_elsewhere() {
    let server = proxied(Backend::Sqlite, &[("auth.login_account_ceiling", "3")]);
    for n in 1..=6 {
        lock(&from(&server, &format!("198.51.{n}.1")), "");
        lock(&from(&server, &format!("198.51.{n}.2")), "nobody");
    }
    from(&server, "203.0.113.9").sign_in("ada", PASSWORD).expect(303);
    from(&server, "203.0.113.9").sign_in("", "wrong").expect(422);
}

#[test]
fn an_ipv6_address_counts_as_its_network_and_a_mapped_one_as_ipv4() {
    let server = proxied(Backend::Sqlite, &[]);
    from(&server, "2001:db8:1:2::1").sign_in("ada", "wrong").expect(422);
    from(&server, "[2001:db8:1:2:ffff::9]:4711")
        .sign_in("ada", "wrong")
        .expect(429);
    from(&server, "2001:db8:1:2:aaaa:bbbb:cccc:dddd")
        .sign_in("ada", PASSWORD)
        .expect(429);
    from(&server, "2001:db8:1:3::1").sign_in("ada", PASSWORD).expect(303);
    from(&server, "::ffff:203.0.113.9").sign_in("eve", "wrong").expect(422);
    from(&server, "203.0.113.9").sign_in("eve", "wrong").expect(429);
    from(&server, "::ffff:cb00:7109").sign_in("eve", PASSWORD).expect(429);
}

#[test]
fn the_address_ceiling_stops_rotating_names_and_browsers_even_with_the_lock_off() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = proxied(
            backend,
            &[
                ("auth.login_lock_out_at_failure", "false"),
                ("auth.login_ip_ceiling", "5"),
                ("auth.login_lock_out_by_combination_user_and_ip", "true"),
                ("auth.login_lock_out_use_user_agent", "true"),
            ],
        );
        let guess = |index: usize| {
            let client = from(&server, "203.0.113.9").header("user-agent", &format!("{FIREFOX} {index}"));
            client.sign_in(&format!("name{index}"), "wrong").status()
        };
        assert_eq!(
            (0..5).map(guess).collect::<Vec<_>>(),
            [422, 422, 422, 422, 429],
            "{backend:?}"
        );
        from(&server, "203.0.113.9").sign_in("ada", PASSWORD).expect(429);
        from(&server, "203.0.113.10").sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn the_account_ceiling_keeps_strangers_out_and_lets_the_owners_networks_in() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = proxied(
            backend,
            &[("auth.login_account_ceiling", "4"), ("auth.login_ip_ceiling", "0")],
        );
        from(&server, "203.0.113.9").sign_in("ada", PASSWORD).expect(303);
        for n in 1..=4 {
            from(&server, &format!("198.51.{n}.1")).sign_in("ada", "wrong");
        }
        // A fresh stranger, even with the right password.
        from(&server, "192.0.2.1").sign_in("ada", PASSWORD).expect(429);
        // The owner's network, another address of it.
        from(&server, "203.0.113.200").sign_in("ada", PASSWORD).expect(303);
        // Other accounts are not concerned.
        from(&server, "192.0.2.1").sign_in("eve", PASSWORD).expect(303);
        // After 30 days without a sign-in from there it is a stranger too.
        server.policy(&[("auth.login_cooloff_time", "60 days")]);
        server.advance(31 * 86_400);
        for n in 1..=4 {
            from(&server, &format!("198.18.{n}.1")).sign_in("ada", "wrong");
        }
        from(&server, "203.0.113.9").sign_in("ada", PASSWORD).expect(429);
    }
}

#[test]
fn the_allow_list_is_never_locked_but_counted() {
    let server = proxied(
        Backend::Sqlite,
        &[
            ("auth.login_allow_list", "203.0.113.0/24, 2001:db8::/32"),
            ("auth.login_ip_ceiling", "3"),
        ],
    );
    for ip in ["203.0.113.9", "2001:db8::9", "::ffff:203.0.113.9"] {
        for _ in 0..6 {
            from(&server, ip).sign_in("ada", "wrong").expect(422);
        }
        from(&server, ip).sign_in("ada", PASSWORD).expect(303);
    }
    // Neither does the list say that anything is locked.
    for _ in 0..6 {
        from(&server, "203.0.113.9").sign_in("ada", "wrong").expect(422);
    }
    let views = server
        .run(lockouts::list(
            &server.ctx,
            LockoutFilter {
                limit: 9,
                ..LockoutFilter::default()
            },
        ))
        .unwrap();
    let of_addresses: Vec<_> = views
        .items
        .iter()
        .filter(|view| view.lockout.key.ip.is_some())
        .collect();
    assert!(!of_addresses.is_empty() && of_addresses.iter().all(|view| view.limit.is_none()));
    assert!(views.items.iter().all(|view| view.locked.is_none()));
    lock(&from(&server, "198.51.100.1"), "ada");
    let refused = server
        .events()
        .iter()
        .filter(|event| *event == "sign_in.refused credentials")
        .count();
    assert!(refused >= 18, "{refused}");
}

#[test]
fn a_lock_without_end_is_403_and_the_same_for_names_that_do_not_exist() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = proxied(backend, &[("auth.login_cooloff_time", "-1")]);
        let bodies: Vec<String> = [("203.0.113.9", "ada"), ("203.0.113.10", "nobody")]
            .into_iter()
            .map(|(ip, name)| {
                let client = from(&server, ip);
                client.sign_in(name, "wrong").expect(422);
                let locked = client.sign_in(name, "wrong").expect(403);
                assert_eq!(locked.header("retry-after"), None);
                server.advance(86_400);
                let later = client.sign_in(name, PASSWORD).expect(403);
                let body = later.text().split_once("<body").unwrap().1;
                // A form token is the address's and the instant's.
                let (before, token) = body.split_once("name=\"form_token\" value=\"").unwrap();
                let after = token.split_once('"').unwrap().1;
                format!("{before}{after}").replace(&format!("value=\"{name}\""), "")
            })
            .collect();
        assert_eq!(bodies[0], bodies[1], "{backend:?}");
        // A finite cool-off releases what it would have released.
        server.policy(&[("auth.login_cooloff_time", "1h")]);
        from(&server, "203.0.113.9").sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn switching_the_lock_off_lets_in_what_it_held() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = proxied(backend, &[]);
        let client = from(&server, "203.0.113.9");
        lock(&client, "ada");
        client.sign_in("ada", PASSWORD).expect(429);
        server.policy(&[("auth.login_lock_out_at_failure", "false")]);
        client.sign_in("ada", "wrong").expect(422);
        client.sign_in("ada", PASSWORD).expect(303);
    }
}

#[test]
fn a_spray_with_one_valid_account_does_not_reset_itself() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = proxied(backend, &[("auth.login_failure_limit", "4")]);
        let client = from(&server, "203.0.113.9");
        let statuses: Vec<u16> = (0..4)
            .map(|_| {
                let failed = client.sign_in("eve", "wrong").status();
                client.sign_in("ada", PASSWORD);
                failed
            })
            .collect();
        assert_eq!(statuses, [422, 422, 422, 429], "{backend:?}");
        // A counter that contains the user starts at zero.
        let server = proxied(
            backend,
            &[
                ("auth.login_failure_limit", "4"),
                ("auth.login_lock_out_by_combination_user_and_ip", "true"),
            ],
        );
        let client = from(&server, "203.0.113.9");
        for _ in 0..4 {
            for _ in 0..3 {
                client.sign_in("ada", "wrong").expect(422);
            }
            client.sign_in("ada", PASSWORD).expect(303);
        }
    }
}

#[test]
fn attempts_while_locked_neither_count_nor_extend() {
    let server = proxied(Backend::Sqlite, &[("auth.login_cooloff_time", "10m")]);
    let client = from(&server, "203.0.113.9");
    lock(&client, "ada");
    for _ in 0..9 {
        server.advance(60);
        client.sign_in("ada", "wrong").expect(429);
    }
    server.advance(61);
    client.sign_in("ada", "wrong").expect(422);
    client.sign_in("ada", PASSWORD).expect(303);
}

#[test]
fn each_failure_is_forgotten_on_its_own() {
    let server = proxied(Backend::Sqlite, &[("auth.login_cooloff_time", "10m")]);
    let client = from(&server, "203.0.113.9");
    client.sign_in("ada", "wrong").expect(422);
    server.advance(601);
    client.sign_in("ada", "wrong").expect(422);
    server.advance(600);
    client.sign_in("ada", "wrong").expect(429);
}

#[test]
fn a_lock_that_runs_out_is_recorded_by_the_job_once() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = proxied(backend, &[("auth.login_cooloff_time", "10m")]);
        lock(&from(&server, "203.0.113.9"), "ada");
        let ended = || {
            server
                .events()
                .iter()
                .filter(|event| event.starts_with("lockout.ended"))
                .count()
        };
        server.run(lockouts::settle_due(&server.ctx)).unwrap();
        assert_eq!(ended(), 0, "{backend:?}");
        server.advance(601);
        server.run(lockouts::settle_due(&server.ctx)).unwrap();
        server.run(lockouts::settle_due(&server.ctx)).unwrap();
        assert_eq!(ended(), 1, "{backend:?}");
        from(&server, "203.0.113.9").sign_in("ada", PASSWORD).expect(303);
        assert_eq!(ended(), 1, "{backend:?}");
    }
}

#[test]
fn forged_forwarding_gives_nobody_a_second_address() {
    let server = TestServer::start();
    server.policy(&[
        ("auth.login_lock_out_at_failure", "true"),
        ("auth.login_failure_limit", "3"),
    ]);
    let status = |index: usize| {
        let ip = format!("198.51.100.{index}");
        let client = [
            "x-forwarded-for",
            "forwarded",
            "x-real-ip",
            "client-ip",
            "true-client-ip",
            "cf-connecting-ip",
        ]
        .into_iter()
        .fold(server.anyone(), |client, name| client.header(name, &ip));
        client.sign_in("ada", "wrong").status()
    };
    assert_eq!((0..5).map(status).collect::<Vec<_>>(), [422, 422, 429, 429, 429]);
}

#[test]
fn behind_a_trusted_proxy_only_the_nearest_untrusted_hop_counts() {
    let server = proxied(Backend::Sqlite, &[]);
    // The client prepends what it likes.
    from(&server, "1.1.1.1, 203.0.113.9")
        .sign_in("ada", "wrong")
        .expect(422);
    from(&server, "2.2.2.2, 3.3.3.3, 203.0.113.9, 127.0.0.1")
        .sign_in("ada", "wrong")
        .expect(429);
    from(&server, "4.4.4.4").sign_in("ada", PASSWORD).expect(303);
    // If the header is unreadable, the proxy's own address counts.
    for odd in ["garbage", "203.0.113.9, garbage", "unknown", "", "1.1.1.1, "] {
        server.anyone().header("x-forwarded-for", odd).sign_in("eve", "wrong");
    }
    server
        .anyone()
        .header("x-forwarded-for", "garbage")
        .sign_in("eve", PASSWORD)
        .expect(429);
}

#[test]
fn the_owners_networks_have_a_ceiling_of_their_own_and_unknown_names_the_same() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let server = proxied(
            backend,
            &[
                ("auth.login_account_ceiling", "6"),
                ("auth.login_ip_ceiling", "0"),
                ("auth.login_lock_out_at_failure", "false"),
            ],
        );
        from(&server, "203.0.113.9").sign_in("ada", PASSWORD).expect(303);
        from(&server, "198.51.100.9").sign_in("ada", PASSWORD).expect(303);
        // From sixty addresses of the owner's network, as for an unknown name.
        for name in ["ada", "nobody"] {
            let statuses: Vec<u16> = (1..=60)
                .map(|n| from(&server, &format!("203.0.113.{n}")).sign_in(name, "wrong").status())
                .collect();
            let checked = statuses.iter().filter(|status| **status == 422).count();
            assert_eq!(checked, 5, "{backend:?} {name}: {statuses:?}");
            assert!(
                statuses[5..].iter().all(|status| *status == 429),
                "{backend:?} {name}: {statuses:?}"
            );
        }
        // All of the owner's networks share it, and strangers have theirs.
        from(&server, "198.51.100.9").sign_in("ada", PASSWORD).expect(429);
        from(&server, "192.0.2.1").sign_in("ada", "wrong").expect(422);
    }
}
