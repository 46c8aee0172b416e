//! Second factors: what a session has proved, what a policy requires, and what an account has
//! enrolled. Nothing is verified here; the code that verifies a code or a passkey records a
//! [`Proof`].

mod inventory;

pub use inventory::{FactorDifference, FactorInventory, FactorKind, FactorTotals};

use std::fmt;

/// Declares each proof once: variant, code, label, meaning.
macro_rules! proofs {
    ($($variant:ident $code:literal $label:literal $meaning:literal,)+) => {
        /// A proof that a session has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Proof { $(#[doc = $meaning] $variant,)+ }

        impl Proof {
            /// All proofs, in the order in which sets of them are written.
            pub const ALL: &[Proof] = &[$(Proof::$variant,)+];

            /// Returns the stable code for the audit, JSON, headers and the database.
            pub const fn as_str(self) -> &'static str {
                match self { $(Proof::$variant => $code,)+ }
            }

            /// Returns the label in the middle of a sentence.
            pub const fn label(self) -> &'static str {
                match self { $(Proof::$variant => $label,)+ }
            }

            /// Parses a code; `None` for an unknown one.
            pub fn parse(code: &str) -> Option<Self> {
                match code { $($code => Some(Proof::$variant),)+ _ => None }
            }
        }
    };
}

proofs! {
    Password "password" "password"
        "The account's password.",
    ProviderSignIn "provider_sign_in" "sign-in at the identity provider"
        "A sign-in at the account's identity provider, in place of a password.",
    Totp "totp" "authenticator app"
        "A code of the account's authenticator app (RFC 6238).",
    Passkey "passkey" "passkey"
        "One of the account's passkeys, without verification of the user.",
    PasskeyVerified "passkey_verified" "passkey with user verification"
        "One of the account's passkeys, unlocked by a PIN or a biometric: two factors in one.",
    RecoveryCode "recovery_code" "recovery code"
        "One of the account's recovery codes, used up by it.",
    TrustedBrowser "trusted_browser" "trusted browser"
        "A browser in which the owner proved a second factor before and asked to be trusted.",
    IdentityProvider "identity_provider" "second factor at the identity provider"
        "A sign-in at an identity provider that vouches for a second factor.",
}

impl Proof {
    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of proofs. Its text form has the codes in the order of [`Proof::ALL`], separated by
/// spaces: `password totp`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Proofs(u8);

impl Proofs {
    /// The empty set.
    pub const NONE: Proofs = Proofs(0);

    /// The set with only the password.
    pub const PASSWORD: Proofs = Proofs(Proof::Password.bit());

    /// Returns the set with one more proof.
    #[must_use]
    pub const fn with(self, proof: Proof) -> Self {
        Self(self.0 | proof.bit())
    }

    /// Returns whether the proof is in the set.
    pub const fn contains(self, proof: Proof) -> bool {
        self.0 & proof.bit() != 0
    }

    /// Returns whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the proofs of the set, in the order of [`Proof::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Proof> {
        Proof::ALL.iter().copied().filter(move |proof| self.contains(*proof))
    }

    /// Returns the union of two sets.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns whether a second factor was proved in the session itself. A trusted browser only
    /// stands for an earlier proof: it lets a sign-in skip the question, and has no other effect.
    pub const fn has_own_factor(self) -> bool {
        Proofs(self.0 & !Proof::TrustedBrowser.bit()).has_second_factor()
    }

    /// Returns whether one of the account's own factors was proved in the session itself. An
    /// identity provider vouches for a factor that the person has there, not here.
    pub const fn has_enrolled_factor(self) -> bool {
        Proofs(self.0 & !Proof::IdentityProvider.bit()).has_own_factor()
    }

    /// Returns whether this set contains everything in `other`.
    pub const fn includes(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether it contains a proof besides the password that counts as a second factor.
    pub const fn has_second_factor(self) -> bool {
        FactorRequirement::Any.is_met_by(self)
    }

    /// Parses the stored text form, with any spaces and in any order. `None`: a code is unknown, so
    /// that the rest must not be used.
    pub fn parse(text: &str) -> Option<Self> {
        text.split_whitespace().map(Proof::parse).collect()
    }

    /// Formats the set for people: `password, authenticator app`, or `nothing`.
    pub fn display(self) -> String {
        if self.is_empty() {
            return "nothing".to_owned();
        }
        let labels: Vec<&str> = self.iter().map(Proof::label).collect();
        labels.join(", ")
    }

    /// Converts to the codes in `--json` and the audit.
    pub fn to_json(self) -> serde_json::Value {
        self.iter().map(Proof::as_str).collect()
    }
}

impl fmt::Display for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, proof) in self.iter().enumerate() {
            if place > 0 {
                f.write_str(" ")?;
            }
            f.write_str(proof.as_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Proofs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proofs({self})")
    }
}

