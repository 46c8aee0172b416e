//! Registering, changing and removing applications. Their policy settings (what counts as activity,
//! ignored paths) are written in the same transaction; `access` enters applications.

mod recent_requests;

pub use recent_requests::{ApplicationRequests, UnmatchedRequests, flush as flush_seen, strangers};

use super::{Ctx, FlowError, Initiator, Write};
use crate::{
    domain::{
        account::Role,
        application::{Application, ApplicationFields, Applications, FieldFault},
        audit::Event,
        policy::{Key, Scope, Source, Value},
        session::SessionFilter,
    },
    live,
    store::{Conn, StoreError, applications, sessions},
};
use std::sync::Arc;

/// The changes; `None` leaves a value unchanged (in a new application: empty).
#[derive(Debug, Clone, Default)]
pub struct ApplicationChange {
    /// The hosts; `None` leaves them unchanged.
    pub hosts: Option<Vec<String>>,
    /// The path prefixes; `None` leaves them unchanged.
    pub prefixes: Option<Vec<String>>,
    /// The roles with access; `None` leaves them unchanged.
    pub roles: Option<Vec<Role>>,
    /// The groups with access; `None` leaves them unchanged.
    pub groups: Option<Vec<String>>,
    /// The public paths; `None` leaves them unchanged.
    pub public: Option<Vec<String>>,
    /// Settings of its policy scope; `None` unsets one there.
    pub policy: Vec<(Key, Option<Value>)>,
}

impl ApplicationChange {
    fn apply_to(&self, typed: ApplicationFields) -> ApplicationFields {
        let or = |wanted: &Option<Vec<String>>, is: Vec<String>| wanted.clone().unwrap_or(is);
        ApplicationFields {
            name: typed.name,
            hosts: or(&self.hosts, typed.hosts),
            prefixes: or(&self.prefixes, typed.prefixes),
            roles: self.roles.clone().unwrap_or(typed.roles),
            groups: or(&self.groups, typed.groups),
            public: or(&self.public, typed.public),
        }
    }
}

/// The result of a change.
#[derive(Debug, PartialEq, Eq)]
pub enum ApplicationOutcome {
    Done,
    Faulty(Vec<FieldFault>),
    /// There is no such application.
    Unknown,
}

/// An application with its policy settings.
#[derive(Debug, Clone)]
pub struct ApplicationView {
    /// The application.
    pub application: Arc<Application>,
    /// `activity.counts` in its scope.
    pub activity: (Value, Source),
    /// `activity.ignored_paths` in its scope.
    pub ignored: (Value, Source),
    /// The number of settings that its policy scope overrides.
    pub overrides: usize,
    /// The latest requests of its proxies.
    pub seen: ApplicationRequests,
}

/// The reason for a rollback.
enum Rollback {
    Refused(ApplicationOutcome),
    Failed(FlowError),
}

impl From<StoreError> for Rollback {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict("application name") => {
                refused("name", "There is already an application with that name.")
            }
            // Another application took it at the same moment.
            StoreError::Conflict("application host") => refused(
                "hosts",
                "Another application just took one of these \
                hosts.",
            ),
            error => Self::Failed(error.into()),
        }
    }
}

fn refused(field: &'static str, why: impl Into<String>) -> Rollback {
    Rollback::Refused(ApplicationOutcome::Faulty(vec![(field, why.into())]))
}

/// Lists all applications by name.
pub async fn list(ctx: &Ctx) -> Result<Vec<ApplicationView>, FlowError> {
    let table = ctx.current_applications().await?;
    let in_force = ctx.current_policy().await?;
    let mut notes = ctx.forwarded_notes().await?;
    let view = |application: &Arc<Application>| {
        let scope = Scope::Application(application.name.clone());
        let document = in_force.policy.document();
        ApplicationView {
            activity: in_force.policy.value_in(&scope, Key::ActivityCounts),
            ignored: in_force.policy.value_in(&scope, Key::ActivityIgnoredPaths),
            overrides: document
                .applications
                .get(&application.name)
                .map_or(0, |keys| keys.len()),
            seen: notes.by_application.remove(&application.name).unwrap_or_default(),
            application: application.clone(),
        }
    };
    Ok(table.all().iter().map(view).collect())
}

/// Finds one application of [`list`].
pub async fn find(ctx: &Ctx, name: &str) -> Result<Option<ApplicationView>, FlowError> {
    let all = list(ctx).await?;
    Ok(all.into_iter().find(|view| view.application.name == name))
}

/// Reads the applications again, so that a page shows what another instance has just changed.
pub async fn refresh(ctx: &Ctx) -> Result<(), FlowError> {
    ctx.reload_applications().await.map(drop)
}

/// Counts the live sessions that entered it, up to `cap`; false: there are more.
pub async fn live_sessions(ctx: &Ctx, name: &str, cap: i64) -> Result<(i64, bool), FlowError> {
    let filter = SessionFilter {
        application: Some(name.to_owned()),
        ..SessionFilter::default()
    };
    ctx.read(move |r| Ok(sessions::count_up_to(r.connection, &filter, cap)?))
        .await
}

