//! `/admin/policy/explain`: which rule ends a session and when, and where every value comes from.
//! The address contains the whole state. `explain/view` has the data, `explain/drawing` the chart.
use super::drafts::find_review;
use crate::{
    domain::{
        account::Role,
        policy::effective::Policy,
        session::SessionId,
        simulate::explain::{ActivityKind, ScenarioInput, Timeline, read_entries, read_lines},
    },
    flows::{
        Ctx,
        explain::{self, ExplainSubject, ExplainVerdict, Explanation, PastExplanation},
    },
    http::{
        error::PageError,
        forms::Query,
        pages::admin::{part::Choice, session_line::end_reason_label},
        respond::render_page,
        shell::Shell,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use drawing::Scale;
use serde::Deserialize;
use uuid::Uuid;
use view::{EndedSession, ExplainForm, ExplainPage, ExplainedPolicy, PolicyAnswer};

mod drawing;
mod time_format;
mod view;

/// The query as in the address; a missing field has a default, an empty one is empty.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct ExplainQuery {
    /// A real session, by its ID.
    session: String,
    /// A draft of the visitor, to be compared with the policy in force.
    draft: String,
    /// An account's name; empty: any account with the role.
    account: String,
    role: String,
    app: String,
    signed_in: String,
    active: Option<String>,
    every: String,
    doing: String,
    path: String,
    pause: String,
    window: String,
    ip: String,
    #[serde(rename = "move")]
    moves: String,
}

impl Default for ExplainQuery {
    fn default() -> Self {
        let empty = String::new;
        Self {
            session: empty(),
            draft: empty(),
            account: empty(),
            role: "member".to_owned(),
            app: empty(),
            signed_in: "08:00".to_owned(),
            active: None,
            every: "1m".to_owned(),
            doing: "pages".to_owned(),
            path: empty(),
            pause: empty(),
            window: empty(),
            ip: empty(),
            moves: empty(),
        }
    }
}

const ROLES: [(&str, &str); 2] = [("member", "A member"), ("administrator", "An administrator")];

impl ExplainQuery {
    fn session(&self) -> Result<Option<SessionId>, PageError> {
        Ok(id(&self.session)?.map(SessionId))
    }

    fn draft(&self) -> Result<Option<Uuid>, PageError> {
        id(&self.draft)
    }

    fn subject(&self, session: Option<SessionId>) -> ExplainSubject {
        match (session, self.account.trim()) {
            (Some(id), _) => ExplainSubject::Session(id),
            (None, "") => ExplainSubject::Role(Role::parse(&self.role).unwrap_or(Role::Member)),
            (None, name) => ExplainSubject::Account(name.to_owned()),
        }
    }

    /// Returns the periods of activity. A new session is used in the morning by default, a real one
    /// not at all.
    fn active(&self) -> &str {
        let usual = if self.session.is_empty() { "08:00-10:30" } else { "" };
        self.active.as_deref().unwrap_or(usual)
    }

    fn typed(&self) -> ScenarioInput {
        ScenarioInput {
            signed_in: self.signed_in.clone(),
            applications: read_entries(&self.app),
            active: read_entries(self.active()),
            every: self.every.clone(),
            doing: self.doing.clone(),
            path: self.path.clone(),
            pauses: read_entries(&self.pause),
            window: self.window.clone(),
            ip: self.ip.clone(),
            agent: String::new(),
            moves: read_lines(&self.moves),
        }
    }

    fn form(&self, faults: Vec<(String, String)>) -> ExplainForm {
        ExplainForm {
            session: self.session.trim().to_owned(),
            draft: self.draft.trim().to_owned(),
            account: self.account.clone(),
            roles: Choice::list(ROLES, &self.role),
            app: self.app.clone(),
            signed_in: self.signed_in.clone(),
            active: self.active().to_owned(),
            every: self.every.clone(),
            manners: Choice::list(
                ActivityKind::ALL.iter().map(|(_, word, words)| (*word, *words)),
                &self.doing,
            ),
            path: self.path.clone(),
            pause: self.pause.clone(),
            window: self.window.clone(),
            ip: self.ip.clone(),
            moves: self.moves.clone(),
            // Rarely used fields are folded away while they are empty.
            more: [&self.path, &self.window, &self.ip, &self.moves]
                .iter()
                .any(|text| !text.trim().is_empty())
                || !matches!(self.doing.as_str(), "" | "pages")
                || faults
                    .iter()
                    .any(|(field, _)| matches!(field.as_str(), "doing" | "path" | "window" | "ip" | "move")),
            faults,
        }
    }
}

/// Parses an ID; an invalid one is not found.
fn id(text: &str) -> Result<Option<Uuid>, PageError> {
    match text.trim() {
        "" => Ok(None),
        id => Uuid::parse_str(id).map(Some).map_err(|_| PageError::NotFound),
    }
}

/// Returns the policy that a draft of the visitor would make.
async fn load_drafted_policy(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    id: Uuid,
    in_force: &Policy,
) -> Result<Policy, PageError> {
    let review = find_review(req, ctx, admin, id).await?;
    Ok(Policy::in_environment(
        0,
        review.document,
        in_force.environment().clone(),
    ))
}

/// `GET /admin/policy/explain`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    query: Query<ExplainQuery>,
) -> Result<HttpResponse, PageError> {
    let query = query.0;
    let who = query.subject(query.session()?);
    let in_force = ctx.current_policy().await?;
    let current = ExplainedPolicy {
        name: "Current policy",
        policy: &in_force.policy,
        draft: None,
        past: false,
    };
    let mut shown = Answers::default();
    let mut explained = Vec::new();
    explained.extend(shown.ask(&ctx, &current, &who, &query).await?);
    let draft_policy = match query.draft()? {
        Some(id) if !explained.is_empty() => {
            Some((id, load_drafted_policy(&req, &ctx, &admin, id, &in_force.policy).await?))
        }
        Some(_) | None => None,
    };
    let draft = draft_policy.as_ref().map(|(id, policy)| ExplainedPolicy {
        name: "Your draft",
        policy,
        draft: Some(*id),
        past: false,
    });
    if let Some(draft) = &draft {
        explained.extend(shown.ask(&ctx, draft, &who, &query).await?);
    }
    let past_name = shown.past.as_ref().map(past_policy_name);
    let past = past_name.as_ref().map(|name| ExplainedPolicy {
        name,
        policy: &in_force.policy,
        draft: None,
        past: true,
    });
    explained.extend(shown.past.as_ref().map(|past| past.explained.clone()));
    let timelines: Vec<&Timeline> = explained.iter().map(|explained| &explained.timeline).collect();
    let scale = Scale::for_timelines(&timelines);
    let policies = past.iter().chain(std::iter::once(&current)).chain(&draft);
    shown.answers = (0..)
        .zip(policies.zip(&explained))
        .map(|(number, (policy, explained))| PolicyAnswer::new(number, policy, explained, &scale))
        .collect();
    let status = if shown.faults.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let view = ExplainPage {
        shell: Shell::admin(&req, &ctx, &admin, "Explain", "policy").await?,
        form: query.form(shown.faults),
        answers: shown.answers,
        past: shown.past.as_ref().map(ended_session),
        dev: in_force.policy.dev(),
    };
    render_page(status, &view)
}

