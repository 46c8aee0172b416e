//! `/admin/accounts/import`: a file of accounts, chosen or pasted. First what it would do, line by line; then the same text is sent to be done.
//! Answered without a redirect when it is done, for one-time passwords stand in that answer and nowhere else.
use super::view::{FaultLine, ImportPage, ImportedPage, PlanLine, PlanView};
use crate::domain::password::ONE_TIME;
use crate::domain::roster::{Column, Fault, MOST_LINES};
use crate::domain::spreadsheet;
use crate::flows::Ctx;
use crate::flows::accounts::{self, ImportFile, ImportPlan, ImportVerdict, Imported, Passwords, Planned, PlannedLine};
use crate::http::error::PageError;
use crate::http::forms::{Form, MAX_FORM_BYTES};
use crate::http::pages::admin::part::Badge;
use crate::http::pages::{Shell, page};
use crate::http::step_up::{Confirmed, Critical};
use crate::http::upload::Upload;
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;

/// Lines and faults that a page lists; the rest is counted.
const MOST_LISTED: usize = 200;

/// What the page shows again.
struct Sent {
    text: String,
    passwords: Passwords,
    faults: Vec<(String, String)>,
}

/// What was checked and shown, to be done.
#[derive(Deserialize)]
#[serde(default)]
pub struct Apply {
    text: String,
    passwords: String,
    /// Of the plan that was shown.
    shown: String,
    /// `good`: though other lines have faults.
    lines: String,
}

impl Default for Apply {
    fn default() -> Self {
        Self {
            text: String::new(),
            passwords: "one-time".to_owned(),
            shown: String::new(),
            lines: String::new(),
        }
    }
}

impl Critical for Apply {
    /// A file of the largest size, each byte written as three.
    const MOST_BYTES: usize = 3 * MAX_FORM_BYTES;
}

fn passwords(word: &str) -> Passwords {
    match word {
        "unknown" => Passwords::Unknown,
        "invitation" => Passwords::Invitation,
        _ => Passwords::OneTime,
    }
}

const fn code(passwords: Passwords) -> &'static str {
    match passwords {
        Passwords::OneTime => "one-time",
        Passwords::Invitation => "invitation",
        Passwords::Unknown => "unknown",
    }
}

/// `GET /admin/accounts/import`
pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let sent = Sent {
        text: String::new(),
        passwords: Passwords::OneTime,
        faults: Vec::new(),
    };
    answer(&req, &ctx, &admin, StatusCode::OK, sent, None).await
}

/// `POST /admin/accounts/import`: only looks.
pub async fn check(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    upload: Upload,
) -> Result<HttpResponse, PageError> {
    let sent = Sent::of(upload);
    if !sent.faults.is_empty() {
        return answer(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent, None).await;
    }
    let plan = accounts::plan_import(&ctx, &admin.0.acting, sent.file()).await?;
    let status = if plan.faults.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    answer(&req, &ctx, &admin, status, sent, Some(plan)).await
}

/// `POST /admin/accounts/import/apply`
pub async fn apply(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, fields): Confirmed<Admin, Form<Apply>>,
) -> Result<HttpResponse, PageError> {
    let fields = fields.0;
    let mut sent = Sent {
        text: fields.text.replace("\r\n", "\n"),
        passwords: passwords(&fields.passwords),
        faults: Vec::new(),
    };
    let confirmed = accounts::Confirmed {
        shown: Some(fields.shown.clone()),
        good_lines: fields.lines == "good",
    };
    match accounts::import(&ctx, &admin.0.acting, sent.file(), confirmed).await? {
        ImportVerdict::Done(done) => {
            let invited = sent.passwords == Passwords::Invitation;
            page(StatusCode::OK, &imported(&req, &ctx, &admin, done, invited).await?)
        }
        ImportVerdict::Refused(plan) => {
            if plan.fingerprint != fields.shown {
                let message = "Nothing was done: what this file does has changed since it was checked. Look again.";
                sent.faults.push(("plan-h".to_owned(), message.to_owned()));
            }
            answer(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent, Some(plan)).await
        }
    }
}