/// Registers an application.
pub async fn create(
    ctx: &Ctx,
    initiator: &Initiator,
    name: &str,
    change: ApplicationChange,
) -> Result<ApplicationOutcome, FlowError> {
    let typed = ApplicationFields {
        name: name.to_owned(),
        ..ApplicationFields::default()
    };
    let written = ctx
        .write_at(ctx.now(), initiator, move |w| {
            let application = checked(&change.apply_to(typed))?;
            if applications::find(w.connection, &application.name)?.is_some() {
                return Err(refused("name", "There is already an application with that name."));
            }
            check_hosts_free(w.connection, &application)?;
            applications::insert(w.connection, &application, w.now)?;
            w.record_application_change(None, Some(&application))?;
            w.set_application_policy(&application.name, change.policy)
        })
        .await;
    settled(ctx, written).await
}

/// Changes an application.
pub async fn set(
    ctx: &Ctx,
    initiator: &Initiator,
    name: &str,
    change: ApplicationChange,
) -> Result<ApplicationOutcome, FlowError> {
    let name = name.to_owned();
    let written = ctx
        .write_at(ctx.now(), initiator, move |w| {
            applications::hold(w.connection, &name, w.now)?;
            let Some(old) = applications::find(w.connection, &name)? else {
                return Err(Rollback::Refused(ApplicationOutcome::Unknown));
            };
            let new = checked(&change.apply_to(ApplicationFields::from_application(&old)))?;
            check_hosts_free(w.connection, &new)?;
            if new != old {
                applications::update(w.connection, &new, w.now)?;
                w.record_application_change(Some(&old), Some(&new))?;
            }
            w.set_application_policy(&name, change.policy)
        })
        .await;
    settled(ctx, written).await
}

/// Removes an application. Its policy overrides stay and apply again if an application gets that
/// name.
pub async fn delete(ctx: &Ctx, initiator: &Initiator, name: &str) -> Result<ApplicationOutcome, FlowError> {
    let name = name.to_owned();
    let written = ctx
        .write_at(ctx.now(), initiator, move |w| {
            let Some(old) = applications::find(w.connection, &name)? else {
                return Err(Rollback::Refused(ApplicationOutcome::Unknown));
            };
            if !applications::delete(w.connection, &name)? {
                return Err(Rollback::Refused(ApplicationOutcome::Unknown));
            }
            Ok(w.record_application_change(Some(&old), None)?)
        })
        .await;
    settled(ctx, written).await
}

/// Makes a committed change effective for the next request.
async fn settled(ctx: &Ctx, written: Result<(), Rollback>) -> Result<ApplicationOutcome, FlowError> {
    match written {
        Ok(()) => {
            ctx.reload_applications().await?;
            ctx.reload_policy().await?;
            Ok(ApplicationOutcome::Done)
        }
        Err(Rollback::Refused(verdict)) => Ok(verdict),
        Err(Rollback::Failed(error)) => Err(error),
    }
}

fn checked(typed: &ApplicationFields) -> Result<Application, Rollback> {
    typed
        .check()
        .map_err(|faults| Rollback::Refused(ApplicationOutcome::Faulty(faults)))
}

/// Checks that no other application uses the wanted hosts.
fn check_hosts_free(connection: &mut Conn, wanted: &Application) -> Result<(), Rollback> {
    let others = Applications::new(applications::list(connection)?);
    match others.taken(wanted) {
        None => Ok(()),
        Some((other, place)) => Err(refused(
            "hosts",
            format!("{place} already belongs to {other}; use a different path prefix."),
        )),
    }
}

impl Ctx {
    /// Returns the applications in force: from memory while changes arrive, otherwise from the
    /// database.
    pub async fn current_applications(&self) -> Result<Arc<Applications>, FlowError> {
        if !self.live.freshness.is_fresh() {
            Box::pin(self.reload_applications()).await?;
        }
        Ok(self.live.applications())
    }

    async fn reload_applications(&self) -> Result<(), FlowError> {
        let known = self.store.read(live::applications::ApplicationSnapshot::read).await?;
        self.live.set_applications(known);
        Ok(())
    }
}

impl Write<'_> {
    fn record_application_change(
        &mut self,
        old: Option<&Application>,
        new: Option<&Application>,
    ) -> Result<(), StoreError> {
        let name = new.or(old).map(|application| application.name.as_str());
        let entry = self.entry(Event::ApplicationChanged).at_application(name);
        self.record(&entry.with_detail(serde_json::json!({
            "old": old.map(Application::to_json), "new": new.map(Application::to_json),
        })))
    }

    fn set_application_policy(&mut self, name: &str, values: Vec<(Key, Option<Value>)>) -> Result<(), Rollback> {
        if values.is_empty() {
            return Ok(());
        }
        let faults = self.save_for_application(name, values).map_err(Rollback::Failed)?;
        if faults.is_empty() {
            return Ok(());
        }
        let faults = faults.into_iter().map(|why| ("activity", why)).collect();
        Err(Rollback::Refused(ApplicationOutcome::Faulty(faults)))
    }
}
