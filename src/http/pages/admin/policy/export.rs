//! The policy in force as a file: all scopes as TOML or JSON, which can be imported, or the part
//! that a hue.ini can contain.
use crate::{
    domain::policy::interchange::{self, PolicyFormat},
    flows::{Ctx, policy},
    http::{error::PageError, forms::Query, step_up::ConfirmedVisitor, visitor::Admin},
};
use actix_web::{HttpResponse, http::header, web};
use serde::Deserialize;

/// The format to export to.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PolicyExportQuery {
    format: String,
}

/// `GET /admin/policy/export?format=hue|toml|json`; `POST` after the password was entered.
pub async fn download(
    ctx: web::Data<Ctx>,
    _admin: ConfirmedVisitor<Admin, ()>,
    query: Query<PolicyExportQuery>,
) -> Result<HttpResponse, PageError> {
    let revision = policy::in_force(&ctx).await?.revision;
    let word = match query.0.format.as_str() {
        "" => PolicyFormat::Toml.as_str(),
        word => word,
    };
    let written =
        PolicyFormat::parse(word).and_then(|format| Some((format, interchange::export(format, &revision.document)?)));
    let Some((format, exported)) = written else {
        return Err(PageError::BadRequest(format!(
            "There is no export format “{word}”; accepted: hue, toml or json."
        )));
    };
    let name = format!(
        "attachment; filename=\"nightlatch-policy-{}.{}\"",
        revision.revision,
        format.ending()
    );
    Ok(HttpResponse::Ok()
        .content_type(media_type(format))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(exported.text))
}

const fn media_type(format: PolicyFormat) -> &'static str {
    match format {
        PolicyFormat::Toml => "application/toml; charset=utf-8",
        PolicyFormat::Json => "application/json",
        PolicyFormat::Hue | PolicyFormat::Ibm | PolicyFormat::Bloomreach => "text/plain; charset=utf-8",
    }
}
