//! When bounces between Nightlatch and an application are a redirect loop, and its explanation.

use super::MICRO;
use nightlatch_domain::{
    bounce::{BounceCount, Configuration, MAX_BOUNCES, WITHIN, causes},
    policy::effective::SameSite,
    time::Timestamp,
};

const NOW: Timestamp = Timestamp::from_micros(1_795_281_600_000_000);

#[test]
fn three_within_half_a_minute_are_a_circle() {
    let mut known = None;
    for count in 1..=MAX_BOUNCES {
        let bounces = BounceCount::count_from(known, "wiki.example.org", NOW);
        assert_eq!((bounces.count, bounces.is_loop()), (count, count == MAX_BOUNCES));
        known = BounceCount::parse(&bounces.to_text());
        assert_eq!(known.as_ref(), Some(&bounces), "as the cookie carries it");
    }
    let late = NOW.saturating_add(WITHIN);
    assert!(BounceCount::count_from(known.clone(), "wiki.example.org", late).is_loop());
    let later = BounceCount::count_from(known.clone(), "wiki.example.org", late.saturating_add(MICRO));
    assert_eq!((later.count, later.is_loop()), (1, false));
    assert_eq!(BounceCount::count_from(known, "docs.example.org", NOW).count, 1);
}

#[test]
fn only_what_was_written_is_read() {
    for text in ["", "3", "3:x:wiki", "-1:0:wiki", "3:0"] {
        assert_eq!(BounceCount::parse(text), None, "{text}");
    }
    let port = BounceCount::parse("2:5:[::1]").unwrap();
    assert_eq!((port.count, port.place.as_str()), (2, "[::1]"));
}

#[test]
fn the_causes_are_those_of_this_configuration() {
    let right = Configuration {
        own_https: true,
        own_host: "login.example.org",
        https: true,
        host: "wiki.example.org",
        secure: true,
        same_site: SameSite::Lax,
    };
    assert_eq!(causes(&right), Vec::<String>::new(), "then it is not the configuration");
    let said = |configuration: Configuration<'_>| causes(&configuration).join("\n");
    let plain = said(Configuration { https: false, ..right });
    assert!(
        plain.contains("over https only") && plain.contains("two sites"),
        "{plain}"
    );
    let strict = said(Configuration {
        same_site: SameSite::Strict,
        ..right
    });
    assert!(strict.contains("session.same_site is Strict"), "{strict}");
    let refused = said(Configuration {
        same_site: SameSite::None,
        secure: false,
        ..right
    });
    assert!(refused.contains("turn session.secure on"), "{refused}");
}
