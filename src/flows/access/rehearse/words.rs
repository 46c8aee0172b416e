//! A rehearsal in words, for the page and for scripts.

use super::{Passage, Rehearsal, Standing};
use crate::domain::{
    application::{Place, canonical_path},
    session::AccountState,
};

impl Rehearsal {
    /// Why, in words: what was looked at, and what was found.
    pub fn reasons(&self) -> Vec<(&'static str, String)> {
        let application = match &self.place {
            Place::Unknown => format!("none: no application is registered for {}", self.target.host()),
            Place::NotCanonical => "one that decides by path".to_owned(),
            Place::Public(application) | Place::Guarded(application) => application.name.clone(),
        };
        let reading = if canonical_path(self.target.path()).is_some() {
            "one reading"
        } else {
            "more than one reading (//, dot segments, encoded slashes): refused where decisions depend on the path"
        };
        let path = match &self.place {
            Place::Public(_) => Some("public: anybody gets it, without identity"),
            Place::Guarded(_) => Some("not public: a session must be live"),
            Place::Unknown | Place::NotCanonical => None,
        };
        let who = match &self.place {
            Place::Guarded(application) => Some(application.entrants()),
            Place::Public(_) => Some("anybody".to_owned()),
            Place::Unknown | Place::NotCanonical => None,
        };
        [
            Some(("Application", application)),
            Some(("Path", reading.to_owned())),
            path.map(|path| ("Public path", path.to_owned())),
            who.map(|who| ("May enter", who)),
        ]
        .into_iter()
        .flatten()
        .chain(self.account.iter().map(|account| ("Account", account.words())))
        .collect()
    }
}

impl Standing {
    fn words(&self) -> String {
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
            Some(true) => "; may enter",
            Some(false) => "; neither role nor group may enter",
            None => "",
        };
        format!("{}: {}, {groups}, {state}{enters}", self.name, self.role.as_str())
    }
}

impl Passage {
    /// What it comes to, as a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Public => "Passes: the path is public.".to_owned(),
            Self::Admitted(_) => "Passes.".to_owned(),
            Self::PasswordChange => "Is sent to change the password first.".to_owned(),
            Self::NotSignedIn(None) => "Is sent to the sign-in.".to_owned(),
            Self::NotSignedIn(Some(reason)) => format!("The session would end. {}", reason.sentence()),
            Self::NotAllowed => "Is refused: neither role nor group may enter.".to_owned(),
            Self::Unknown => "Is refused: no application is registered for this address.".to_owned(),
            Self::NotCanonical => "Is refused: the path has more than one reading.".to_owned(),
        }
    }
}
