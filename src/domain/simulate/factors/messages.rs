//! The messages and the JSON of the impact on accounts, shared by the page and the command line.

use serde_json::{Value, json};

use super::{AccountCount, AffectedAccount, FactorConsequence, FactorImpact};

impl FactorImpact {
    /// Returns the impact of the draft on accounts, one sentence each; the first one is a summary.
    pub fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if self.affected_total() == 0 {
            sentences.push("No account has to enrol a second factor because of this.".to_owned());
        }
        if self.must_enrol.total > 0 {
            sentences.push(format!(
                "{} to enrol a second factor before anything else{}.",
                has_or_have(self.must_enrol.total, self.accounts),
                administrators(self.must_enrol),
            ));
        }
        if self.may_skip.total > 0 {
            sentences.push(format!(
                "{} to enrol a second factor, and may skip that until the grace period is over{}.",
                has_or_have(self.may_skip.total, self.accounts),
                administrators(self.may_skip),
            ));
        }
        if self.cannot_enter.total > 0 {
            let why = match self.no_such_factor {
                0 => "without a second factor they need an enrolment link from an administrator",
                _ => {
                    "the passkey that is required cannot exist here, because people reach this server by an IP address"
                }
            };
            sentences.push(format!(
                "{} could not get in{}: {why}.",
                count(self.cannot_enter.total, self.accounts),
                administrators(self.cannot_enter),
            ));
        }
        if self.only_switched_off.total > 0 {
            sentences.push(format!(
                "{} no second factor but of a kind that is switched off{}: sign-ins ask for a recovery code, and for \
                 that factor when no code is left, until another one is set up.",
                has_or_have(self.only_switched_off.total, self.accounts),
                administrators(self.only_switched_off),
            ));
        }
        if self.own_switched_off {
            sentences.push("Your account is among those. Set up another second factor first.".to_owned());
        }
        match self.own {
            FactorConsequence::Nothing => {}
            FactorConsequence::MaySkip => sentences.push("Your account is among those that may skip it.".to_owned()),
            FactorConsequence::MustEnrol => {
                sentences.push("Your account is among those that have to enrol.".to_owned())
            }
            FactorConsequence::CannotEnter => {
                let first = match self.no_such_factor {
                    0 => "Enrol a second factor first.",
                    _ => "Give Nightlatch a name (public_url) first.",
                };
                sentences.push(format!("Your own account could not get in. {first}"));
            }
        }
        sentences
    }

    /// Converts to the JSON of `policy preview --json`.
    pub fn to_json(&self) -> Value {
        let count = |count: AccountCount| json!({ "total": count.total, "administrators": count.administrators });
        json!({
            "sentences": self.sentences(),
            "accounts": self.accounts,
            "must_enrol": count(self.must_enrol),
            "may_skip": count(self.may_skip),
            "cannot_enter": count(self.cannot_enter),
            "only_switched_off": count(self.only_switched_off),
            "affected": self.affected().map(AffectedAccount::to_json).collect::<Vec<_>>(),
        })
    }
}

impl AffectedAccount {
    fn to_json(&self) -> Value {
        json!({
            "account": self.name,
            "role": self.role.as_str(),
            "consequence": self.consequence.as_str(),
            "at_applications": self.at_applications,
        })
    }

    /// Describes the consequence for the account in a few words.
    pub fn display(&self) -> String {
        let means = match self.consequence {
            FactorConsequence::Nothing => "nothing changes",
            FactorConsequence::MaySkip => "has to enrol, may skip for now",
            FactorConsequence::MustEnrol => "has to enrol",
            FactorConsequence::CannotEnter => "could not get in",
        };
        let place = if self.at_applications {
            ", at an application"
        } else {
            ""
        };
        format!("{means}{place}")
    }
}

fn count(n: u64, of: u64) -> String {
    format!("{n} of {of} {}", if of == 1 { "account" } else { "accounts" })
}

fn has_or_have(n: u64, of: u64) -> String {
    format!("{} {}", count(n, of), if n == 1 { "has" } else { "have" })
}

fn administrators(count: AccountCount) -> String {
    match (count.total, count.administrators) {
        (_, 0) => String::new(),
        (1, _) => ", an administrator’s".to_owned(),
        (_, 1) => ", among them 1 administrator".to_owned(),
        (_, n) => format!(", among them {n} administrators"),
    }
}
