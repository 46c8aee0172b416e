//! `/admin/policy/matrix`: where the scopes differ. Rows are settings, columns scopes; a cell is filled where its scope differs
//! from everyone.
use super::editor;
use crate::domain::policy::catalogue::{Group, Setting};
use crate::domain::policy::effective::Policy;
use crate::domain::policy::{Scope, Source};
use crate::flows::{Ctx, policy};
use crate::http::error::PageError;
use crate::http::filters;
use crate::http::forms::Query;
use crate::http::pages::{Shell, page};
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;

#[derive(Template)]
#[template(path = "pages/admin/policy/matrix.html")]
struct MatrixPage {
    shell: Shell,
    revision: i64,
    all: bool,
    scopes: Vec<Column>,
    groups: Vec<(&'static str, Vec<Row>)>,
}

struct Column {
    label: String,
    href: String,
}

struct Row {
    label: &'static str,
    key: &'static str,
    cells: Vec<Option<Cell>>,
}

struct Cell {
    href: String,
    value: String,
    scope: String,
    pinned: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// `all`: settings that hold alike everywhere too.
    settings: String,
}

/// `GET /admin/policy/matrix`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    asked: Query<Asked>,
) -> Result<HttpResponse, PageError> {
    let current = policy::in_force(&ctx).await?;
    let policy = &current.in_force.policy;
    let scopes: Vec<Scope> = policy.document().scopes().map(|(scope, _)| scope).collect();
    let all = asked.0.settings == "all";
    let view = MatrixPage {
        shell: Shell::admin(&req, &ctx, &admin, "Policy by scope", "policy").await?,
        revision: current.revision.revision,
        all,
        groups: groups(policy, &scopes, all),
        scopes: scopes
            .iter()
            .map(|scope| Column {
                label: scope.label(),
                href: editor::href(scope, None),
            })
            .collect(),
    };
    page(StatusCode::OK, &view)
}

fn groups(policy: &Policy, scopes: &[Scope], all: bool) -> Vec<(&'static str, Vec<Row>)> {
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

fn row(policy: &Policy, scopes: &[Scope], setting: &Setting) -> Row {
    let everyone = policy.value_in(&Scope::Everyone, setting.key).0;
    let cell = |scope: &Scope| {
        let (value, source) = policy.value_in(scope, setting.key);
        (*scope == Scope::Everyone || value != everyone).then(|| Cell {
            href: editor::anchor(scope, setting.key),
            value: setting.display(&value),
            scope: scope.label(),
            pinned: source == Source::Pinned,
        })
    };
    Row {
        label: setting.label,
        key: setting.name,
        cells: scopes.iter().map(cell).collect(),
    }
}

impl Row {
    /// Besides everyone's there is a value of another scope.
    fn differs(&self) -> bool {
        self.cells.iter().flatten().count() > 1
    }
}
