//! `/admin/lockouts/block`: refuses sign-ins of a username, an IP address or the subject of a
//! listed counter, until an instant or until it is unlocked.
use super::{subject::subject_labels, view::BlockPage};
use crate::{
    domain::{network, time::Timestamp},
    flows::{
        Ctx,
        lockouts::{self, BlockOutcome, BlockTarget},
    },
    http::{
        error::PageError,
        flash::{Flash, redirect},
        forms::{Form, Query},
        pages::admin::list::{FormFaults, filled, return_address},
        paths,
        respond::render_page,
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm},
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use std::net::IpAddr;
use uuid::Uuid;

/// The address, and the form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BlockForm {
    /// A lock or counter of the list; empty: the input below.
    id: String,
    account: String,
    ip: String,
    until: String,
    reason: String,
    /// The list's query.
    back: String,
}

impl CriticalForm for BlockForm {}

impl BlockForm {
    fn subject(&self, faults: &mut FormFaults) -> Result<BlockTarget, PageError> {
        if let Some(id) = filled(&self.id) {
            return Uuid::parse_str(&id)
                .map(BlockTarget::Listed)
                .map_err(|_| PageError::NotFound);
        }
        let ip: Option<Result<IpAddr, _>> = filled(&self.ip).map(|text| text.parse());
        if let Some(Err(_)) = ip {
            faults.push(("ip".to_owned(), "Enter one IP address, such as 203.0.113.9.".to_owned()));
        }
        Ok(BlockTarget::Key {
            account: filled(&self.account),
            ip: ip.and_then(Result::ok).map(network::canonical),
        })
    }

    fn until(&self, faults: &mut FormFaults) -> Option<Timestamp> {
        let text = filled(&self.until)?;
        let until = Timestamp::parse_written(&text);
        if until.is_none() {
            faults.push((
                "until".to_owned(),
                "Enter a date and time, such as 2026-12-31 18:00.".to_owned(),
            ));
        }
        until
    }
}

/// `GET /admin/lockouts/block`
pub async fn form(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    fields: Query<BlockForm>,
) -> Result<HttpResponse, PageError> {
    show(&req, &ctx, &admin, StatusCode::OK, fields.0, Vec::new()).await
}

/// `POST /admin/lockouts/block`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, fields): ConfirmedVisitor<Admin, Form<BlockForm>>,
) -> Result<HttpResponse, PageError> {
    let fields = fields.0;
    let mut faults = Vec::new();
    let subject = fields.subject(&mut faults)?;
    let until = fields.until(&mut faults);
    if faults.is_empty() {
        match lockouts::block(&ctx, &admin.0.initiator, subject, until, &fields.reason).await? {
            BlockOutcome::Done => {
                let flash = Flash::ok("Blocked. Matching sign-ins are refused until the block ends or is removed.");
                return Ok(redirect(
                    &req,
                    &return_address(paths::ADMIN_LOCKOUTS, &fields.back),
                    &flash,
                ));
            }
            BlockOutcome::Unknown => return Err(PageError::NotFound),
            BlockOutcome::Faulty(found) => {
                let named = found.into_iter();
                faults.extend(named.map(|(field, message)| (field.to_owned(), message)));
            }
        }
    }
    show(&req, &ctx, &admin, StatusCode::UNPROCESSABLE_ENTITY, fields, faults).await
}

async fn show(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    status: StatusCode,
    fields: BlockForm,
    faults: FormFaults,
) -> Result<HttpResponse, PageError> {
    let listed = match Uuid::parse_str(fields.id.trim()) {
        Ok(id) => Some(lockouts::find(ctx, id).await?.ok_or(PageError::NotFound)?),
        Err(_) if fields.id.trim().is_empty() => None,
        Err(_) => return Err(PageError::NotFound),
    };
    let view = BlockPage {
        shell: Shell::admin(req, ctx, admin, "Block", "lockouts").await?,
        chips: listed.as_ref().map(subject_labels).unwrap_or_default(),
        id: fields.id,
        account: fields.account,
        ip: fields.ip,
        until: fields.until,
        reason: fields.reason,
        faults,
        return_url: return_address(paths::ADMIN_LOCKOUTS, &fields.back),
        back: fields.back,
    };
    render_page(status, &view)
}