impl From<Proof> for Proofs {
    fn from(proof: Proof) -> Self {
        Self(proof.bit())
    }
}

impl FromIterator<Proof> for Proofs {
    fn from_iter<I: IntoIterator<Item = Proof>>(proofs: I) -> Self {
        proofs.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What a session must prove besides the password (`factor.required`); stricter is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum FactorRequirement {
    /// Nothing.
    #[default]
    Off,
    /// A second factor of any kind.
    Any,
    /// A passkey, which cannot be phished (NIST SP 800-63B-4, 3.2.5).
    Passkey,
}

impl FactorRequirement {
    /// All requirements, the loosest first.
    pub const ALL: &[FactorRequirement] = &[
        FactorRequirement::Off,
        FactorRequirement::Any,
        FactorRequirement::Passkey,
    ];

    /// Returns the value as the setting spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            FactorRequirement::Off => "off",
            FactorRequirement::Any => "any",
            FactorRequirement::Passkey => "passkey",
        }
    }

    /// Parses a requirement; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        FactorRequirement::ALL
            .iter()
            .copied()
            .find(|requirement| requirement.as_str() == word)
    }

    /// Returns whether these proofs meet the requirement.
    pub const fn is_met_by(self, proofs: Proofs) -> bool {
        const PASSKEY: Proofs = Proofs::NONE.with(Proof::Passkey).with(Proof::PasskeyVerified);
        const ANY: Proofs = PASSKEY
            .with(Proof::Totp)
            .with(Proof::RecoveryCode)
            .with(Proof::TrustedBrowser)
            .with(Proof::IdentityProvider);
        match self {
            FactorRequirement::Off => true,
            FactorRequirement::Any => proofs.0 & ANY.0 != 0,
            FactorRequirement::Passkey => proofs.0 & PASSKEY.0 != 0,
        }
    }
}

impl fmt::Display for FactorRequirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The factors that an account has enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct EnrolledFactors {
    /// Whether it has an authenticator app.
    pub authenticator_app: bool,
    /// Number of its passkeys.
    pub passkeys: u32,
    /// Number of its unused recovery codes.
    pub recovery_codes: u32,
}

impl EnrolledFactors {
    /// The factors of an account with only a password.
    pub const NONE: EnrolledFactors = EnrolledFactors {
        authenticator_app: false,
        passkeys: 0,
        recovery_codes: 0,
    };

    /// Returns whether the account has a second factor; recovery codes replace one, but do not
    /// count.
    pub const fn has_any(self) -> bool {
        self.authenticator_app || self.passkeys > 0
    }

    /// Formats the factors for people: `authenticator app, 2 passkeys, 9 recovery codes`, or
    /// `none`.
    pub fn display(self) -> String {
        let counted = |n: u32, one: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {one}s")),
        };
        let parts = [
            self.authenticator_app.then(|| "authenticator app".to_owned()),
            counted(self.passkeys, "passkey"),
            counted(self.recovery_codes, "recovery code"),
        ];
        match parts.into_iter().flatten().collect::<Vec<_>>() {
            none if none.is_empty() => "none".to_owned(),
            parts => parts.join(", "),
        }
    }

    /// Returns whether its owner can meet the requirement.
    pub const fn can_meet(self, requirement: FactorRequirement) -> bool {
        match requirement {
            FactorRequirement::Off => true,
            FactorRequirement::Any => self.has_any(),
            FactorRequirement::Passkey => self.passkeys > 0,
        }
    }
}

/// A duty about second factors before anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactorDuty {
    /// Enrolling a factor that meets the requirement, because the account has none.
    Enrol,
    /// Proving a factor that the account has.
    Prove,
}

impl FactorDuty {
    /// Returns the stable code for JSON and the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            FactorDuty::Enrol => "enrol",
            FactorDuty::Prove => "prove",
        }
    }
}
