//! The form that proves a second factor: a passkey first, then a code. The second step of a sign-in
//! and the page for a required factor show it.

use crate::{
    domain::{duration::humanize, factor::FactorRequirement, time::Span},
    flows::factors::FactorMethods,
};

/// The form of `parts/prove.html`, which proves a second factor.
pub struct ProveForm {
    /// Address of the form; the addresses for passkeys are derived from it.
    pub action: &'static str,
    /// Whether a passkey can be used.
    pub passkey: bool,
    /// Whether there are passkeys, but all were made for another domain.
    pub dead_passkeys: bool,
    /// The field for a code, if one can be typed.
    pub code: Option<CodeField>,
    /// What to do after losing the device.
    pub lost: &'static str,
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
    /// The codes that are accepted, and what they open.
    pub hint: String,
}

impl ProveForm {
    /// Makes the form for these methods.
    pub fn new(action: &'static str, methods: FactorMethods, trust: Option<Span>) -> Self {
        Self {
            action,
            passkey: methods.passkey,
            dead_passkeys: methods.dead_passkeys,
            code: CodeField::new(methods),
            lost: match methods.recovery {
                true => "Enter a recovery code, or ask an administrator to reset your second factor.",
                false => "Ask an administrator to reset your second factor.",
            },
            trust: trust.map(|trust| humanize(trust.as_secs())),
            return_to: String::new(),
            fault: None,
        }
    }
}

impl CodeField {
    /// Describes the field for the codes of these methods; `None`: there are none.
    pub fn new(methods: FactorMethods) -> Option<Self> {
        let (label, hint) = match (methods.totp, methods.recovery) {
            (true, true) => (
                "Code",
                "Six digits from your authenticator app, or one of your recovery codes.",
            ),
            (true, false) => ("Code", "Six digits from your authenticator app."),
            (false, true) => (
                "Recovery code",
                "One of the codes that you saved when you set up your second factor.",
            ),
            (false, false) => return None,
        };
        let opens = match methods.required {
            FactorRequirement::Passkey => " It opens only the setup of a passkey, which is required.",
            FactorRequirement::Any | FactorRequirement::Off => "",
        };
        Some(Self {
            label,
            hint: format!("{hint}{opens}"),
        })
    }
}
