//! Tests of [`super`].

use super::*;

#[test]
fn a_mail_server_is_named_by_its_url_and_its_password_never_shows() {
    for url in [
        "smtp://mail.example.org",
        "smtp://mail.example.org:2525?tls=opportunistic",
        "smtp://ada:hunter2@mail.example.org?tls=required",
        "smtps://ada:hunter2@mail.example.org",
        "smtp://ada:hunter2@127.0.0.1:2525",
        "smtp://ada:hunter2@localhost:2525",
        "smtp://ada:hunter2@[::1]:2525",
    ] {
        let parsed = SmtpUrl::parse(url).unwrap_or_else(|why| panic!("{url}: {why}"));
        assert!(!format!("{parsed} {parsed:?}").contains("hunter2"), "{url}");
    }
    for url in [
        "mail.example.org",
        "http://mail.example.org",
        "smtp://",
        "smtp://mail.example.org?tls=perhaps",
        "smtp://mail.example.org?timeout=1",
        "smtp://ada@mail.example.org",
        "smtp://ada:hunter2@mail.example.org",
        "smtp://ada:hunter2@mail.example.org?tls=opportunistic",
    ] {
        let why = SmtpUrl::parse(url).unwrap_err();
        assert!(!why.contains("hunter2"), "{why}");
    }
}

#[test]
fn a_sender_has_an_address_and_perhaps_a_name() {
    let of = |text| MailFrom::parse(text).map(|from| (from.name, from.address));
    let (name, address) = ("Nightlatch".to_owned(), "nightlatch@example.org".to_owned());
    assert_eq!(
        of("Nightlatch <nightlatch@example.org>"),
        Ok((name.clone(), address.clone()))
    );
    assert_eq!(
        of("\"Nightlatch\" <nightlatch@example.org>"),
        Ok((name, address.clone()))
    );
    assert_eq!(of("nightlatch@example.org"), Ok((String::new(), address)));
    for odd in [
        "",
        "nobody",
        "a\r\nBcc: <b@example.org>",
        "<a@example.org> b",
        "a <b@c@d>",
    ] {
        assert!(of(odd).is_err(), "{odd}");
    }
    assert_eq!(
        MailFrom::at_host(Some("login.example.org")).address,
        "nightlatch@login.example.org"
    );
    assert_eq!(MailFrom::at_host(None).address, "nightlatch@localhost");
}

#[test]
fn ehlo_says_a_full_name_or_an_ip_address() {
    for (text, hello) in [
        ("login.example.org", "login.example.org"),
        ("192.0.2.1", "[192.0.2.1]"),
        ("[2001:db8::1]", "[IPv6:2001:db8::1]"),
    ] {
        assert_eq!(parse_hello(text).as_deref(), Ok(hello));
    }
    for text in [
        "localhost",
        "mail example.org",
        "-a.example.org",
        "a..b",
        "",
        "a.b\r\nRCPT",
    ] {
        assert!(parse_hello(text).is_err(), "{text}");
    }
}
