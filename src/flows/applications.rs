//! Registering applications: making, changing and removing entries. What the policy says about one (what counts as activity,
//! which paths are ignored) is set in the same write; entering one is `access`.

mod seen;

pub use seen::{Seen, Strangers, flush as flush_seen, strangers};

use super::{Acting, Ctx, FlowError};
use crate::{
    domain::{
        account::Role,
        application::{Application, Applications, FieldFault, Typed},
        audit::{Entry, Event},
        policy::{Key, Scope, Source, Value},
        time::Timestamp,
    },
    live,
    store::{
        Conn, StoreError, applications,
        sessions::{self, SessionFilter},
    },
};
use std::sync::Arc;

/// What is to be other than it is; `None` leaves it (of a new application: leaves it empty).
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub hosts: Option<Vec<String>>,
    pub prefixes: Option<Vec<String>>,
    pub roles: Option<Vec<Role>>,
    pub groups: Option<Vec<String>>,
    pub public: Option<Vec<String>>,
    /// Keys to set in its scope of the policy; `None` takes one out there.
    pub policy: Vec<(Key, Option<Value>)>,
}

impl Change {
    fn on(&self, typed: Typed) -> Typed {
        let or = |wanted: &Option<Vec<String>>, is: Vec<String>| wanted.clone().unwrap_or(is);
        Typed {
            name: typed.name,
            hosts: or(&self.hosts, typed.hosts),
            prefixes: or(&self.prefixes, typed.prefixes),
            roles: self.roles.clone().unwrap_or(typed.roles),
            groups: or(&self.groups, typed.groups),
            public: or(&self.public, typed.public),
        }
    }
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    Done,
    Faulty(Vec<FieldFault>),
    /// There is no such application.
    Unknown,
}

/// An application with what the policy says about it.
#[derive(Debug, Clone)]
pub struct ApplicationView {
    pub application: Arc<Application>,
    /// `activity.counts` in its scope.
    pub activity: (Value, Source),
    /// `activity.ignored_paths` in its scope.
    pub ignored: (Value, Source),
    /// Keys that the policy sets for it.
    pub overrides: usize,
    /// What proxies asked about it.
    pub seen: Seen,
}

/// Why a write is taken back.
enum Stop {
    Refused(Verdict),
    Flow(FlowError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict("application name") => {
                refused("name", "There is already an application of that name.")
            }
            // Somebody took it in the same moment.
            StoreError::Conflict("application host") => refused("hosts", "One of these hosts was taken just now."),
            error => Self::Flow(error.into()),
        }
    }
}

fn refused(field: &'static str, why: impl Into<String>) -> Stop {
    Stop::Refused(Verdict::Faulty(vec![(field, why.into())]))
}

/// All applications, by name.
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

/// One of [`list`].
pub async fn find(ctx: &Ctx, name: &str) -> Result<Option<ApplicationView>, FlowError> {
    let all = list(ctx).await?;
    Ok(all.into_iter().find(|view| view.application.name == name))
}

/// Live sessions that entered it, counted up to `cap`; false: there are more.
pub async fn live_sessions(ctx: &Ctx, name: &str, cap: i64) -> Result<(i64, bool), FlowError> {
    let filter = SessionFilter {
        application: Some(name.to_owned()),
        ..SessionFilter::default()
    };
    Ok(ctx.store.read(move |c| sessions::count_up_to(c, &filter, cap)).await?)
}

pub async fn create(ctx: &Ctx, acting: &Acting, name: &str, change: Change) -> Result<Verdict, FlowError> {
    let typed = Typed {
        name: name.to_owned(),
        ..Typed::default()
    };
    let (flow, now, acting) = (ctx.clone(), ctx.now(), acting.clone());
    let written = ctx
        .store
        .write(move |c| {
            let application = checked(&change.on(typed))?;
            if applications::find(c, &application.name)?.is_some() {
                return Err(refused("name", "There is already an application of that name."));
            }
            free(c, &application)?;
            applications::insert(c, &application, now)?;
            flow.note_change_in(c, now, &acting, None, Some(&application))?;
            flow.set_policy_in(c, now, &acting, &application.name, change.policy)
        })
        .await;
    settled(ctx, written).await
}

