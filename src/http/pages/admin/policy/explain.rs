//! `/admin/policy/explain`: which rule ends a session when, and where every value comes from. Its whole state is the
//! address. What is shown stands in `explain/view`, the picture in `explain/drawing`.
use crate::domain::account::Role;
use crate::domain::policy::effective::Policy;
use crate::domain::session::SessionId;
use crate::domain::simulate::explain::{Manner, Typed, entries, lines};
use crate::flows::Ctx;
use crate::flows::explain::{self, ExplainVerdict, Who};
use crate::flows::policy;
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::pages::admin::part::Choice;
use crate::http::pages::admin::session_line::reason_words;
use crate::http::pages::{Shell, page};
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use uuid::Uuid;
use view::{Answer, ExplainForm, ExplainPage, Over, Under};

mod drawing;
mod view;

/// As in the address; what is absent has a sensible value, what is empty is empty.
#[derive(Debug, Clone, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// A real session, by id.
    session: String,
    /// A draft of one's own, to explain under it beside the policy in force.
    draft: String,
    /// An account's name; empty: the role's.
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

impl Default for Asked {
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

impl Asked {
    fn session(&self) -> Result<Option<SessionId>, PageError> {
        Ok(id(&self.session)?.map(SessionId))
    }

    fn draft(&self) -> Result<Option<Uuid>, PageError> {
        id(&self.draft)
    }

    fn who(&self, session: Option<SessionId>) -> Who {
        match (session, self.account.trim()) {
            (Some(id), _) => Who::Session(id),
            (None, "") => Who::Role(Role::parse(&self.role).unwrap_or(Role::Member)),
            (None, name) => Who::Account(name.to_owned()),
        }
    }

    /// A new session is used in the morning; a real one is left alone until somebody says otherwise.
    fn active(&self) -> &str {
        let usual = if self.session.is_empty() { "08:00-10:30" } else { "" };
        self.active.as_deref().unwrap_or(usual)
    }

    fn typed(&self) -> Typed {
        Typed {
            signed_in: self.signed_in.clone(),
            applications: entries(&self.app),
            active: entries(self.active()),
            every: self.every.clone(),
            doing: self.doing.clone(),
            path: self.path.clone(),
            pauses: entries(&self.pause),
            window: self.window.clone(),
            ip: self.ip.clone(),
            agent: String::new(),
            moves: lines(&self.moves),
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
            manners: Choice::list(Manner::ALL.iter().map(|(_, word, words)| (*word, *words)), &self.doing),
            path: self.path.clone(),
            pause: self.pause.clone(),
            window: self.window.clone(),
            ip: self.ip.clone(),
            moves: self.moves.clone(),
            // What is rarely asked is folded away while it is empty.
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

/// What is no id names nothing.
fn id(text: &str) -> Result<Option<Uuid>, PageError> {
    match text.trim() {
        "" => Ok(None),
        id => Uuid::parse_str(id).map(Some).map_err(|_| PageError::NotFound),
    }
}

/// The policy that a draft of the visitor's would make.
async fn drafted(ctx: &Ctx, admin: &Admin, id: Uuid, in_force: &Policy) -> Result<Policy, PageError> {
    let review = policy::review(ctx, &admin.0.acting, id)
        .await?
        .ok_or(PageError::NotFound)?;
    Ok(Policy::new(0, review.document, in_force.pins().clone(), in_force.dev()))
}

pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let asked = asked.0;
    let who = asked.who(asked.session()?);
    let in_force = ctx.current_policy().await?;
    let today = Under {
        name: "Today’s policy",
        policy: &in_force.policy,
        draft: None,
    };
    let mut shown = Shown::default();
    shown.add(&ctx, &today, &who, &asked).await?;
    if let Some(id) = asked.draft()?
        && !shown.answers.is_empty()
    {
        let draft = Under {
            name: "Your draft",
            policy: &drafted(&ctx, &admin, id, &in_force.policy).await?,
            draft: Some(id),
        };
        shown.add(&ctx, &draft, &who, &asked).await?;
    }
    let status = if shown.faults.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    let view = ExplainPage {
        shell: Shell::admin(&req, &ctx, &admin, "Explain", "policy").await?,
        form: asked.form(shown.faults),
        answers: shown.answers,
        over: shown.over,
        dev: in_force.policy.dev(),
    };
    page(status, &view)
}

/// What comes of asking under one policy after the other.
#[derive(Default)]
struct Shown {
    answers: Vec<Answer>,
    over: Option<Over>,
    faults: Vec<(String, String)>,
}

impl Shown {
    async fn add(&mut self, ctx: &Ctx, under: &Under<'_>, who: &Who, asked: &Asked) -> Result<(), PageError> {
        match explain::explain(ctx, under.policy, who, &asked.typed()).await? {
            ExplainVerdict::Explained(explained) => {
                self.answers.push(Answer::new(self.answers.len(), under, &explained));
            }
            ExplainVerdict::NoSession => return Err(PageError::NotFound),
            ExplainVerdict::NoAccount => {
                let fault = "There is no account of that name.".to_owned();
                self.faults = vec![("account".to_owned(), fault)];
            }
            ExplainVerdict::Over { account, at, reason } => {
                let reason = reason.map_or("ended", reason_words);
                self.over = Some(Over { account, at, reason });
            }
            ExplainVerdict::Faulty(faults) => {
                self.faults = faults.into_iter().map(|(field, why)| (field.to_owned(), why)).collect();
            }
        }
        Ok(())
    }
}
