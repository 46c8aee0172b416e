//! The policy's rules about second factors, in the form that the judgement uses.

use crate::{
    factor::{EnrolledFactors, FactorRequirement, Proofs},
    time::Span,
};

/// The rules about second factors for one kind of session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactorPolicy {
    /// `factor.required` for the request: the stricter of the role's value and of the requested
    /// application's. An application's requirement applies only to that application.
    pub required: FactorRequirement,
    /// The strictest `factor.required` for the session: the role's, and that of every application
    /// that it entered or is entering.
    pub strictest: FactorRequirement,
    /// `factor.enrolment`.
    pub enrolment: EnrolmentMode,
    /// `factor.enrolment_grace`; zero: none.
    pub enrolment_grace: Span,
    /// `factor.authenticator_app`.
    pub authenticator_app: bool,
    /// `factor.passkeys`.
    pub passkeys: bool,
    /// `factor.passwordless`; never without `factor.passkeys`.
    pub passwordless: bool,
    /// `factor.trusted_browser`; `None`: off.
    pub trusted_browser: Option<Span>,
    /// `factor.failure_limit`.
    pub failure_limit: u32,
}

impl FactorPolicy {
    /// Returns the factors that count. Factors of a kind that is switched off count only for an
    /// account that could prove nothing else, so that switching a kind off never makes a password
    /// enough. Recovery codes stand in for any enrolled factor, even one of a kind that is switched
    /// off.
    #[must_use]
    pub const fn usable(&self, enrolled: EnrolledFactors) -> EnrolledFactors {
        let switched_on = EnrolledFactors {
            authenticator_app: enrolled.authenticator_app && self.authenticator_app,
            passkeys: if self.passkeys { enrolled.passkeys } else { 0 },
            recovery_codes: if enrolled.has_any() { enrolled.recovery_codes } else { 0 },
        };
        if switched_on.has_any() || switched_on.recovery_codes > 0 {
            return switched_on;
        }
        EnrolledFactors {
            recovery_codes: 0,
            ..enrolled
        }
    }

    /// Returns whether an account has factors, but none of a kind that is switched on.
    pub const fn has_only_switched_off(&self, enrolled: EnrolledFactors) -> bool {
        let has_app = enrolled.authenticator_app && self.authenticator_app;
        let has_passkey = enrolled.passkeys > 0 && self.passkeys;
        enrolled.has_any() && !has_app && !has_passkey
    }

    /// Returns whether the owner of an account can prove what is required.
    pub const fn can_meet(&self, enrolled: EnrolledFactors, required: FactorRequirement) -> bool {
        let usable = self.usable(enrolled);
        let has_code = usable.recovery_codes > 0 && matches!(required, FactorRequirement::Any);
        usable.can_meet(required) || has_code
    }

    /// Returns whether the owner of an account can prove any factor: whether the account has one.
    pub const fn can_prove(&self, enrolled: EnrolledFactors) -> bool {
        let usable = self.usable(enrolled);
        usable.has_any() || usable.recovery_codes > 0
    }

    /// Returns whether a sign-in with these proofs must prove a second factor. An account that has
    /// a factor is always asked for it, and is asked again if the proofs are too weak and it has a
    /// stronger factor.
    pub const fn needs_second_step(&self, enrolled: EnrolledFactors, proofs: Proofs) -> bool {
        let falls_short = !self.strictest.is_met_by(proofs) && self.usable(enrolled).can_meet(self.strictest);
        self.can_prove(enrolled) && (!proofs.has_second_factor() || falls_short)
    }

    /// Returns whether any kind that meets `required` can be enrolled. `passkeys_exist`: people
    /// reach this installation by a name, which browsers need for passkeys.
    pub fn offers(&self, required: FactorRequirement, passkeys_exist: bool) -> bool {
        let passkeys = self.passkeys && passkeys_exist;
        match required {
            FactorRequirement::Off => true,
            FactorRequirement::Any => self.authenticator_app || passkeys,
            FactorRequirement::Passkey => passkeys,
        }
    }

    /// Returns whether the owner of an account can enrol a factor, after proving one that the
    /// account has. `has_link`: a valid enrolment link was issued.
    pub const fn may_enrol(&self, enrolled: EnrolledFactors, has_link: bool) -> bool {
        self.can_prove(enrolled) || self.may_enrol_first(has_link)
    }

    /// Returns what keeps a session with these proofs from enrolling a factor; `None`: nothing. A
    /// password alone never adds a factor to one that can be proved. The first factor needs what
    /// `factor.enrolment` says, also after a sign-in at a provider that vouches for a factor there:
    /// a thief of that sign-in must not gain a factor that works here without the provider.
    /// `has_link`: the session has a valid enrolment link.
    pub const fn enrolment_barrier(
        &self,
        enrolled: EnrolledFactors,
        proofs: Proofs,
        has_link: bool,
    ) -> Option<EnrolmentBarrier> {
        let can_prove = self.can_prove(enrolled);
        if proofs.has_enrolled_factor() || (can_prove && proofs.has_own_factor()) {
            None
        } else if can_prove {
            Some(EnrolmentBarrier::UnprovedFactor)
        } else if self.may_enrol_first(has_link) {
            None
        } else {
            Some(EnrolmentBarrier::MissingLink)
        }
    }

    const fn may_enrol_first(&self, has_link: bool) -> bool {
        match self.enrolment {
            EnrolmentMode::AtSignIn => true,
            EnrolmentMode::ByLink => has_link,
        }
    }
}

/// What keeps a session from enrolling a factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnrolmentBarrier {
    /// The account has a factor that the session has not proved.
    UnprovedFactor,
    /// A first factor needs an enrolment link from an administrator.
    MissingLink,
}

/// How an account without a factor gets one (`factor.enrolment`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnrolmentMode {
    /// Right after its password.
    AtSignIn,
    /// Only through an enrolment link from an administrator.
    ByLink,
}

impl EnrolmentMode {
    /// Parses a mode; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        [EnrolmentMode::AtSignIn, EnrolmentMode::ByLink]
            .into_iter()
            .find(|mode| mode.as_str() == word)
    }

    /// Returns the value as the setting spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            EnrolmentMode::AtSignIn => "at_sign_in",
            EnrolmentMode::ByLink => "by_link",
        }
    }
}
