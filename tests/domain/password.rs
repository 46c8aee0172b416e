//! New passwords, and when one must be changed.

use nightlatch_domain::{
    password::*,
    policy::effective::PasswordPolicy,
    time::{Span, Timestamp},
};

use super::{MICRO, at};

const OWN: &[&str] = &["ada", "Ada Lovelace", "ada.lovelace@example.org", "Nightlatch"];

fn policy(settings: &[(&str, &str)]) -> PasswordPolicy {
    super::effective(settings).password
}

fn judge(new: &str, settings: &[(&str, &str)]) -> Vec<PasswordFault> {
    decide(
        &NewPasswordFacts {
            new,
            again: Some(new),
            account_words: OWN,
            reused: Reuse::No,
        },
        &policy(settings),
    )
}

#[test]
fn long_passwords_without_digits_or_signs_are_accepted() {
    for password in [
        "correcthorsebatterystaple",
        "tuba-marmalade-47-quilt",
        "пингвины летают на юг",
        "4@8({[<6913!|0$5+7%2]}",
        "🦊🐙🦉🐢🦔🐝🦋🐌🐞🦗🕷🦂",
    ] {
        assert_eq!(judge(password, &[]), [], "{password}");
    }
}

#[test]
fn length_is_counted_in_characters_at_both_ends() {
    let loose = [("password.min_strength", "0"), ("password.min_length", "15")];
    for (password, faults) in [
        ("é".repeat(14), vec![PasswordFault::TooShort { min: 15 }]),
        ("é".repeat(15), vec![]),
        ("🦊".repeat(128), vec![]),
        ("é".repeat(129), vec![PasswordFault::TooLong]),
        ("x".repeat(1 << 20), vec![PasswordFault::TooLong]),
    ] {
        assert_eq!(
            judge(&password, &loose),
            faults,
            "{} characters",
            password.chars().count()
        );
    }
}

#[test]
fn a_blank_password_never_passes() {
    let loosest = [("password.min_strength", "0"), ("password.min_length", "8")];
    for password in [
        "",
        " ",
        "            ",
        "\t\n\r",
        "\u{a0}\u{2003}\u{3000}\u{a0}\u{2003}\u{3000}\u{a0}\u{2003}",
        "\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}\u{200b}",
    ] {
        assert_eq!(judge(password, &loosest), [PasswordFault::Blank], "{password:?}");
    }
}

#[test]
fn control_characters_are_refused() {
    for c in ['\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{9f}'] {
        assert_eq!(
            judge(&format!("tuba-marmalade{c}47-quilt"), &[]),
            [PasswordFault::Control],
            "{c:?}"
        );
    }
}

#[test]
fn passwords_that_people_try_first_are_too_weak() {
    for password in [
        "passwordpassword",
        "password123456",
        "qwertyuiop123",
        "111111111111",
        "abcdefghijkl",
        "iloveyou1234",
        "letmeinletmein",
        "aaaaaaaaaaaaaaa",
        "123456789012",
        "qwerty123456",
        "sunshine1234",
        "monkeymonkey",
        "football2024",
    ] {
        assert!(
            matches!(judge(password, &[])[..], [PasswordFault::TooWeak { min: 3, .. }]),
            "{password}: {:?}",
            judge(password, &[])
        );
    }
}

#[test]
fn advice_says_what_would_help() {
    let faults = judge("passwordpassword", &[]);
    let [PasswordFault::TooWeak { score, advice, .. }] = &faults[..] else {
        panic!("{faults:?}")
    };
    assert!(*score < 3 && advice.len() > 10, "{advice}");
    assert!(faults[0].message().contains(advice.as_str()));
}

#[test]
fn the_accounts_own_words_must_not_be_the_substance() {
    for (password, word) in [
        ("ada2026!!!!!!!", "ada"),
        ("Lovelace1234!", "lovelace"),
        ("nightlatch2026", "nightlatch"),
        ("NIGHTLATCH!!!!", "nightlatch"),
        ("ＮightＬatch2026", "nightlatch"),
        ("adalovelaceada", "lovelace"),
        ("ada.lovelace@example.org", "ada.lovelace@example.org"),
    ] {
        for strength in ["0", "3"] {
            let faults = judge(password, &[("password.min_strength", strength)]);
            assert_eq!(faults, [PasswordFault::OwnWord { word: word.into() }], "{password}");
        }
    }
    for password in [
        "ada-tuba-marmalade-47-quilt",
        "armadada-xylophone-9-quilts",
        "the-nightlatch-sings-purple-tubas",
    ] {
        assert_eq!(judge(password, &[]), [], "{password}");
    }
}

#[test]
fn words_too_short_to_mean_anything_are_not_held_against_a_password() {
    let facts = NewPasswordFacts {
        new: "tuba-marmalade-47-quilt",
        again: None,
        account_words: &["a", "tu", ""],
        reused: Reuse::No,
    };
    assert_eq!(decide(&facts, &policy(&[])), []);
}

