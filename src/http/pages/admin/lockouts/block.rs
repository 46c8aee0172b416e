//! `/admin/lockouts/block`: refusing a name, an address or what a row of the list counts, until an instant or until somebody unlocks it.
use super::chips;
use super::view::BlockPage;
use crate::domain::network;
use crate::domain::time::Timestamp;
use crate::flows::Ctx;
use crate::flows::lockouts::{self, Blocked, Blocking};
use crate::http::error::PageError;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::{Form, Query};
use crate::http::pages::admin::list::{back, filled};
use crate::http::pages::{Shell, page};
use crate::http::paths;
use crate::http::step_up::{Confirmed, Critical};
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use std::net::IpAddr;
use uuid::Uuid;

/// The address, and the form.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Fields {
    /// A lock or counter of the list; blank: what is typed.
    id: String,
    account: String,
    ip: String,
    until: String,
    reason: String,
    /// The list's query.
    back: String,
}

impl Critical for Fields {}

type Faults = Vec<(String, String)>;

impl Fields {
    fn what(&self, faults: &mut Faults) -> Result<Blocking, PageError> {
        if let Some(id) = filled(&self.id) {
            return Uuid::parse_str(&id)
                .map(Blocking::Listed)
                .map_err(|_| PageError::NotFound);
        }
        let ip: Option<Result<IpAddr, _>> = filled(&self.ip).map(|text| text.parse());
        if let Some(Err(_)) = ip {
            faults.push(("ip".to_owned(), "Write one address, like 203.0.113.9.".to_owned()));
        }
        Ok(Blocking::Key {
            account: filled(&self.account),
            ip: ip.and_then(Result::ok).map(network::canonical),
        })
    }

    fn until(&self, faults: &mut Faults) -> Option<Timestamp> {
        let text = filled(&self.until)?;
        let until = Timestamp::parse_written(&text);
        if until.is_none() {
            faults.push((
                "until".to_owned(),
                "Write a date and time, like 2026-12-31 18:00.".to_owned(),
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
    fields: Query<Fields>,
) -> Result<HttpResponse, PageError> {
    show(&req, &ctx, &admin, StatusCode::OK, fields.0, Vec::new()).await
}

/// `POST /admin/lockouts/block`
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, fields): Confirmed<Admin, Form<Fields>>,
) -> Result<HttpResponse, PageError> {
    let fields = fields.0;
    let mut faults = Vec::new();
    let what = fields.what(&mut faults)?;
    let until = fields.until(&mut faults);
    if faults.is_empty() {
        match lockouts::block(&ctx, &admin.0.acting, what, until, &fields.reason).await? {
            Blocked::Done => {
                let said = Flash::ok("Blocked: every sign-in with it is refused until it ends or is unlocked.");
                return Ok(redirect(&req, &back(paths::ADMIN_LOCKOUTS, &fields.back), &said));
            }
            Blocked::Unknown => return Err(PageError::NotFound),
            Blocked::Faulty(found) => {
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
    fields: Fields,
    faults: Faults,
) -> Result<HttpResponse, PageError> {
    let listed = match Uuid::parse_str(fields.id.trim()) {
        Ok(id) => Some(lockouts::find(ctx, id).await?.ok_or(PageError::NotFound)?),
        Err(_) if fields.id.trim().is_empty() => None,
        Err(_) => return Err(PageError::NotFound),
    };
    let view = BlockPage {
        shell: Shell::admin(req, ctx, admin, "Block", "lockouts").await?,
        chips: listed.as_ref().map(chips).unwrap_or_default(),
        id: fields.id,
        account: fields.account,
        ip: fields.ip,
        until: fields.until,
        reason: fields.reason,
        faults,
        way_back: back(paths::ADMIN_LOCKOUTS, &fields.back),
        back: fields.back,
    };
    page(status, &view)
}
