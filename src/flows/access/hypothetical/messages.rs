//! The messages of an access test, for the page and for scripts.

use super::{AccessDecision, AccessTest, TestedAccount};
use crate::domain::{
    application::{AddressMatch, canonical_path},
    factor::FactorDuty,
    session::{AccountState, Duty},
};

impl AccessTest {
    /// Returns the facts that were checked, each with its result.
    pub fn reasons(&self) -> Vec<(&'static str, String)> {
        let application = match &self.place {
            AddressMatch::Unknown => format!("none: no application is registered for {}", self.target.host()),
            AddressMatch::NotCanonical => "one that decides by path".to_owned(),
            AddressMatch::Public(application) | AddressMatch::Guarded(application) => application.name.clone(),
        };
        let reading = if canonical_path(self.target.path()).is_some() {
            "unambiguous"
        } else {
            "ambiguous (//, dot segments, encoded slashes): refused where decisions depend on the path"
        };
        let path = match &self.place {
            AddressMatch::Public(_) => Some("public: no sign-in needed"),
            AddressMatch::Guarded(_) => Some("not public: a session must be live"),
            AddressMatch::Unknown | AddressMatch::NotCanonical => None,
        };
        let who = match &self.place {
            AddressMatch::Guarded(application) => Some(application.entrants()),
            AddressMatch::Public(_) => Some("anyone".to_owned()),
            AddressMatch::Unknown | AddressMatch::NotCanonical => None,
        };
        [
            Some(("Application", application)),
            Some(("Path", reading.to_owned())),
            path.map(|path| ("Public path", path.to_owned())),
            who.map(|who| ("Access", who)),
        ]
        .into_iter()
        .flatten()
        .chain(self.account.iter().map(|account| ("Account", account.describe())))
        .collect()
    }
}

impl TestedAccount {
    fn describe(&self) -> String {
        let groups = match self.groups.is_empty() {
            true => "no groups".to_owned(),
            false => format!("groups {}", self.groups.join(", ")),
        };
        let state = match self.state {
            AccountState::Enabled => "enabled",
            AccountState::Disabled => "disabled",
            AccountState::Expired => "expired",
        };
        let enters = match self.may_enter {
            Some(true) => "; has access",
            Some(false) => "; neither role nor group has access",
            None => "",
        };
        format!("{}: {}, {groups}, {state}{enters}", self.name, self.role.as_str())
    }
}

impl AccessDecision {
    /// Returns the decision as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Public => "Passes: the path is public.".to_owned(),
            Self::Admitted(_) => "Passes.".to_owned(),
            Self::Duty(Duty::PasswordChange) => "Redirected to change the password first.".to_owned(),
            Self::Duty(Duty::Factor(FactorDuty::Prove)) => "Redirected to prove a second factor first.".to_owned(),
            Self::Duty(Duty::Factor(FactorDuty::Enrol)) => "Redirected to enrol a second factor first.".to_owned(),
            Self::Duty(Duty::DeviceProof(fault)) | Self::Unproved(fault) => {
                format!("Redirected to sign in again. {}", fault.sentence())
            }
            Self::NotSignedIn(None) => "Redirected to sign-in.".to_owned(),
            Self::NotSignedIn(Some(reason)) => format!("The session would end. {}", reason.sentence()),
            Self::NotAllowed(_) => "Refused: neither role nor group has access.".to_owned(),
            Self::Unknown => "Refused: no application is registered for this address.".to_owned(),
            Self::NotCanonical => "Refused: the path is ambiguous.".to_owned(),
        }
    }
}
