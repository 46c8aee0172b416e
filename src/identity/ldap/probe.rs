//! The test of a source: each step with its time, up to the first that fails.

use super::{
    connection::OpeningTimes,
    directory::Directory,
    error::{DirectoryError, DirectoryStep},
    person::{DirectoryPerson, PersonLookup},
};
use crate::domain::time::Timestamp;
use std::time::{Duration, Instant};

/// One step of the test of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeStep {
    /// The step.
    pub step: DirectoryStep,
    /// How long it took.
    pub took: Duration,
    /// Its findings, or the reason why it failed.
    pub result: Result<String, String>,
}

/// The result of a test.
#[derive(Debug, Default)]
pub struct ProbeResult {
    /// The steps that were tried; only the last one can have failed.
    pub steps: Vec<ProbeStep>,
    /// The person with the typed name.
    pub person: Option<Box<DirectoryPerson>>,
    /// The DNs and names of the person's groups.
    pub groups: Vec<String>,
}

impl ProbeResult {
    fn note(&mut self, step: DirectoryStep, began: Instant, result: Result<String, String>) {
        self.steps.push(ProbeStep {
            step,
            took: began.elapsed(),
            result,
        });
    }

    fn note_fault(&mut self, error: DirectoryError, began: Instant) {
        self.note(error.step, began, Err(error.fault));
    }
}

impl Directory {
    /// Tries each step with new connections: resolve, connect, TLS, bind, and for a typed name
    /// search and groups. No password of a person is involved.
    pub async fn probe(&self, typed: Option<&str>, now: Timestamp) -> ProbeResult {
        let mut result = ProbeResult::default();
        if self.probe_connection(&mut result).await
            && let Some(typed) = typed
        {
            self.probe_person(&mut result, typed, now).await;
        }
        result
    }

    /// Returns whether the source's own credentials are accepted.
    async fn probe_connection(&self, result: &mut ProbeResult) -> bool {
        let mut times = OpeningTimes::default();
        let began = Instant::now();
        let opened = self.pool.connector.open_timed(&mut times).await;
        let steps = times.steps.into_iter();
        result.steps.extend(steps.map(|(step, took)| ProbeStep {
            step,
            took,
            result: Ok(String::new()),
        }));
        if let Err(error) = opened {
            result.note_fault(error, began);
            return false;
        }
        self.pool.forget_service().await;
        let began = Instant::now();
        match self.pool.service_connection().await {
            Ok(_) => {
                let dn = self.settings().bind_dn.as_deref();
                let words = dn.map_or_else(|| "anonymously".to_owned(), |dn| format!("as {dn}"));
                result.note(DirectoryStep::ServiceBind, began, Ok(words));
                true
            }
            Err(error) => {
                result.note_fault(error, began);
                false
            }
        }
    }

    async fn probe_person(&self, result: &mut ProbeResult, typed: &str, now: Timestamp) {
        let began = Instant::now();
        let found = match self.find_person(typed, now).await {
            Ok(PersonLookup::Found(person)) => Ok(person),
            Ok(PersonLookup::NotFound) => Err("no entry matches the name"),
            Ok(PersonLookup::Ambiguous) => Err("several entries match the name"),
            Ok(PersonLookup::Incomplete) => Err("the entry lacks the attribute of the ID or of the name"),
            Err(error) => return result.note_fault(error, began),
        };
        let words = found.as_ref().map(|person| person.dn.clone());
        result.note(DirectoryStep::Search, began, words.map_err(|words| (*words).to_owned()));
        let Ok(person) = found else { return };
        let began = Instant::now();
        match self.list_groups(&person).await {
            Ok(groups) => {
                result.note(
                    DirectoryStep::Groups,
                    began,
                    Ok(format!("{} DNs and names", groups.len())),
                );
                result.groups = groups;
            }
            Err(error) => result.note_fault(error, began),
        }
        result.person = Some(person);
    }
}
