//! Who has to enrol a second factor because of a draft, who could not get in, and the messages
//! about it.

use nightlatch_domain::{
    account::{AccountId, Role},
    factor::EnrolledFactors,
    policy::{Scope, effective::FactorPolicy},
    simulate::factors::{AccountCount, FactorAccount, FactorConsequence, FactorImpact, MAX_SHOWN},
};
use uuid::Uuid;

use super::{MICRO, at, document, effective, policy, set};

const NOW: i64 = 10_000;

const WITH_APP: EnrolledFactors = EnrolledFactors {
    authenticator_app: true,
    ..EnrolledFactors::NONE
};

fn account(number: u128, name: &str, role: Role, factors: EnrolledFactors) -> FactorAccount<'_> {
    FactorAccount {
        id: AccountId(Uuid::from_u128(number)),
        name,
        role,
        factors,
        grace_from: None,
        has_link: false,
    }
}

fn rules(settings: &[(&str, &str)]) -> FactorPolicy {
    effective(settings).factors
}

fn impact(accounts: &[FactorAccount<'_>], today: &FactorPolicy, draft: &FactorPolicy, viewer: u128) -> FactorImpact {
    let mut impact = FactorImpact::new(at(NOW), Some(AccountId(Uuid::from_u128(viewer))));
    for account in accounts {
        impact.add(account, today, draft);
    }
    impact
}

const fn of(total: u64, administrators: u64) -> AccountCount {
    AccountCount { total, administrators }
}

#[test]
fn an_account_without_a_factor_has_to_enrol_one() {
    let accounts = [
        account(1, "ada", Role::Administrator, EnrolledFactors::NONE),
        account(2, "grace", Role::Member, EnrolledFactors::NONE),
        account(3, "linus", Role::Member, WITH_APP),
    ];
    let any = rules(&[("factor.required", "any")]);
    let first = impact(&accounts, &rules(&[]), &any, 1);
    assert_eq!((first.accounts, first.must_enrol), (3, of(2, 1)));
    assert_eq!((first.cannot_enter, first.may_skip), (of(0, 0), of(0, 0)));
    assert_eq!(first.own, FactorConsequence::MustEnrol);
    assert_eq!(
        first.sentences(),
        [
            "2 of 3 accounts have to enrol a second factor before anything else, among them 1 administrator.",
            "Your account is among those that have to enrol."
        ]
    );
    let names: Vec<&str> = first.affected().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["ada", "grace"]);
    let passkey = rules(&[("factor.required", "passkey")]);
    let second = impact(&accounts, &any, &passkey, 3);
    assert_eq!(second.must_enrol, of(1, 0), "the others have to enrol already");
    assert_eq!(second.own, FactorConsequence::MustEnrol);
}

#[test]
fn without_a_link_they_could_not_get_in_and_stand_first() {
    let accounts = [
        account(1, "ada", Role::Administrator, EnrolledFactors::NONE),
        FactorAccount {
            has_link: true,
            ..account(2, "grace", Role::Member, EnrolledFactors::NONE)
        },
        account(3, "linus", Role::Member, WITH_APP),
        account(4, "zoe", Role::Member, EnrolledFactors::NONE),
    ];
    let by_link = rules(&[("factor.required", "passkey"), ("factor.enrolment", "by_link")]);
    let impact = impact(&accounts, &rules(&[]), &by_link, 1);
    assert_eq!((impact.cannot_enter, impact.must_enrol), (of(2, 1), of(2, 0)));
    let shown: Vec<(&str, &str)> = impact
        .affected()
        .map(|one| (one.name.as_str(), one.consequence.as_str()))
        .collect();
    assert_eq!(
        shown,
        [
            ("ada", "cannot_enter"),
            ("zoe", "cannot_enter"),
            ("grace", "must_enrol"),
            ("linus", "must_enrol")
        ],
        "linus proves the app and may then enrol a passkey"
    );
    let sentences = impact.sentences();
    assert!(
        sentences.contains(
            &"2 of 4 accounts could not get in, among them 1 administrator: without a second factor they need an \
              enrolment link from an administrator."
                .to_owned()
        ),
        "{sentences:?}"
    );
    assert!(
        sentences
            .iter()
            .any(|sentence| sentence.starts_with("Your own account could not get in."))
    );
    let json = impact.to_json();
    assert_eq!(
        json["cannot_enter"],
        serde_json::json!({ "total": 2, "administrators": 1 })
    );
    assert_eq!(json["affected"][0]["account"], "ada");
}

