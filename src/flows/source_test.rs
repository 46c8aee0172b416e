//! The test of a directory: each step with its time, and what the source's rules would give. It
//! changes nothing.

use super::{Ctx, FlowError, directories::identify, external_accounts::IdentifiedPerson};
use crate::{
    domain::{account::Role, source::SourceKind},
    identity::ldap::DirectoryError,
};
use std::time::{Duration, Instant};

/// Number of people in the sample of who becomes an administrator.
pub const SAMPLE: usize = 200;

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTestStep {
    /// The code of the step: resolve, connect, tls, bind, search, groups, mapping, sample.
    pub step: &'static str,
    /// How long it took.
    pub took: Duration,
    /// What it found, or why it failed.
    pub result: Result<String, String>,
}

/// What a test found.
#[derive(Debug, Default)]
pub struct SourceTest {
    /// The steps; a test ends at the first that fails.
    pub steps: Vec<SourceTestStep>,
    /// Names of the sample that the rules make administrators.
    pub administrators: Vec<String>,
    /// How many people the sample has.
    pub sampled: usize,
}

impl SourceTest {
    /// Returns whether every step succeeded.
    pub fn is_passed(&self) -> bool {
        self.steps.iter().all(|step| step.result.is_ok())
    }

    fn note(&mut self, step: &'static str, began: Instant, result: Result<String, String>) {
        self.steps.push(SourceTestStep {
            step,
            took: began.elapsed(),
            result,
        });
    }

    fn note_fault(&mut self, began: Instant, error: DirectoryError) {
        self.note(error.step.as_str(), began, Err(error.fault));
    }
}

/// Tests a directory, and with `account` what a person with that name would get.
/// `FlowError::NotFound`: there is no source with this name. `Ok(None)`: it is no directory.
pub async fn test_directory(ctx: &Ctx, name: &str, account: Option<&str>) -> Result<Option<SourceTest>, FlowError> {
    let sources = ctx.current_sources().await?;
    let live = sources.by_name(name).ok_or(FlowError::NotFound)?;
    if live.source.kind() != SourceKind::Ldap {
        return Ok(None);
    }
    let directory = ctx.directory_of(live, &sources)?;
    let (source, now) = (&live.source, ctx.now());
    let probe = directory.probe(account, now).await;
    let mut test = SourceTest::default();
    test.steps.extend(probe.steps.into_iter().map(|step| SourceTestStep {
        step: step.step.as_str(),
        took: step.took,
        result: step.result,
    }));
    if !test.is_passed() {
        return Ok(Some(test));
    }
    if let Some(person) = probe.person {
        let began = Instant::now();
        let identified = identify(source, &person, probe.groups);
        test.note(
            "mapping",
            began,
            describe_rights(&identified, person.refusal.map(|refusal| refusal.code())),
        );
    }
    if !source.definition.mapping.gives_administrator() {
        return Ok(Some(test));
    }
    let began = Instant::now();
    let sample = match directory.read_sample(SAMPLE, now).await {
        Ok(sample) => sample,
        Err(error) => {
            test.note_fault(began, error);
            return Ok(Some(test));
        }
    };
    test.sampled = sample.len();
    for person in sample {
        match directory.list_groups(&person).await {
            Ok(groups) => {
                let identified = identify(source, &person, groups);
                if identified.rights.allowed && identified.rights.role == Role::Administrator {
                    test.administrators.push(person.name);
                }
            }
            Err(error) => {
                test.note_fault(began, error);
                return Ok(Some(test));
            }
        }
    }
    let words = format!(
        "{} of {} people become administrators",
        test.administrators.len(),
        test.sampled
    );
    test.note("sample", began, Ok(words));
    Ok(Some(test))
}

fn describe_rights(identified: &IdentifiedPerson, refusal: Option<&str>) -> Result<String, String> {
    if let Some(refusal) = refusal {
        return Err(format!("the person could not sign in: {refusal}"));
    }
    if !identified.rights.allowed {
        return Err("the person is in none of the allowed groups".to_owned());
    }
    let (role, groups) = (identified.rights.role.as_str(), &identified.rights.groups);
    Ok(match groups.is_empty() {
        true => role.to_owned(),
        false => format!("{role}, groups {}", groups.join(", ")),
    })
}
