//! The form that proves a second factor: a passkey first, then a code. The second step of a sign-in
//! and the page for a required factor show it.

use crate::{
    domain::{duration::humanize, time::Span},
    flows::factors::FactorMethods,
};

/// The form of `parts/prove.html`, which proves a second factor.
pub struct ProveForm {
    /// Address of the form; the addresses for passkeys are derived from it.
    pub action: &'static str,
    /// Whether a passkey can be used.
    pub passkey: bool,
    /// The field for a code, if one can be typed.
    pub code: Option<CodeField>,
    /// How long the browser would be trusted, if the policy allows that.
    pub trust: Option<String>,
    /// Where to redirect, if the form contains it.
    pub return_to: String,
    /// Why the last attempt was refused.
    pub fault: Option<String>,
}

/// Texts of the field for a code.
pub struct CodeField {
    /// Its label.
    pub label: &'static str,
    /// The codes that are accepted.
    pub hint: &'static str,
}

impl ProveForm {
    /// Makes the form for these methods.
    pub fn new(action: &'static str, methods: FactorMethods, trust: Option<Span>) -> Self {
        Self {
            action,
            passkey: methods.passkey,
            code: CodeField::new(methods),
            trust: trust.map(|trust| humanize(trust.as_secs())),
            return_to: String::new(),
            fault: None,
        }
    }
}

impl CodeField {
    fn new(methods: FactorMethods) -> Option<Self> {
        match (methods.totp, methods.recovery) {
            (true, true) => Some(Self {
                label: "Code",
                hint: "Six digits from your authenticator app, or one of your recovery codes.",
            }),
            (true, false) => Some(Self {
                label: "Code",
                hint: "Six digits from your authenticator app.",
            }),
            (false, true) => Some(Self {
                label: "Recovery code",
                hint: "One of the codes that you saved when you set up your second factor.",
            }),
            (false, false) => None,
        }
    }
}
