//! `/admin/policy/matrix`: differences between the scopes. Rows are settings, columns scopes; a
//! cell is filled if its scope differs from everyone.
use super::editor;
use crate::{
    domain::policy::{
        Scope, Source,
        catalogue::{Group, Setting},
        effective::Policy,
    },
    flows::{Ctx, policy},
    http::{error::PageError, filters, forms::Query, respond::render_page, shell::Shell, visitor::Admin},
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "pages/admin/policy/matrix.html")]
struct MatrixPage {
    shell: Shell,
    revision: i64,
    all: bool,
    scopes: Vec<MatrixColumn>,
    groups: Vec<(&'static str, Vec<MatrixRow>)>,
}

struct MatrixColumn {
    label: String,
    href: String,
}

struct MatrixRow {
    label: &'static str,
    key: &'static str,
    cells: Vec<Option<MatrixCell>>,
}

struct MatrixCell {
    href: String,
    value: String,
    scope: String,
    /// Another scope than everyone has its own value.
    differs: bool,
    pinned: bool,
}

/// Which settings the table shows.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct MatrixQuery {
    /// `all`: include settings that are the same everywhere.
    settings: String,
}

/// `GET /admin/policy/matrix`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    query: Query<MatrixQuery>,
) -> Result<HttpResponse, PageError> {
    let current = policy::in_force(&ctx).await?;
    let policy = &current.in_force.policy;
    let scopes: Vec<Scope> = policy.document().scopes().map(|(scope, _)| scope).collect();
    let all = query.0.settings == "all";
    let view = MatrixPage {
        shell: Shell::admin(&req, &ctx, &admin, "Policy by scope", "policy").await?,
        revision: current.revision.revision,
        all,
        groups: groups(policy, &scopes, all),
        scopes: scopes
            .iter()
            .map(|scope| MatrixColumn {
                label: scope.label(),
                href: editor::href(scope, None),
            })
            .collect(),
    };
    render_page(StatusCode::OK, &view)
}

fn groups(policy: &Policy, scopes: &[Scope], all: bool) -> Vec<(&'static str, Vec<MatrixRow>)> {
    Group::ALL
        .iter()
        .map(|group| {
            let rows = group.settings().map(|setting| row(policy, scopes, setting));
            (
                group.title(),
                rows.filter(|row| all || row.differs()).collect::<Vec<_>>(),
            )
        })
        .filter(|(_, rows)| !rows.is_empty())
        .collect()
}

fn row(policy: &Policy, scopes: &[Scope], setting: &Setting) -> MatrixRow {
    let everyone = policy.value_in(&Scope::Everyone, setting.key).0;
    let cell = |scope: &Scope| {
        let (value, source) = policy.value_in(scope, setting.key);
        (*scope == Scope::Everyone || value != everyone).then(|| MatrixCell {
            href: editor::anchor(scope, setting.key),
            value: setting.display(&value),
            scope: scope.label(),
            differs: *scope != Scope::Everyone,
            pinned: source == Source::Pinned,
        })
    };
    MatrixRow {
        label: setting.label,
        key: setting.name,
        cells: scopes.iter().map(cell).collect(),
    }
}

impl MatrixRow {
    /// Returns whether another scope than everyone has a value.
    fn differs(&self) -> bool {
        self.cells.iter().flatten().count() > 1
    }
}