#[test]
fn the_grace_period_ends_at_the_exact_microsecond() {
    let draft = rules(&[("factor.required", "any"), ("factor.enrolment_grace", "1000")]);
    for (from, expected) in [
        (at(NOW - 1000).saturating_add(MICRO), FactorConsequence::MaySkip),
        (at(NOW - 1000), FactorConsequence::MaySkip),
        (at(NOW - 1000).saturating_sub(MICRO), FactorConsequence::MustEnrol),
    ] {
        let account = FactorAccount {
            grace_from: Some(from),
            ..account(1, "ada", Role::Member, EnrolledFactors::NONE)
        };
        let consequence = FactorConsequence::new(&account, draft.required, &draft, at(NOW));
        assert_eq!(consequence, expected);
    }
    let fresh = [account(1, "ada", Role::Member, EnrolledFactors::NONE)];
    let impact = impact(&fresh, &rules(&[]), &draft, 1);
    assert_eq!((impact.may_skip, impact.own), (of(1, 0), FactorConsequence::MaySkip));
}

#[test]
fn requirements_of_one_application_alone_are_distinguished() {
    let mut draft = document(&[]);
    set(
        &mut draft,
        &Scope::Application("wiki".into()),
        &[("factor.required", "any")],
    );
    let draft = policy(draft)
        .effective(Role::Member, &["wiki".to_owned()], None)
        .factors;
    let accounts = [account(1, "ada", Role::Member, EnrolledFactors::NONE)];
    let impact = impact(&accounts, &rules(&[]), &draft, 0);
    let affected = impact.affected().next().unwrap();
    assert!(affected.at_applications);
    assert_eq!(affected.display(), "has to enrol, at an application");
}

#[test]
fn a_looser_draft_and_an_unchanged_one_concern_nobody() {
    let accounts = [account(1, "ada", Role::Member, EnrolledFactors::NONE)];
    let (off, any) = (rules(&[]), rules(&[("factor.required", "any")]));
    for (today, draft) in [(&any, &off), (&any, &any), (&off, &off)] {
        let impact = impact(&accounts, today, draft, 1);
        assert_eq!((impact.affected_total(), impact.own), (0, FactorConsequence::Nothing));
        assert_eq!(
            impact.sentences(),
            ["No account has to enrol a second factor because of this."]
        );
    }
}

#[test]
fn a_draft_that_switches_a_kind_off_counts_the_accounts_that_have_no_other() {
    let both = EnrolledFactors {
        passkeys: 1,
        ..WITH_APP
    };
    let accounts = [
        account(1, "ada", Role::Administrator, WITH_APP),
        account(2, "grace", Role::Member, both),
        account(3, "linus", Role::Member, EnrolledFactors::NONE),
    ];
    let off = rules(&[("factor.authenticator_app", "off")]);
    let first = impact(&accounts, &rules(&[]), &off, 1);
    assert_eq!((first.only_switched_off, first.affected_total()), (of(1, 1), 0));
    assert_eq!(first.to_json()["only_switched_off"]["total"], 1);
    assert_eq!(
        first.sentences()[1..],
        [
            "1 of 3 accounts has no second factor but of a kind that is switched off, an administrator’s: sign-ins ask \
             for a recovery code, and for that factor when no code is left, until another one is set up.",
            "Your account is among those. Set up another second factor first.",
        ]
    );
    assert_eq!(
        impact(&accounts, &off, &off, 1).only_switched_off,
        of(0, 0),
        "known before"
    );
    let strict = rules(&[("factor.authenticator_app", "off"), ("factor.required", "any")]);
    assert_eq!(impact(&accounts, &off, &strict, 0).must_enrol, of(1, 0), "linus alone");
}

#[test]
fn the_list_is_bounded_and_the_counts_are_not() {
    let names: Vec<String> = (0..200).map(|number| format!("user{number:03}")).collect();
    let accounts: Vec<FactorAccount<'_>> = names
        .iter()
        .zip(1..)
        .map(|(name, number)| account(number, name, Role::Member, EnrolledFactors::NONE))
        .collect();
    let impact = impact(&accounts, &rules(&[]), &rules(&[("factor.required", "any")]), 0);
    assert_eq!((impact.affected_total(), impact.affected().len()), (200, MAX_SHOWN));
    assert_eq!(impact.affected().next().unwrap().name, "user000");
}

#[test]
fn where_no_passkey_can_exist_nobody_could_get_in() {
    let accounts = [
        account(1, "ada", Role::Administrator, WITH_APP),
        account(2, "grace", Role::Member, EnrolledFactors::NONE),
    ];
    let draft = FactorPolicy {
        passkeys: false,
        ..rules(&[("factor.required", "passkey"), ("factor.enrolment_grace", "1d")])
    };
    let impact = impact(&accounts, &rules(&[]), &draft, 1);
    assert_eq!((impact.cannot_enter, impact.no_such_factor), (of(2, 1), 2));
    let sentences = impact.sentences();
    assert!(
        sentences[0].contains("2 of 2 accounts could not get in") && sentences[0].contains("cannot exist here"),
        "{sentences:?}"
    );
}