#[test]
fn all_faults_come_at_once() {
    let settings = [
        ("password.regex", "^[A-Z]"),
        ("password.regex_hint", "Begin with a capital."),
    ];
    let facts = NewPasswordFacts {
        new: "pass\t",
        again: Some("word"),
        account_words: &[],
        reused: Reuse::History,
    };
    let faults = decide(&facts, &policy(&settings));
    assert!(
        matches!(
            &faults[..],
            [
                PasswordFault::TooShort { min: 12 },
                PasswordFault::Control,
                PasswordFault::Reused,
                PasswordFault::Pattern { .. },
                PasswordFault::TooWeak { .. },
                PasswordFault::Mismatch,
            ]
        ),
        "{faults:?}"
    );
    assert_eq!(faults[3].message(), "Begin with a capital.");
}

#[test]
fn hues_pattern_can_be_kept_with_its_own_words() {
    let settings = [
        (
            "password.regex",
            r"^(?=.*?[A-Z])(?=(.*[a-z]){1,})(?=(.*[\d]){1,})(?=(.*[\W_]){1,}).{8,}$",
        ),
        ("password.regex_hint", "Upper case, lower case, a digit and a sign."),
    ];
    assert_eq!(judge("Tuba-marmalade-47-quilt", &settings), []);
    let faults = judge("tuba-marmalade-47-quilt", &settings);
    assert_eq!(
        faults,
        [PasswordFault::Pattern {
            hint: "Upper case, lower case, a digit and a sign.".into()
        }]
    );
}

#[test]
fn a_password_the_account_had_is_refused() {
    for (reused, fault) in [
        (Reuse::Current, PasswordFault::SameAsCurrent),
        (Reuse::History, PasswordFault::Reused),
    ] {
        let facts = NewPasswordFacts {
            new: "tuba-marmalade-47-quilt",
            again: None,
            account_words: OWN,
            reused,
        };
        assert_eq!(decide(&facts, &policy(&[])), [fault]);
    }
}

#[test]
fn the_repetition_may_be_typed_in_another_normal_form() {
    let facts = NewPasswordFacts {
        new: "tuba-marmeladé-47-quilt",
        again: Some("tuba-marmelade\u{301}-47-quilt"),
        account_words: &[],
        reused: Reuse::No,
    };
    assert_eq!(decide(&facts, &policy(&[])), []);
}

#[test]
fn every_fault_has_a_sentence() {
    let faults = [
        PasswordFault::Blank,
        PasswordFault::Mismatch,
        PasswordFault::TooShort { min: 12 },
        PasswordFault::TooLong,
        PasswordFault::TooWeak {
            score: 1,
            min: 3,
            advice: "Use more words.".into(),
        },
        PasswordFault::Reused,
        PasswordFault::SameAsCurrent,
        PasswordFault::Pattern { hint: String::new() },
        PasswordFault::Control,
        PasswordFault::OwnWord { word: "ada".into() },
    ];
    for fault in faults {
        assert!(fault.message().ends_with('.'), "{}", fault.message());
    }
}

#[test]
fn a_password_must_be_changed_when_demanded_set_by_others_or_too_old() {
    let facts = ChangeFacts {
        changed_at: at(0),
        set_by_other: true,
        must_change: false,
    };
    let ageless = policy(&[]);
    assert_eq!(must_change(&facts, false, &ageless, at(0)), None);
    assert_eq!(
        must_change(&facts, true, &ageless, at(0)),
        Some(ChangeReason::SetByOther)
    );
    assert_eq!(
        must_change(
            &ChangeFacts {
                set_by_other: false,
                ..facts
            },
            true,
            &ageless,
            at(0)
        ),
        None
    );
    for change_default in [true, false] {
        let demanded = ChangeFacts {
            must_change: true,
            ..facts
        };
        assert_eq!(
            must_change(&demanded, change_default, &ageless, at(0)),
            Some(ChangeReason::Demanded)
        );
    }
}

#[test]
fn a_password_is_too_old_a_microsecond_after_its_greatest_age() {
    let policy = policy(&[("password.max_age", "90d")]);
    let facts = ChangeFacts {
        changed_at: at(0),
        set_by_other: false,
        must_change: false,
    };
    let limit = at(0).saturating_add(Span::from_secs(90 * 86_400));
    assert_eq!(must_change(&facts, true, &policy, limit.saturating_sub(MICRO)), None);
    assert_eq!(must_change(&facts, true, &policy, limit), None);
    assert_eq!(
        must_change(&facts, true, &policy, limit.saturating_add(MICRO)),
        Some(ChangeReason::TooOld)
    );
    assert_eq!(
        must_change(&facts, true, &policy, Timestamp::from_micros(i64::MIN)),
        None
    );
}
