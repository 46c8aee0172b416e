//! The test of a source: each step with its time, and for a directory what the source's rules would
//! grant. It changes nothing.

use super::{Ctx, FlowError, directories::identify, external_accounts::IdentifiedPerson};
use crate::{
    domain::{
        account::Role,
        source::{IdentitySource, OidcSettings},
        time::Timestamp,
    },
    identity::{
        ldap::{Directory, DirectoryError, ProbeStep, find_remedy},
        oidc::{AuthorizationRequest, Provider, ProviderStep, RegisteredAddresses, SignInSecrets},
    },
    live::sources::{LiveSource, Sources},
};
use std::time::{Duration, Instant};

/// Number of people in the sample of who becomes an administrator.
pub const SAMPLE: usize = 200;

/// The result of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTestStep {
    /// The code of the step. Of a directory: resolve, connect, tls, bind, search, groups, mapping,
    /// sample. Of a provider: settings, account, discovery, keys, authorization, client, sign_out,
    /// back_channel.
    pub step: &'static str,
    /// How long it took.
    pub took: Duration,
    /// What it found, or why it failed.
    pub result: Result<String, String>,
    /// What to do about a fault, in a sentence; `None`: the fault itself tells.
    pub remedy: Option<String>,
}

impl From<ProviderStep> for SourceTestStep {
    fn from(step: ProviderStep) -> Self {
        let (result, remedy) = match step.result {
            Ok(found) => (Ok(found), None),
            Err(fault) => (Err(fault.message), Some(fault.remedy)),
        };
        Self {
            step: step.step,
            took: step.took,
            result,
            remedy,
        }
    }
}

impl From<ProbeStep> for SourceTestStep {
    fn from(step: ProbeStep) -> Self {
        let fault = step.result.as_ref().err();
        Self {
            remedy: fault.and_then(|fault| find_remedy(step.step, fault)).map(str::to_owned),
            step: step.step.as_str(),
            took: step.took,
            result: step.result,
        }
    }
}

/// What a test found.
#[derive(Debug, Default)]
pub struct SourceTest {
    /// The steps; the test of a directory ends at the first that fails.
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
            remedy: None,
        });
    }

    fn note_fault(&mut self, began: Instant, error: DirectoryError) {
        self.steps.push(SourceTestStep::from(ProbeStep {
            step: error.step,
            took: began.elapsed(),
            result: Err(error.fault),
        }));
    }
}

/// Tests a source; with `account` also what a person with that name in a directory would get. The
/// test of a directory is given up after `limit`, with the steps that were done so far.
/// `FlowError::NotFound`: there is no source with this name.
pub async fn test_source(
    ctx: &Ctx,
    name: &str,
    account: Option<&str>,
    limit: Duration,
) -> Result<SourceTest, FlowError> {
    let sources = ctx.current_sources().await?;
    let live = sources.by_name(name).ok_or(FlowError::NotFound)?;
    match live.source.oidc() {
        Some(settings) => Ok(test_provider(ctx, live, settings, account).await),
        None => test_directory(ctx, live, &sources, account, limit).await,
    }
}

async fn test_provider(ctx: &Ctx, live: &LiveSource, settings: &OidcSettings, account: Option<&str>) -> SourceTest {
    let mut test = SourceTest::default();
    let began = Instant::now();
    if account.is_some() {
        let fault = "a provider tells about a person only when that person signs in";
        test.note("account", began, Err(fault.to_owned()));
        return test;
    }
    // A provider of its own: what the test fetches is fresh, and sign-ins keep what they have.
    let prepared = ctx.registration_of(live).and_then(Provider::new);
    let provider = match prepared {
        Ok(provider) => provider,
        Err(fault) => {
            test.note("settings", began, Err(fault.to_string()));
            return test;
        }
    };
    let (base, name) = (ctx.config.base_url(), live.source.name.as_str());
    let secrets = SignInSecrets::new([ctx.random_bytes(), ctx.random_bytes(), ctx.random_bytes()]);
    let request = AuthorizationRequest {
        redirect_uri: &format!("{base}/login/oidc/{name}/callback"),
        secrets: &secrets,
        scopes: &settings.scopes,
        acr_values: &settings.acr_values,
        must_authenticate: false,
        login_hint: None,
    };
    let addresses = RegisteredAddresses {
        post_logout: format!("{base}/login"),
        back_channel: format!("{base}/oidc/{name}/backchannel-logout"),
    };
    let steps = provider.probe(&request, &addresses).await;
    test.steps.extend(steps.into_iter().map(SourceTestStep::from));
    test
}

async fn test_directory(
    ctx: &Ctx,
    live: &LiveSource,
    sources: &Sources,
    account: Option<&str>,
    limit: Duration,
) -> Result<SourceTest, FlowError> {
    let until = Instant::now() + limit;
    let directory = ctx.directory_of(live, sources)?;
    let (source, now) = (&live.source, ctx.now());
    let probe = directory.probe(account, now, limit).await;
    let mut test = SourceTest::default();
    test.steps.extend(probe.steps.into_iter().map(SourceTestStep::from));
    if !test.is_passed() {
        return Ok(test);
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
        return Ok(test);
    }
    let began = Instant::now();
    let sampling = read_administrators(&directory, source, now);
    match tokio::time::timeout(until.saturating_duration_since(began), sampling).await {
        Err(_) => {
            let silent = "no result until the test was given up";
            test.note("sample", began, Err(silent.to_owned()));
        }
        Ok(Err(error)) => test.note_fault(began, error),
        Ok(Ok((sampled, administrators))) => {
            let summary = format!("{} of {sampled} people become administrators", administrators.len());
            (test.sampled, test.administrators) = (sampled, administrators);
            test.note("sample", began, Ok(summary));
        }
    }
    Ok(test)
}

/// Returns the size of a sample of people, and the names of those whom the rules make
/// administrators.
async fn read_administrators(
    directory: &Directory,
    source: &IdentitySource,
    now: Timestamp,
) -> Result<(usize, Vec<String>), DirectoryError> {
    let sample = directory.read_sample(SAMPLE, now).await?;
    let (sampled, mut administrators) = (sample.len(), Vec::new());
    for person in sample {
        let groups = directory.list_groups(&person).await?;
        let identified = identify(source, &person, groups);
        if identified.rights.allowed && identified.rights.role == Role::Administrator {
            administrators.push(person.name);
        }
    }
    Ok((sampled, administrators))
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
