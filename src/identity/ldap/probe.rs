//! The test of a source: each step with its time, up to the first that fails.

use super::{
    connection::OpeningTimes,
    directory::Directory,
    error::{DirectoryError, DirectoryStep},
    person::{DirectoryPerson, PersonLookup},
};
use crate::domain::time::Timestamp;
use std::time::{Duration, Instant};
use tokio::time::timeout;

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
    /// The steps that were tried, up to the first that failed at every address. An address that was
    /// skipped is a step of its own.
    pub steps: Vec<ProbeStep>,
    /// The person with the typed name.
    pub person: Option<Box<DirectoryPerson>>,
    /// The DNs and names of the person's groups.
    pub groups: Vec<String>,
    opening: OpeningTimes,
    /// The step that has begun, and since when.
    waiting: Option<(DirectoryStep, Instant)>,
}

impl ProbeResult {
    fn begin(&mut self, step: DirectoryStep) -> Instant {
        let began = Instant::now();
        self.waiting = Some((step, began));
        began
    }

    /// Takes over the steps of opening a connection. `is_open`: those that failed were done at
    /// another address.
    fn take_opening(&mut self, is_open: bool) {
        let opening = std::mem::take(&mut self.opening);
        self.waiting = opening.waiting.or(self.waiting);
        self.steps.extend(opening.steps.into_iter().map(|opening| ProbeStep {
            step: opening.step,
            took: opening.took,
            result: match opening.result {
                Err(fault) if is_open => Ok(format!("skipped {fault}")),
                result => result,
            },
        }));
    }

    /// Ends the test at the step that waits for an answer.
    fn give_up(&mut self) {
        self.take_opening(false);
        if let Some((step, began)) = self.waiting {
            self.note(step, began, Err("no answer until the test was given up".to_owned()));
        }
    }

    fn note(&mut self, step: DirectoryStep, began: Instant, result: Result<String, String>) {
        self.waiting = None;
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
    /// search and groups. No password of a person is involved. After `limit` it is given up.
    pub async fn probe(&self, typed: Option<&str>, now: Timestamp, limit: Duration) -> ProbeResult {
        let mut result = ProbeResult::default();
        let probing = async {
            if self.probe_connection(&mut result).await
                && let Some(typed) = typed
            {
                self.probe_person(&mut result, typed, now).await;
            }
        };
        if timeout(limit, probing).await.is_err() {
            result.give_up();
        }
        result
    }

    /// Returns whether the source's own credentials are accepted.
    async fn probe_connection(&self, result: &mut ProbeResult) -> bool {
        let opened = self.pool.connector.open_timed(&mut result.opening).await;
        result.take_opening(opened.is_ok());
        if opened.is_err() {
            return false;
        }
        self.pool.forget_service().await;
        let began = result.begin(DirectoryStep::ServiceBind);
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
        let began = result.begin(DirectoryStep::Search);
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
        let began = result.begin(DirectoryStep::Groups);
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
