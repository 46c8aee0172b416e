//! `/admin/policy/import`: a file of ours or of another product, pasted or chosen, becomes a draft for `policy/review`.
//! What is wrong with it is said line by line, the text kept; how formats are read is `domain::policy::interchange`'s.
use super::review;
use super::view::ImportPage;
use crate::domain::policy::diff::diff;
use crate::domain::policy::interchange::{self, Format, Imported, Remark};
use crate::domain::policy::{Fault, PolicyDocument};
use crate::flows::Ctx;
use crate::flows::policy::{self, Edit, Proposal, Proposed, SaveKind};
use crate::http::error::PageError;
use crate::http::pages::admin::part::Choice;
use crate::http::pages::{Shell, page, see_other};
use crate::http::upload::Upload;
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

/// Keys left aside that the page and the review list one by one; a whole hue.ini has a few dozen.
const MOST_LISTED: usize = 200;

/// The form as it was sent, and what to say about it.
#[derive(Default)]
struct Sent {
    format: String,
    text: String,
    file_name: String,
    reason: String,
    faults: Vec<(String, String)>,
    /// Of a file that changes nothing.
    told: Option<Vec<String>>,
}

/// `GET /admin/policy/import`
pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    answer(&req, &ctx, &admin, StatusCode::OK, Sent::default()).await
}

/// `POST /admin/policy/import`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    upload: Upload,
) -> Result<HttpResponse, PageError> {
    let mut sent = Sent::of(upload);
    let current = policy::in_force(&ctx).await?.revision;
    let imported = match sent.read(&current.document) {
        Ok(imported) => imported,
        Err(faults) => {
            sent.faults = faults;
            return answer(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent).await;
        }
    };
    let notes = notes(&imported);
    let proposal = Proposal {
        into: None,
        base: current.revision,
        kind: SaveKind::Imported,
        edits: edits(&current.document, &imported.document),
        reason: sent.reason.clone(),
        notes: notes.clone(),
    };
    match policy::propose(&ctx, &admin.0.acting, proposal).await? {
        Proposed::Draft(draft) => Ok(see_other(&review::href(draft))),
        Proposed::Unchanged => {
            sent.told = Some(notes);
            answer(&req, &ctx, &admin, StatusCode::OK, sent).await
        }
        Proposed::Faulty(faults) => {
            sent.faults = shown(&faults);
            answer(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent).await
        }
    }
}

impl Sent {
    fn of(upload: Upload) -> Self {
        let mut sent = Self {
            format: upload.text("format").to_owned(),
            // Browsers end the lines of a text field with CR LF.
            text: upload.text("text").replace("\r\n", "\n"),
            reason: super::reason_of(upload.text("reason")),
            ..Self::default()
        };
        if let Some(file) = upload.file("file") {
            sent.file_name = file.name;
            match String::from_utf8(file.bytes) {
                Ok(text) => sent.text = text,
                Err(_) => sent.faults = fault("file", "This file is no text in UTF-8."),
            }
        }
        sent
    }

    /// What the text comes to on top of `base`; or all faults, each with the field to look at.
    fn read(&self, base: &PolicyDocument) -> Result<Imported, Vec<(String, String)>> {
        if !self.faults.is_empty() {
            return Err(self.faults.clone());
        }
        if self.text.trim().is_empty() {
            return Err(fault("text", "Paste the text of a file, or choose a file."));
        }
        let format = match self.format.as_str() {
            "" => Format::guess(&self.file_name, &self.text)
                .ok_or_else(|| fault("format", "This looks like none of the formats: say which one it is.")),
            word => Format::parse(word).ok_or_else(|| fault("format", "There is no such format.")),
        }?;
        interchange::import(format, &self.text, base).map_err(|faults| shown(&faults))
    }
}

fn fault(field: &str, sentence: &str) -> Vec<(String, String)> {
    vec![(field.to_owned(), sentence.to_owned())]
}

fn shown(faults: &[Fault]) -> Vec<(String, String)> {
    faults
        .iter()
        .map(|fault| ("text".to_owned(), fault.to_string()))
        .collect()
}

fn edits(old: &PolicyDocument, new: &PolicyDocument) -> Vec<Edit> {
    let edits = diff(old, new).into_iter().map(|change| Edit {
        scope: change.scope,
        key: change.key,
        value: change.new,
    });
    edits.collect()
}

/// What was read otherwise than written, then what was left aside.
fn notes(imported: &Imported) -> Vec<String> {
    let aside = |remark: &Remark| format!("Left aside: {remark}");
    let mut notes: Vec<String> = imported.notes.iter().map(Remark::to_string).collect();
    notes.extend(imported.ignored.iter().take(MOST_LISTED).map(aside));
    if let Some(more) = imported.ignored.len().checked_sub(MOST_LISTED).filter(|more| *more > 0) {
        notes.push(format!(
            "Left aside: {more} more keys that are no settings of the session policy"
        ));
    }
    notes
}

async fn answer(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    status: StatusCode,
    sent: Sent,
) -> Result<HttpResponse, PageError> {
    let words = Format::ALL.iter().map(|format| (format.as_str(), format.label()));
    let formats = [("", "By its name and content")].into_iter().chain(words);
    let view = ImportPage {
        shell: Shell::admin(req, ctx, admin, "Import a policy", "policy").await?,
        formats: Choice::list(formats, &sent.format),
        text: sent.text,
        reason: sent.reason,
        faults: sent.faults,
        told: sent.told,
    };
    page(status, &view)
}
