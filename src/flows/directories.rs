//! Whether a directory admits a person: the search, the rules about names, the limit of binds, the
//! bind, the groups. Nothing in this file holds a database write while a directory is asked.

use super::{
    Ctx, FlowError, Initiator,
    attempts::AttemptReservation,
    external_accounts::{AccountClaim, ExternalRefusal, IdentifiedPerson, find_claim},
};
use crate::{
    domain::{
        account::{Account, AccountId, AccountName},
        audit::Event,
        secret::{self, Secret},
        source::{ExternalIdentity, IdentitySource, SourceKind},
    },
    identity::ldap::{Directory, DirectoryError, DirectoryPerson, DirectoryRefusal, PasswordAnswer, PersonLookup},
    live::sources::{LiveSource, Sources},
    store::sources as source_rows,
};
use futures_util::{
    Stream, StreamExt,
    future::{Either, select},
    stream::FuturesOrdered,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Maximum time for which a sign-in waits for directories, so that every response comes within five
/// seconds (docs/failure-modes.md).
const MAX_WAIT: Duration = Duration::from_secs(4);
/// Maximum time of the search of a typed name in one directory, so that the one that is silent is
/// known before the sign-in is given up.
const MAX_SEARCH_TIME: Duration = Duration::from_millis(3_500);

/// Who checks a password.
pub(super) enum PasswordRoute {
    /// The stored hash of a local account, or a decoy where no directory is enabled.
    Local,
    /// No one: the account belongs to a source that cannot check passwords now. The reason is for
    /// the audit.
    Closed(&'static str),
    /// Directories, in order.
    Directories(QueriedDirectories),
}

/// The directories that are asked about a name.
pub(super) struct QueriedDirectories {
    /// Those that may know the person, in order.
    deciding: Vec<LiveSource>,
    /// Those that only search for the name, for an account of another directory: otherwise the
    /// number of searches would reveal which names have an account.
    beside: Vec<LiveSource>,
}

/// The verdict of the directories.
pub(super) struct DirectoryAnswer {
    /// The verdict of the one that decides.
    pub(super) verdict: DirectoryVerdict,
    /// Another one that does not answer, if the person may not sign in.
    pub(super) outage: Option<String>,
}

impl DirectoryAnswer {
    fn refused(reason: &'static str) -> Self {
        Self {
            verdict: DirectoryVerdict::Refused(reason),
            outage: None,
        }
    }
}

/// The search of a name in one directory.
struct FinishedLookup<'a> {
    live: &'a LiveSource,
    directory: Arc<Directory>,
    found: Result<PersonLookup, DirectoryError>,
}

/// What the directories say about a name and a password.
pub(super) enum DirectoryVerdict {
    /// The person may sign in.
    Admitted(Box<IdentifiedPerson>),
    /// The person may not; the reason is for the audit.
    Refused(&'static str),
}

impl Ctx {
    /// Returns who checks the password of an attempt. A name that a local account has never reaches
    /// a directory.
    pub(super) async fn password_route(&self, account: Option<&Account>) -> Result<PasswordRoute, FlowError> {
        // Read for local accounts too, so that an unknown name costs the same.
        let sources = self.current_sources().await?;
        let known_source = account.map(|account| account.source);
        if known_source == Some(None) {
            return Ok(PasswordRoute::Local);
        }
        Ok(match known_source.flatten() {
            None => {
                let all: Vec<LiveSource> = sources.enabled_of(SourceKind::Ldap).cloned().collect();
                match all.is_empty() {
                    true => PasswordRoute::Local,
                    false => PasswordRoute::Directories(QueriedDirectories {
                        deciding: all,
                        beside: Vec::new(),
                    }),
                }
            }
            Some(id) => match sources.by_id(id).filter(|live| live.source.enabled) {
                None => PasswordRoute::Closed("source_disabled"),
                Some(live) if live.source.kind() != SourceKind::Ldap => PasswordRoute::Closed("source_password"),
                Some(live) => {
                    let others = sources.enabled_of(SourceKind::Ldap);
                    PasswordRoute::Directories(QueriedDirectories {
                        deciding: vec![live.clone()],
                        beside: others.filter(|other| other.source.id != id).cloned().collect(),
                    })
                }
            },
        })
    }

    /// Asks the directories about a typed name. They are asked at the same time, and the first in
    /// their order that knows the name decides. A refusal waits for all of them, as for a name that
    /// none knows. `FlowError::SourceDown`: one that comes before it does not answer.
    pub(super) async fn ask_directories(
        &self,
        asked: &QueriedDirectories,
        typed: &str,
        password: &Secret,
        account: Option<&Account>,
    ) -> Result<DirectoryAnswer, FlowError> {
        let asking = self.ask_in_order(asked, typed, password, account);
        self.ask_in_time(asked.deciding.first(), asking).await
    }

    /// Asks the enabled directories about a name that nobody has, and returns the name of a source
    /// that does not answer. A refused password that no directory checks waits for this: otherwise
    /// an outage would reveal which names are known without a directory.
    pub(super) async fn find_outage(&self) -> Result<Option<String>, FlowError> {
        let known = self.live.sources();
        let asked = QueriedDirectories {
            deciding: known.enabled_of(SourceKind::Ldap).cloned().collect(),
            beside: Vec::new(),
        };
        if asked.deciding.is_empty() {
            return Ok(None);
        }
        let (nobody, nothing) = (secret::token(self.random_bytes()), Secret::new(String::new()));
        match self.ask_directories(&asked, nobody.expose(), &nothing, None).await {
            Ok(_) => Ok(None),
            Err(FlowError::SourceDown(name)) => Ok(Some(name)),
            Err(error) => Err(error),
        }
    }

    /// Waits for a verdict no longer than a response may take.
    async fn ask_in_time<T>(
        &self,
        live: Option<&LiveSource>,
        asking: impl Future<Output = Result<T, FlowError>>,
    ) -> Result<T, FlowError> {
        match tokio::time::timeout(MAX_WAIT, asking).await {
            Ok(verdict) => verdict,
            Err(_) => Err(match live {
                Some(live) => self.source_down(live, &DirectoryError::late(MAX_WAIT)).await,
                None => FlowError::SourceDown(String::new()),
            }),
        }
    }

    async fn ask_in_order(
        &self,
        asked: &QueriedDirectories,
        typed: &str,
        password: &Secret,
        account: Option<&Account>,
    ) -> Result<DirectoryAnswer, FlowError> {
        let sources = self.current_sources().await?;
        let now = self.now();
        let mut lookups = FuturesOrdered::new();
        for live in asked.deciding.iter().chain(&asked.beside) {
            let directory = self.directory_of(live, &sources);
            lookups.push_back(async move {
                let directory = directory?;
                let found = tokio::time::timeout(MAX_SEARCH_TIME, directory.find_person(typed, now)).await;
                let found = found.unwrap_or_else(|_| Err(DirectoryError::late(MAX_SEARCH_TIME)));
                Ok::<_, FlowError>(FinishedLookup { live, directory, found })
            });
        }
        let mut decisive = None;
        for _ in &asked.deciding {
            let Some(lookup) = lookups.next().await.transpose()? else {
                break;
            };
            let is_unknown = matches!(lookup.found, Ok(PersonLookup::NotFound));
            if decisive.is_none() || !is_unknown {
                decisive = Some(lookup);
            }
            if !is_unknown {
                break;
            }
        }
        let Some(decisive) = decisive else {
            return Ok(DirectoryAnswer::refused(DirectoryRefusal::WrongPassword.code()));
        };
        // On the heap: both futures are large, and the call is deep inside a sign-in.
        let judging = Box::pin(self.judge_lookup(decisive, password, account));
        let others = Box::pin(self.find_silent(lookups));
        // Who may sign in waits for no other directory.
        let (verdict, outage) = match select(judging, others).await {
            Either::Left((verdict, others)) => match verdict? {
                admitted @ DirectoryVerdict::Admitted(_) => (admitted, None),
                refused @ DirectoryVerdict::Refused(_) => (refused, others.await?),
            },
            Either::Right((outage, judging)) => match judging.await? {
                admitted @ DirectoryVerdict::Admitted(_) => (admitted, None),
                refused @ DirectoryVerdict::Refused(_) => (refused, outage?),
            },
        };
        Ok(DirectoryAnswer { verdict, outage })
    }

    /// Decides by what one directory found.
    async fn judge_lookup(
        &self,
        lookup: FinishedLookup<'_>,
        password: &Secret,
        account: Option<&Account>,
    ) -> Result<DirectoryVerdict, FlowError> {
        let live = lookup.live;
        match lookup.found {
            Err(error) => Err(self.source_down(live, &error).await),
            Ok(PersonLookup::NotFound) => {
                let unknown = DirectoryRefusal::WrongPassword.code();
                Ok(self.refuse_unasked(live, unknown).await)
            }
            Ok(PersonLookup::Ambiguous) => Ok(self.refuse_unasked(live, "directory_ambiguous").await),
            Ok(PersonLookup::Incomplete) => Ok(self.refuse_unasked(live, "directory_incomplete").await),
            Ok(PersonLookup::Found(person)) => {
                self.ask_password(live, &lookup.directory, &person, password, account)
                    .await
            }
        }
    }

    /// Waits for the searches that decide nothing, and returns the name of a source that did not
    /// answer.
    async fn find_silent<'a>(
        &self,
        mut lookups: impl Stream<Item = Result<FinishedLookup<'a>, FlowError>> + Unpin,
    ) -> Result<Option<String>, FlowError> {
        let mut silent = None;
        while let Some(lookup) = lookups.next().await.transpose()? {
            if let Err(error) = &lookup.found
                && let FlowError::SourceDown(name) = self.source_down(lookup.live, error).await
            {
                silent.get_or_insert(name);
            }
        }
        Ok(silent)
    }

    /// Refuses without asking the directory about the password, after the time that a recent check
    /// took: the time must not reveal whether a directory knows the name.
    async fn refuse_unasked(&self, live: &LiveSource, reason: &'static str) -> DirectoryVerdict {
        let [pick, ..] = self.random_bytes();
        tokio::time::sleep(self.live.directories.recent_bind(live.source.id, pick)).await;
        DirectoryVerdict::Refused(reason)
    }

    /// Asks the directory of an account about its password again, within a session. The person is
    /// found by the external ID, so that a new name makes no difference.
    pub(super) async fn ask_own_directory(
        &self,
        account: &Account,
        password: &Secret,
    ) -> Result<DirectoryVerdict, FlowError> {
        let live = match self.password_route(Some(account)).await? {
            PasswordRoute::Local => return Err(FlowError::Internal("a local account has no directory".into())),
            PasswordRoute::Closed(reason) => return Ok(DirectoryVerdict::Refused(reason)),
            PasswordRoute::Directories(asked) => asked.deciding,
        };
        let (Some(live), Some(external_id)) = (live.first(), &account.external_id) else {
            return Ok(DirectoryVerdict::Refused("source_disabled"));
        };
        let directory = self.directory_of(live, &self.live.sources())?;
        let asking = async {
            match directory.find_by_id(external_id, self.now()).await {
                Err(error) => Err(self.source_down(live, &error).await),
                Ok(PersonLookup::Found(person)) => {
                    self.ask_password(live, &directory, &person, password, Some(account))
                        .await
                }
                Ok(PersonLookup::NotFound | PersonLookup::Ambiguous | PersonLookup::Incomplete) => {
                    Ok(DirectoryVerdict::Refused("directory_gone"))
                }
            }
        };
        self.ask_in_time(Some(live), asking).await
    }

    /// Returns whether the directory of an account lets the person in, for sign-ins with a passkey
    /// alone. If not, the refusal is recorded. The attempt is given back then, and if the directory
    /// does not answer.
    pub(super) async fn passes_directory(
        &self,
        initiator: &Initiator,
        account: &Account,
        reservation: &AttemptReservation,
    ) -> Result<bool, FlowError> {
        let refusal = self.find_directory_refusal(account).await;
        if let Ok(None) = refusal {
            return Ok(true);
        }
        self.release_attempt(reservation.clone()).await?;
        if let Some(reason) = refusal? {
            let entry = initiator
                .entry(Event::SignInRefused)
                .with_account(account.id, &account.name)
                .failed(reason);
            self.write(initiator, move |w| Ok(w.record(&entry)?)).await?;
        }
        Ok(false)
    }

    /// Asks the directory of an account, without a password, whether it still lets the person in.
    /// Returns the reason for the audit if it does not; `None` for accounts without a directory.
    async fn find_directory_refusal(&self, account: &Account) -> Result<Option<&'static str>, FlowError> {
        let live = match self.password_route(Some(account)).await? {
            PasswordRoute::Directories(asked) => asked.deciding,
            PasswordRoute::Local | PasswordRoute::Closed("source_password") => return Ok(None),
            PasswordRoute::Closed(reason) => return Ok(Some(reason)),
        };
        let (Some(live), Some(external_id)) = (live.first(), &account.external_id) else {
            return Ok(Some("source_disabled"));
        };
        let directory = self.directory_of(live, &self.live.sources())?;
        let asking = async {
            let person = match directory.find_by_id(external_id, self.now()).await? {
                PersonLookup::Found(person) => person,
                PersonLookup::NotFound | PersonLookup::Ambiguous | PersonLookup::Incomplete => {
                    return Ok(Some("directory_gone"));
                }
            };
            if let Some(refusal) = person.refusal {
                return Ok(Some(refusal.code()));
            }
            let groups = directory.list_groups(&person).await?;
            let is_allowed = identify(&live.source, &person, groups).rights.allowed;
            Ok::<_, DirectoryError>((!is_allowed).then_some(ExternalRefusal::NotAllowed.code()))
        };
        let answer = tokio::time::timeout(MAX_WAIT, asking).await;
        match answer.unwrap_or_else(|_| Err(DirectoryError::late(MAX_WAIT))) {
            Ok(refusal) => Ok(refusal),
            Err(error) => Err(self.source_down(live, &error).await),
        }
    }

    /// Returns the client of a source that is a directory.
    pub(super) fn directory_of(&self, live: &LiveSource, sources: &Sources) -> Result<Arc<Directory>, FlowError> {
        let found = self.live.directories.client_of(live, sources, &self.factor_keys);
        match found {
            Ok(Some(directory)) => Ok(directory),
            Ok(None) => Err(FlowError::Internal(format!(
                "{} is no directory",
                live.source.name.as_str()
            ))),
            Err(lost) => {
                tracing::error!(source = live.source.name.as_str(), error = %lost, "a source cannot be used");
                Err(FlowError::SourceDown(live.source.name.as_str().to_owned()))
            }
        }
    }

    /// Notes that a source does not answer, at most once a minute, and returns the error for the
    /// caller.
    pub(super) async fn source_down(&self, live: &LiveSource, error: &DirectoryError) -> FlowError {
        let (id, now) = (live.source.id, self.now());
        let name = live.source.name.as_str();
        if self.live.directories.note_fault(id, now) {
            tracing::warn!(source = name, %error, "a directory cannot be asked");
            let fault = error.to_string();
            let noted = self.write_as_system(move |w| Ok(source_rows::record_fault(w.connection, id, now, &fault)?));
            if let Err(error) = noted.await {
                tracing::warn!(source = name, %error, "the fault of a directory could not be stored");
            }
        }
        FlowError::SourceDown(name.to_owned())
    }

    async fn ask_password(
        &self,
        live: &LiveSource,
        directory: &Directory,
        person: &DirectoryPerson,
        password: &Secret,
        account: Option<&Account>,
    ) -> Result<DirectoryVerdict, FlowError> {
        let source = &live.source;
        if let Some(refusal) = self.find_claim_refusal(source, person, account).await? {
            return Ok(self.refuse_unasked(live, refusal.code()).await);
        }
        // Never sent to the directory, so it must not use up a bind.
        if password.expose().is_empty() {
            return Ok(DirectoryVerdict::Refused(DirectoryRefusal::WrongPassword.code()));
        }
        let reserving = self.reserve_bind(source, directory.settings(), &person.external_id);
        let Some(reserved) = reserving.await? else {
            return Ok(self.refuse_unasked(live, "bind_limit").await);
        };
        let begun = Instant::now();
        let answer = directory.check_password(person, password).await;
        if answer.is_ok() {
            self.live.directories.note_bind(source.id, begun.elapsed());
        }
        match answer {
            Err(error) => return Err(self.source_down(live, &error).await),
            Ok(PasswordAnswer::Refused(refusal)) => {
                self.count_refused_bind(source.id, &person.external_id, reserved)
                    .await?;
                return Ok(DirectoryVerdict::Refused(refusal.code()));
            }
            Ok(PasswordAnswer::Right) => self.forget_binds(source.id, &person.external_id).await?,
        }
        if let Some(refusal @ (DirectoryRefusal::Disabled | DirectoryRefusal::AccountExpired)) = person.refusal {
            return Ok(DirectoryVerdict::Refused(refusal.code()));
        }
        let groups = match directory.list_groups(person).await {
            Ok(groups) => groups,
            Err(error) => return Err(self.source_down(live, &error).await),
        };
        let admitted = identify(source, person, groups);
        if !admitted.rights.allowed {
            return Ok(DirectoryVerdict::Refused(ExternalRefusal::NotAllowed.code()));
        }
        Ok(DirectoryVerdict::Admitted(Box::new(admitted)))
    }

    /// Returns why a person whom a directory knows has no account that may be used, before the
    /// password is asked about. `typed`: the account with the typed name.
    async fn find_claim_refusal(
        &self,
        source: &IdentitySource,
        person: &DirectoryPerson,
        typed: Option<&Account>,
    ) -> Result<Option<ExternalRefusal>, FlowError> {
        let Ok(name) = AccountName::parse(&person.name) else {
            return Ok(Some(ExternalRefusal::NameUnusable));
        };
        let (source, external_id, typed) = (source.clone(), person.external_id.clone(), typed.map(|typed| typed.id));
        self.read(move |r| {
            let claim = find_claim(r.connection, &source, &external_id, &name)?;
            // The typed name is that of an account: its identity must be the person's.
            let is_other = |id: AccountId| typed.is_some_and(|typed| typed != id);
            Ok(match claim {
                AccountClaim::Own(account) | AccountClaim::Listed(account) if is_other(account.id) => {
                    Some(ExternalRefusal::IdentityChanged)
                }
                AccountClaim::Own(_) | AccountClaim::Listed(_) => None,
                AccountClaim::Fresh | AccountClaim::Refused(_) if typed.is_some() => {
                    Some(ExternalRefusal::IdentityChanged)
                }
                AccountClaim::Fresh => None,
                AccountClaim::Refused(refusal) => Some(refusal),
            })
        })
        .await
    }
}

/// Applies the source's rules to a person and the groups that the directory named.
pub(super) fn identify(source: &IdentitySource, person: &DirectoryPerson, groups: Vec<String>) -> IdentifiedPerson {
    let identity = ExternalIdentity {
        external_id: person.external_id.clone(),
        name: person.name.clone(),
        display_name: person.display_name.clone(),
        email: person.email.clone(),
        groups,
    };
    IdentifiedPerson::new(source, identity)
}
