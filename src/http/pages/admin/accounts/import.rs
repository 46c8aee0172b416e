//! `/admin/accounts/import`: a file of accounts, chosen or pasted. First what it would do, line by line; the same form then does it.
//! Answered without a redirect when it is done, for one-time passwords stand in that answer and nowhere else.
use super::view::{FaultLine, ImportPage, ImportedPage, PlanLine, PlanView};
use crate::domain::roster::{Column, Fault, MOST_LINES};
use crate::domain::spreadsheet;
use crate::flows::Ctx;
use crate::flows::accounts::{
    self, Confirmed, ImportFile, ImportPlan, ImportVerdict, Imported, Passwords, Planned, PlannedLine,
};
use crate::http::error::PageError;
use crate::http::pages::admin::part::Badge;
use crate::http::pages::{Shell, page};
use crate::http::upload::Upload;
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

/// Lines and faults that a page lists; the rest is counted.
const MOST_LISTED: usize = 200;

/// The form as it was sent.
struct Sent {
    text: String,
    passwords: Passwords,
    /// `check`, `all` or `good`.
    act: String,
    shown: String,
    faults: Vec<(String, String)>,
}

/// `GET /admin/accounts/import`
pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    let sent = Sent {
        text: String::new(),
        passwords: Passwords::OneTime,
        act: String::new(),
        shown: String::new(),
        faults: Vec::new(),
    };
    answer(&req, &ctx, &admin, StatusCode::OK, sent, None).await
}

/// `POST /admin/accounts/import`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    upload: Upload,
) -> Result<HttpResponse, PageError> {
    let mut sent = Sent::of(upload);
    if !sent.faults.is_empty() {
        return answer(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent, None).await;
    }
    let file = ImportFile {
        bytes: sent.text.as_bytes().into(),
        passwords: sent.passwords,
    };
    if !matches!(sent.act.as_str(), "all" | "good") {
        let plan = accounts::plan_import(&ctx, &admin.0.acting, file).await?;
        let status = if plan.faults.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        return answer(&req, &ctx, &admin, status, sent, Some(plan)).await;
    }
    let confirmed = Confirmed {
        shown: Some(sent.shown.clone()),
        good_lines: sent.act == "good",
    };
    match accounts::import(&ctx, &admin.0.acting, file, confirmed).await? {
        ImportVerdict::Done(done) => page(StatusCode::OK, &imported(&req, &ctx, &admin, done).await?),
        ImportVerdict::Refused(plan) => {
            if plan.fingerprint != sent.shown {
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
            passwords: match upload.text("passwords") {
                "unknown" => Passwords::Unknown,
                _ => Passwords::OneTime,
            },
            act: upload.text("act").to_owned(),
            shown: upload.text("shown").to_owned(),
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
        one_time: sent.passwords == Passwords::OneTime,
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

async fn imported(req: &HttpRequest, ctx: &Ctx, admin: &Admin, done: Imported) -> Result<ImportedPage, PageError> {
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
        passwords: passwords.collect(),
        faults: fault_lines(&done.plan.faults),
    })
}