/// Names the policy under which a session ended.
fn past_policy_name(past: &PastExplanation) -> String {
    match past.revision {
        0 => "Default policy, in force when it ended".to_owned(),
        revision => format!("Revision {revision}, in force when it ended"),
    }
}

fn ended_session(past: &PastExplanation) -> EndedSession {
    let end = past.explained.timeline.end.as_ref();
    EndedSession {
        account: past
            .explained
            .account
            .as_ref()
            .map(|(name, _)| name.clone())
            .unwrap_or_default(),
        at: end.map(|end| end.at).unwrap_or_default(),
        reason: end.map_or("ended", |end| end_reason_label(end.reason)),
        by: past.ended_by.clone(),
    }
}

/// The answers under each policy, or the reasons why there are none.
#[derive(Default)]
struct Answers {
    answers: Vec<PolicyAnswer>,
    past: Option<PastExplanation>,
    faults: Vec<(String, String)>,
}

impl Answers {
    /// Explains under one policy; stores the reason if there is no answer.
    async fn ask(
        &mut self,
        ctx: &Ctx,
        under: &ExplainedPolicy<'_>,
        who: &ExplainSubject,
        query: &ExplainQuery,
    ) -> Result<Option<Explanation>, PageError> {
        match explain::explain(ctx, under.policy, who, &query.typed()).await? {
            ExplainVerdict::Explained(explained) => return Ok(Some(*explained)),
            ExplainVerdict::NoSession => return Err(PageError::NotFound),
            ExplainVerdict::NoAccount => {
                let fault = "There is no account with that name.".to_owned();
                self.faults = vec![("account".to_owned(), fault)];
            }
            ExplainVerdict::Past(past) => self.past = Some(*past),
            ExplainVerdict::Faulty(faults) => {
                self.faults = faults.into_iter().map(|(field, why)| (field.to_owned(), why)).collect();
            }
        }
        Ok(None)
    }
}
