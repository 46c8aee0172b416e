//! The policy in force as a file: all scopes as TOML or JSON, ready to be imported, or the part that a hue.ini has.
use crate::domain::policy::interchange::{self, Format};
use crate::flows::{Ctx, policy};
use crate::http::error::PageError;
use crate::http::forms::Query;
use crate::http::step_up::Confirmed;
use crate::http::visitor::Admin;
use actix_web::{HttpResponse, http::header, web};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Wanted {
    format: String,
}

/// `GET /admin/policy/export?format=hue|toml|json`; `POST`, with the password that was asked for.
pub async fn download(
    ctx: web::Data<Ctx>,
    _admin: Confirmed<Admin, ()>,
    wanted: Query<Wanted>,
) -> Result<HttpResponse, PageError> {
    let revision = policy::in_force(&ctx).await?.revision;
    let word = match wanted.0.format.as_str() {
        "" => Format::Toml.as_str(),
        word => word,
    };
    let written =
        Format::parse(word).and_then(|format| Some((format, interchange::export(format, &revision.document)?)));
    let Some((format, exported)) = written else {
        return Err(PageError::BadRequest(format!(
            "There is no format “{word}” to export to: it is hue, toml or json."
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

const fn media_type(format: Format) -> &'static str {
    match format {
        Format::Toml => "application/toml; charset=utf-8",
        Format::Json => "application/json",
        Format::Hue | Format::Ibm | Format::Bloomreach => "text/plain; charset=utf-8",
    }
}