pub async fn set(ctx: &Ctx, acting: &Acting, name: &str, change: Change) -> Result<Verdict, FlowError> {
    let (flow, now, acting, name) = (ctx.clone(), ctx.now(), acting.clone(), name.to_owned());
    let written = ctx
        .store
        .write(move |c| {
            applications::hold(c, &name, now)?;
            let Some(old) = applications::find(c, &name)? else {
                return Err(Stop::Refused(Verdict::Unknown));
            };
            let new = checked(&change.on(Typed::of(&old)))?;
            free(c, &new)?;
            if new != old {
                applications::update(c, &new, now)?;
                flow.note_change_in(c, now, &acting, Some(&old), Some(&new))?;
            }
            flow.set_policy_in(c, now, &acting, &name, change.policy)
        })
        .await;
    settled(ctx, written).await
}

/// Its policy overrides stay: they concern nobody until an application has that name again.
pub async fn delete(ctx: &Ctx, acting: &Acting, name: &str) -> Result<Verdict, FlowError> {
    let (flow, now, acting, name) = (ctx.clone(), ctx.now(), acting.clone(), name.to_owned());
    let written = ctx
        .store
        .write(move |c| {
            let Some(old) = applications::find(c, &name)? else {
                return Err(Stop::Refused(Verdict::Unknown));
            };
            if !applications::delete(c, &name)? {
                return Err(Stop::Refused(Verdict::Unknown));
            }
            Ok(flow.note_change_in(c, now, &acting, Some(&old), None)?)
        })
        .await;
    settled(ctx, written).await
}

/// What was committed holds at the next request.
async fn settled(ctx: &Ctx, written: Result<(), Stop>) -> Result<Verdict, FlowError> {
    match written {
        Ok(()) => {
            ctx.reload_applications().await?;
            ctx.reload_policy().await?;
            Ok(Verdict::Done)
        }
        Err(Stop::Refused(verdict)) => Ok(verdict),
        Err(Stop::Flow(error)) => Err(error),
    }
}

fn checked(typed: &Typed) -> Result<Application, Stop> {
    typed.check().map_err(|faults| Stop::Refused(Verdict::Faulty(faults)))
}

/// No other application answers where it wants to.
fn free(c: &mut Conn, wanted: &Application) -> Result<(), Stop> {
    let others = Applications::new(applications::list(c)?);
    match others.taken(wanted) {
        None => Ok(()),
        Some((other, place)) => Err(refused(
            "hosts",
            format!("{place} belongs to {other} already; another path prefix would tell them apart."),
        )),
    }
}

impl Ctx {
    /// The applications that govern now: from memory while changes are heard of, else from the database.
    pub async fn current_applications(&self) -> Result<Arc<Applications>, FlowError> {
        if !self.live.freshness.is_fresh() {
            Box::pin(self.reload_applications()).await?;
        }
        Ok(self.live.applications())
    }

    async fn reload_applications(&self) -> Result<(), FlowError> {
        let known = self.store.read(live::applications::read).await?;
        self.live.set_applications(known);
        Ok(())
    }

    fn note_change_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        old: Option<&Application>,
        new: Option<&Application>,
    ) -> Result<(), StoreError> {
        let detail = serde_json::json!({ "old": old.map(Application::to_json), "new": new.map(Application::to_json) });
        let entry = Entry {
            application: new.or(old).map(|application| application.name.clone()),
            ..self.entry_of(acting, Event::ApplicationChanged, None, detail)
        };
        self.record(c, now, &entry)
    }

    fn set_policy_in(
        &self,
        c: &mut Conn,
        now: Timestamp,
        acting: &Acting,
        name: &str,
        values: Vec<(Key, Option<Value>)>,
    ) -> Result<(), Stop> {
        if values.is_empty() {
            return Ok(());
        }
        match self.set_for_application_in(c, now, acting, name, values) {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(Stop::Refused(Verdict::Faulty(
                why.into_iter().map(|why| ("activity", why)).collect(),
            ))),
            Err(error) => Err(Stop::Flow(error)),
        }
    }
}
