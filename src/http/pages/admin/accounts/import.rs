//! `/admin/accounts/import`: imports accounts from an uploaded or pasted file. The first step
//! previews the result line by line; the second sends the same text to import it. The result is
//! returned without a redirect, because it contains one-time passwords; `long_action` handles long
//! imports.
use super::{
    long_action::{self, ActionResult, IMPORT},
    view::{AccountImportPage, FaultLine, PlanLine, PlanView},
};
use crate::{
    domain::{
        account_csv::{AccountColumn, AccountCsvFault, MAX_LINES},
        spreadsheet,
    },
    flows::{
        Ctx,
        accounts::{self, ImportFile, ImportOutcome, ImportPlan, ImportSummary, Passwords, PlannedChange, PlannedLine},
    },
    http::{
        error::PageError,
        form_key::parse_key,
        forms::Form,
        pages::admin::{
            once::{self, Once},
            part::Badge,
        },
        paths,
        request_body::MAX_FORM_BYTES,
        respond::render_page,
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        upload::Upload,
        visitor::Admin,
    },
    live::long_actions::LongAction,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

/// Maximum number of lines and faults that a page lists; others are counted.
const MAX_LISTED: usize = 200;

/// Input that the page shows again.
struct AccountImportInput {
    text: String,
    passwords: Passwords,
    faults: Vec<(String, String)>,
}

/// A checked file to be imported.
#[derive(Deserialize)]
#[serde(default)]
pub struct ApplyImportForm {
    text: String,
    passwords: String,
    /// The fingerprint of the plan that was shown.
    shown: String,
    /// `good`: import the valid lines even if others have faults.
    lines: String,
    /// Identifies the import, so that a second click does not repeat it.
    key: String,
}

impl Default for ApplyImportForm {
    fn default() -> Self {
        Self {
            text: String::new(),
            passwords: "one-time".to_owned(),
            shown: String::new(),
            lines: String::new(),
            key: String::new(),
        }
    }
}

impl CriticalForm for ApplyImportForm {
    /// The maximum size of a file, with each byte encoded as three.
    const MAX_BYTES: usize = 3 * MAX_FORM_BYTES;
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
    let sent = AccountImportInput {
        text: String::new(),
        passwords: Passwords::OneTime,
        faults: Vec::new(),
    };
    answer(&req, &ctx, &admin, StatusCode::OK, sent, None).await
}

/// `POST /admin/accounts/import`: shows the preview only.
pub async fn check(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    upload: Upload,
) -> Result<HttpResponse, PageError> {
    let sent = AccountImportInput::from_upload(upload);
    if !sent.faults.is_empty() {
        return answer(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent, None).await;
    }
    let plan = accounts::plan_import(&ctx, &admin.0.initiator, sent.file()).await?;
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
    ConfirmedVisitor(admin, fields): ConfirmedVisitor<Admin, Form<ApplyImportForm>>,
) -> Result<HttpResponse, PageError> {
    let fields = fields.0;
    let mut sent = AccountImportInput {
        text: fields.text.replace("\r\n", "\n"),
        passwords: passwords(&fields.passwords),
        faults: Vec::new(),
    };
    let confirmed = accounts::ImportConfirmation {
        shown: Some(fields.shown.clone()),
        good_lines: fields.lines == "good",
    };
    let Some(key) = parse_key(&fields.key) else {
        return match accounts::import(&ctx, &admin.0.initiator, sent.file(), confirmed).await? {
            ImportOutcome::Done(done) => {
                let summary = ImportSummary::new(&done, sent.passwords, ctx.now());
                let shown = done.created.into_iter();
                let shown: Vec<_> = shown.filter_map(|(name, password)| Some((name, password?))).collect();
                long_action::imported(&req, &ctx, &admin, summary, &shown, None).await
            }
            ImportOutcome::Refused(plan) => {
                sent.faults.extend(changed_fault(&plan, &fields.shown));
                answer(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent, Some(plan)).await
            }
        };
    };
    let (work, file) = ((**ctx).clone(), sent.file());
    let (initiator, submission) = (admin.0.initiator.clone(), long_action::submission(&admin, key));
    let import = |act: Arc<LongAction>| async move {
        let note_progress = |done, total| act.note_progress(done, total);
        let done = accounts::import_once(
            &work,
            &initiator,
            file,
            confirmed,
            (submission, paths::ADMIN_ACCOUNTS_IMPORT_APPLY),
            &note_progress,
        )
        .await?;
        Ok(if done {
            ActionResult::Imported
        } else {
            ActionResult::NotDone(NOT_IMPORTED.to_owned())
        })
    };
    let once = once::run_once(&ctx, &admin, (key, IMPORT), import).await;
    if let Once::Done { result, .. } = &once
        && matches!(**result, Ok(ActionResult::NotDone(_)))
    {
        // The plan has changed: it is shown again, to be checked.
        let plan = accounts::plan_import(&ctx, &admin.0.initiator, sent.file()).await?;
        sent.faults.extend(changed_fault(&plan, &fields.shown));
        return answer(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent, Some(plan)).await;
    }
    long_action::answer_once(&req, &ctx, &admin, key, once).await
}

/// Why an import did nothing.
const NOT_IMPORTED: &str =
    "Nothing was changed: the accounts changed after this file was checked. Check the file again.";

fn changed_fault(plan: &ImportPlan, shown: &str) -> Option<(String, String)> {
    let message = "Nothing was changed: the accounts changed after this file was checked. Review the new preview.";
    (plan.fingerprint != shown).then(|| ("plan-h".to_owned(), message.to_owned()))
}

impl AccountImportInput {
    fn from_upload(upload: Upload) -> Self {
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
    sent: AccountImportInput,
    plan: Option<ImportPlan>,
) -> Result<HttpResponse, PageError> {
    let view = AccountImportPage {
        shell: Shell::admin(req, ctx, admin, "Import accounts", "accounts").await?,
        text: sent.text,
        passwords: code(sent.passwords),
        columns: AccountColumn::ALL
            .map(|column| (column.name(), column.accepts()))
            .to_vec(),
        most_lines: MAX_LINES,
        faults: sent.faults,
        plan: plan.map(|plan| shown(&plan, ctx.new_id(ctx.now()))),
    };
    render_page(status, &view)
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn shown(plan: &ImportPlan, key: Uuid) -> PlanView {
    let (created, changed, unchanged) = plan.counts();
    let changed_lines: Vec<&PlannedLine> = plan
        .lines
        .iter()
        .filter(|line| !matches!(line.what, PlannedChange::Unchanged))
        .collect();
    PlanView {
        created: number(created),
        changed: number(changed),
        unchanged: number(unchanged),
        good: number(created + changed),
        more: number(changed_lines.len().saturating_sub(MAX_LISTED)),
        lines: changed_lines.into_iter().take(MAX_LISTED).map(plan_line).collect(),
        faults: fault_lines(&plan.faults),
        more_faults: number(plan.faults.len().saturating_sub(MAX_LISTED)),
        fault_count: number(plan.faults.len()),
        passed_over: plan.passed_over.join(", "),
        fingerprint: plan.fingerprint.clone(),
        key: key.to_string(),
    }
}

fn plan_line(line: &PlannedLine) -> PlanLine {
    let (what, differences) = match &line.what {
        PlannedChange::Create(entry) => {
            let columns = AccountColumn::ALL
                .into_iter()
                .filter(|column| *column != AccountColumn::Name);
            let cells = columns.map(|column| (column.name(), String::new(), entry.cell(column)));
            let filled = cells.filter(|(_, _, cell)| !cell.is_empty() && cell != "no");
            (Badge::info("New"), filled.collect())
        }
        PlannedChange::Update(_, differences) => {
            let changes = differences
                .iter()
                .map(|difference| (difference.column.name(), difference.old.clone(), difference.new.clone()));
            (Badge::warn("Changed").with_icon("info"), changes.collect())
        }
        PlannedChange::Unchanged => (Badge::plain("ok", "Unchanged"), Vec::new()),
    };
    PlanLine {
        number: line.number,
        name: line.name.clone(),
        what,
        differences,
    }
}

fn fault_lines(faults: &[AccountCsvFault]) -> Vec<FaultLine> {
    let listed = faults.iter().take(MAX_LISTED).map(|fault| FaultLine {
        number: fault.line,
        column: fault.column.unwrap_or("–").to_owned(),
        message: fault.message.clone(),
    });
    listed.collect()
}