impl Sent {
    fn of(upload: Upload) -> Self {
        let mut sent = Self {
            // Browsers end the lines of a text field with CR LF.
            text: upload.text("text").replace("\r\n", "\n"),
            passwords: passwords(upload.text("passwords")),
            faults: Vec::new(),
        };
        let mut fault = |field: &str, message: String| sent.faults.push((field.to_owned(), message));
        match upload.file("file").map(|file| spreadsheet::text(&file.bytes)) {
            Some(Ok(text)) => sent.text = text,
            Some(Err(error)) => fault("file", format!("This file cannot be read: {error}.")),
            None if sent.text.trim().is_empty() => fault("file", "Choose a file, or paste its text.".to_owned()),
            None => {}
        }
        sent
    }

    fn file(&self) -> ImportFile {
        ImportFile {
            bytes: self.text.as_bytes().into(),
            passwords: self.passwords,
        }
    }
}

async fn answer(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    status: StatusCode,
    sent: Sent,
    plan: Option<ImportPlan>,
) -> Result<HttpResponse, PageError> {
    let view = ImportPage {
        shell: Shell::admin(req, ctx, admin, "Import accounts", "accounts").await?,
        text: sent.text,
        passwords: code(sent.passwords),
        columns: Column::ALL.map(|column| (column.name(), column.accepts())).to_vec(),
        most_lines: MOST_LINES,
        faults: sent.faults,
        plan: plan.map(|plan| shown(&plan)),
    };
    page(status, &view)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn shown(plan: &ImportPlan) -> PlanView {
    let (created, changed, unchanged) = plan.counts();
    let told: Vec<&PlannedLine> = plan
        .lines
        .iter()
        .filter(|line| !matches!(line.what, Planned::Unchanged))
        .collect();
    PlanView {
        created: number(created),
        changed: number(changed),
        unchanged: number(unchanged),
        good: number(created + changed),
        more: number(told.len().saturating_sub(MOST_LISTED)),
        lines: told.into_iter().take(MOST_LISTED).map(line).collect(),
        faults: fault_lines(&plan.faults),
        more_faults: number(plan.faults.len().saturating_sub(MOST_LISTED)),
        fault_count: number(plan.faults.len()),
        passed_over: plan.passed_over.join(", "),
        fingerprint: plan.fingerprint.clone(),
    }
}

fn line(line: &PlannedLine) -> PlanLine {
    let (what, differences) = match &line.what {
        Planned::Create(entry) => {
            let told = Column::ALL.into_iter().filter(|column| *column != Column::Name);
            let cells = told.map(|column| (column.name(), String::new(), entry.cell(column)));
            let filled = cells.filter(|(_, _, cell)| !cell.is_empty() && cell != "no");
            (Badge::info("New"), filled.collect())
        }
        Planned::Update(_, differences) => {
            let told = differences
                .iter()
                .map(|difference| (difference.column.name(), difference.old.clone(), difference.new.clone()));
            (Badge::warn("Changed").with_icon("info"), told.collect())
        }
        Planned::Unchanged => (Badge::plain("ok", "Unchanged"), Vec::new()),
    };
    PlanLine {
        number: line.number,
        name: line.name.clone(),
        what,
        differences,
    }
}

fn fault_lines(faults: &[Fault]) -> Vec<FaultLine> {
    let listed = faults.iter().take(MOST_LISTED).map(|fault| FaultLine {
        number: fault.line,
        column: fault.column.unwrap_or("–"),
        message: fault.message.clone(),
    });
    listed.collect()
}

async fn imported(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    done: Imported,
    invited: bool,
) -> Result<ImportedPage, PageError> {
    let (created, changed, unchanged) = done.plan.counts();
    let passwords = done.created.iter().filter_map(|(name, password)| {
        let password = password.as_ref()?.expose().to_owned();
        Some((name.clone(), password))
    });
    Ok(ImportedPage {
        shell: Shell::admin(req, ctx, admin, "Accounts imported", "accounts").await?,
        created: number(created),
        changed: number(changed),
        unchanged: number(unchanged),
        ended: number(done.ended),
        until: ctx.now().saturating_add(ONE_TIME),
        invited,
        passwords: passwords.collect(),
        faults: fault_lines(&done.plan.faults),
    })
}
