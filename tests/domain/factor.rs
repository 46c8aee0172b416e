//! Proofs, requirements and enrolled factors: the tables of docs/policy.md.

use nightlatch_domain::factor::{EnrolledFactors, FactorDuty, FactorRequirement, Proof, Proofs};
use proptest::{collection::vec, prelude::*, sample::select};

fn proofs() -> impl Strategy<Value = Proofs> {
    vec(select(Proof::ALL), 0..8).prop_map(|proofs| proofs.into_iter().collect())
}

#[test]
fn every_proof_has_a_code_of_its_own() {
    let codes: Vec<&str> = Proof::ALL.iter().map(|proof| proof.as_str()).collect();
    assert_eq!(
        codes,
        [
            "password",
            "provider_sign_in",
            "totp",
            "passkey",
            "passkey_verified",
            "recovery_code",
            "trusted_browser",
            "identity_provider"
        ]
    );
    for proof in Proof::ALL {
        assert_eq!(Proof::parse(proof.as_str()), Some(*proof));
        assert_eq!(proof.to_string(), proof.as_str());
        assert!(!proof.label().contains('_'), "{proof}");
    }
    assert_eq!(Proof::parse("Password"), None);
    assert_eq!(Proof::parse(""), None);
}

#[test]
fn a_set_is_written_in_one_order_and_read_in_any() {
    let set = Proofs::default().with(Proof::Totp).with(Proof::Password);
    assert_eq!(set.to_string(), "password totp");
    assert_eq!(Proofs::parse(" totp  password password"), Some(set));
    assert_eq!(set.to_json(), serde_json::json!(["password", "totp"]));
    assert_eq!(set.display(), "password, authenticator app");
    assert_eq!(Proofs::parse(""), Some(Proofs::NONE));
    assert_eq!(Proofs::NONE.display(), "nothing");
    assert!(Proofs::NONE.is_empty() && !set.is_empty());
}

#[test]
fn a_stored_set_with_an_unknown_code_proves_nothing() {
    assert_eq!(Proofs::parse("password sms"), None);
    assert_eq!(Proofs::parse("password,totp"), None);
}

#[test]
fn each_requirement_is_met_by_the_proofs_of_its_row() {
    use FactorRequirement::{Any, Off, Passkey};
    for (proof, any, passkey) in [
        (Proof::Password, false, false),
        (Proof::Totp, true, false),
        (Proof::Passkey, true, true),
        (Proof::PasskeyVerified, true, true),
        (Proof::RecoveryCode, true, false),
        (Proof::TrustedBrowser, true, false),
        (Proof::IdentityProvider, true, false),
        (Proof::ProviderSignIn, false, false),
    ] {
        let alone = Proofs::from(proof);
        let with_password = alone.with(Proof::Password);
        assert!(Off.is_met_by(alone), "{proof}");
        for proofs in [alone, with_password] {
            assert_eq!(Any.is_met_by(proofs), any, "{proofs:?} for any");
            assert_eq!(Passkey.is_met_by(proofs), passkey, "{proofs:?} for passkey");
            assert_eq!(proofs.has_second_factor(), any, "{proofs:?}");
        }
    }
    assert!(Off.is_met_by(Proofs::NONE));
    assert!(!Any.is_met_by(Proofs::NONE) && !Passkey.is_met_by(Proofs::NONE));
}

#[test]
fn requirements_are_ordered_by_strictness_and_keep_their_words() {
    assert!(FactorRequirement::ALL.is_sorted());
    for requirement in FactorRequirement::ALL {
        assert_eq!(FactorRequirement::parse(requirement.as_str()), Some(*requirement));
    }
    assert_eq!(FactorRequirement::parse("Passkey"), None);
    assert_eq!(FactorRequirement::default(), FactorRequirement::Off);
}

#[test]
fn recovery_codes_alone_are_no_factor() {
    let codes = EnrolledFactors {
        recovery_codes: 10,
        ..EnrolledFactors::NONE
    };
    let app = EnrolledFactors {
        authenticator_app: true,
        ..codes
    };
    let passkey = EnrolledFactors { passkeys: 1, ..codes };
    for (enrolled, any, by_passkey) in [
        (EnrolledFactors::NONE, false, false),
        (codes, false, false),
        (app, true, false),
        (passkey, true, true),
    ] {
        assert_eq!(enrolled.has_any(), any, "{enrolled:?}");
        assert!(enrolled.can_meet(FactorRequirement::Off));
        assert_eq!(enrolled.can_meet(FactorRequirement::Any), any, "{enrolled:?}");
        assert_eq!(
            enrolled.can_meet(FactorRequirement::Passkey),
            by_passkey,
            "{enrolled:?}"
        );
    }
}

#[test]
fn enrolled_factors_read_as_a_list() {
    let enrolled = |authenticator_app, passkeys, recovery_codes| EnrolledFactors {
        authenticator_app,
        passkeys,
        recovery_codes,
    };
    assert_eq!(EnrolledFactors::NONE.display(), "none");
    assert_eq!(enrolled(true, 1, 0).display(), "authenticator app, 1 passkey");
    assert_eq!(enrolled(false, 2, 9).display(), "2 passkeys, 9 recovery codes");
}

#[test]
fn duties_have_codes() {
    assert_eq!(FactorDuty::Enrol.as_str(), "enrol");
    assert_eq!(FactorDuty::Prove.as_str(), "prove");
}

proptest! {
    #[test]
    fn a_set_survives_its_text_form(proofs in proofs()) {
        prop_assert_eq!(Proofs::parse(&proofs.to_string()), Some(proofs));
        prop_assert_eq!(proofs.iter().collect::<Proofs>(), proofs);
    }

    #[test]
    fn a_union_has_what_either_has(one in proofs(), other in proofs()) {
        let both = one.union(other);
        prop_assert!(both.includes(one) && both.includes(other));
        for proof in Proof::ALL {
            prop_assert_eq!(both.contains(*proof), one.contains(*proof) || other.contains(*proof));
        }
    }

    #[test]
    fn a_stricter_requirement_is_never_met_by_more(proofs in proofs()) {
        for pair in FactorRequirement::ALL.windows(2) {
            prop_assert!(!pair[1].is_met_by(proofs) || pair[0].is_met_by(proofs), "{:?}", pair);
        }
    }

    #[test]
    fn one_more_proof_never_loses_a_requirement(proofs in proofs(), more in select(Proof::ALL)) {
        for requirement in FactorRequirement::ALL {
            prop_assert!(!requirement.is_met_by(proofs) || requirement.is_met_by(proofs.with(more)));
        }
    }
}
