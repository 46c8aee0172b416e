//! `/admin/policy/import`: a policy file of Nightlatch or of another product, pasted or selected,
//! becomes a draft for `policy/review`. Faults are listed with their lines, and the text is kept;
//! `domain::policy::interchange` reads the formats.
use super::{drafts::review_href, input::reason_of, view::PolicyImportPage};
use crate::{
    domain::policy::{
        PolicyDocument, PolicyFault,
        diff::diff,
        interchange::{self, FileComment, ImportedDocument, PolicyFormat},
    },
    flows::{
        Ctx,
        policy::{self, Edit, Proposal, ProposalOutcome, SaveKind},
    },
    http::{
        error::PageError,
        pages::admin::part::Choice,
        respond::{redirect_to, render_page},
        shell::Shell,
        upload::Upload,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};

/// Maximum number of ignored keys that the page and the review list; a complete hue.ini has a few
/// dozen.
const MAX_LISTED: usize = 200;

/// The form as it was sent, and messages about it.
#[derive(Default)]
struct PolicyImportInput {
    format: String,
    text: String,
    file_name: String,
    reason: String,
    faults: Vec<(String, String)>,
    /// Comments on a file that changes nothing.
    comments: Option<Vec<String>>,
}

/// `GET /admin/policy/import`
pub async fn form(req: HttpRequest, ctx: web::Data<Ctx>, admin: Admin) -> Result<HttpResponse, PageError> {
    render_import(&req, &ctx, &admin, StatusCode::OK, PolicyImportInput::default()).await
}

/// `POST /admin/policy/import`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    upload: Upload,
) -> Result<HttpResponse, PageError> {
    let mut sent = PolicyImportInput::from_upload(upload);
    let current = policy::in_force(&ctx).await?.revision;
    let imported = match sent.read(&current.document) {
        Ok(imported) => imported,
        Err(faults) => {
            sent.faults = faults;
            return render_import(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent).await;
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
    match policy::propose(&ctx, &admin.0.initiator, proposal).await? {
        ProposalOutcome::Draft(draft) => Ok(redirect_to(&review_href(draft))),
        ProposalOutcome::Unchanged => {
            sent.comments = Some(notes);
            render_import(&req, &ctx, &admin, StatusCode::OK, sent).await
        }
        ProposalOutcome::Faulty(faults) => {
            sent.faults = shown(&faults);
            render_import(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, sent).await
        }
    }
}

impl PolicyImportInput {
    fn from_upload(upload: Upload) -> Self {
        let mut sent = Self {
            format: upload.text("format").to_owned(),
            // Browsers end the lines of a text field with CR LF.
            text: upload.text("text").replace("\r\n", "\n"),
            reason: reason_of(upload.text("reason")),
            ..Self::default()
        };
        if let Some(file) = upload.file("file") {
            sent.file_name = file.name;
            match String::from_utf8(file.bytes) {
                Ok(text) => sent.text = text,
                Err(_) => sent.faults = fault("file", "This file is not UTF-8 text."),
            }
        }
        sent
    }

    /// Applies the text to `base`, or returns all faults, each with its field.
    fn read(&self, base: &PolicyDocument) -> Result<ImportedDocument, Vec<(String, String)>> {
        if !self.faults.is_empty() {
            return Err(self.faults.clone());
        }
        if self.text.trim().is_empty() {
            return Err(fault("text", "Paste the text of a file, or choose a file."));
        }
        let format = match self.format.as_str() {
            "" => PolicyFormat::guess(&self.file_name, &self.text)
                .ok_or_else(|| fault("format", "The format could not be recognized: choose it.")),
            word => PolicyFormat::parse(word).ok_or_else(|| fault("format", "There is no such format.")),
        }?;
        interchange::import(format, &self.text, base).map_err(|faults| shown(&faults))
    }
}

fn fault(field: &str, sentence: &str) -> Vec<(String, String)> {
    vec![(field.to_owned(), sentence.to_owned())]
}

fn shown(faults: &[PolicyFault]) -> Vec<(String, String)> {
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

/// Lists values that were interpreted differently from how they are written, then ignored keys.
fn notes(imported: &ImportedDocument) -> Vec<String> {
    let aside = |remark: &FileComment| format!("Ignored: {remark}");
    let mut notes: Vec<String> = imported.notes.iter().map(FileComment::to_string).collect();
    notes.extend(imported.ignored.iter().take(MAX_LISTED).map(aside));
    if let Some(more) = imported.ignored.len().checked_sub(MAX_LISTED).filter(|more| *more > 0) {
        notes.push(format!(
            "Ignored: {more} more keys that are not session policy settings"
        ));
    }
    notes
}

async fn render_import(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    status: StatusCode,
    sent: PolicyImportInput,
) -> Result<HttpResponse, PageError> {
    let words = PolicyFormat::ALL.iter().map(|format| (format.as_str(), format.label()));
    let formats = [("", "Detect from name and content")].into_iter().chain(words);
    let view = PolicyImportPage {
        shell: Shell::admin(req, ctx, admin, "Import a policy", "policy").await?,
        formats: Choice::list(formats, &sent.format),
        text: sent.text,
        reason: sent.reason,
        faults: sent.faults,
        comments: sent.comments,
    };
    render_page(status, &view)
}
