//! `/admin/policy/posture`: the policy in force compared with the baselines, and the installation
//! around it. `domain::policy::posture` defines the requirements.
use super::{drafts::review_href, editor};
use crate::{
    domain::policy::{
        Scope, Source,
        posture::{Baseline, ItemFinding, ScopedValue, check, remedy},
    },
    flows::{
        Ctx,
        policy::{self, Edit, Proposal, ProposalOutcome, SaveKind},
        posture::{self, Posture},
    },
    http::{
        error::PageError,
        filters,
        flash::{Flash, redirect},
        forms::{Form, Query},
        paths,
        respond::{redirect_to, render_page},
        shell::Shell,
        visitor::Admin,
    },
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use askama::Template;
use serde::Deserialize;
use table::PostureTablePage;

mod table;

#[derive(Template)]
#[template(path = "pages/admin/policy/posture.html")]
struct PosturePage {
    shell: Shell,
    revision: i64,
    baselines: Vec<BaselineView>,
    installation: Vec<FindingView>,
    /// The number of open findings about the installation.
    open: usize,
}

struct BaselineView {
    id: &'static str,
    title: &'static str,
    source: &'static str,
    summary: &'static str,
    met: usize,
    missed: Vec<ItemView>,
    kept: Vec<ItemView>,
    /// Whether a draft would change something.
    draftable: bool,
}

impl BaselineView {
    fn items(&self) -> usize {
        self.missed.len() + self.kept.len()
    }

    fn is_met(&self) -> bool {
        self.missed.is_empty()
    }
}

struct ItemView {
    key: &'static str,
    label: &'static str,
    asked_by: &'static str,
    why: &'static str,
    wants: String,
    places: Vec<PlaceView>,
    draftable: bool,
}

struct PlaceView {
    scope: String,
    href: String,
    value: String,
    /// The source of the value, if it is not the scope itself.
    from: &'static str,
    met: bool,
}

struct FindingView {
    ok: bool,
    title: &'static str,
    why: String,
    key: Option<&'static str>,
}

/// The query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct PostureQuery {
    /// Id of the baseline to show as a table, scope by scope.
    table: String,
}

/// `GET /admin/policy/posture`
pub async fn show(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    query: Query<PostureQuery>,
) -> Result<HttpResponse, PageError> {
    let seen = posture::posture(&ctx).await?;
    let shell = Shell::admin(&req, &ctx, &admin, "Policy posture", "policy").await?;
    if !query.0.table.is_empty() {
        let baseline = Baseline::find(&query.0.table).ok_or(PageError::NotFound)?;
        return render_page(StatusCode::OK, &PostureTablePage::new(shell, &seen, baseline));
    }
    render_page(StatusCode::OK, &view(shell, &seen))
}

/// The baseline that a draft should meet.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct BaselineDraftForm {
    baseline: String,
    /// A setting; empty: all settings that do not meet the baseline.
    item: String,
}

/// `POST /admin/policy/posture`: creates a draft that meets a baseline, or one item of it. Nothing
/// is in force yet.
pub async fn draft(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    admin: Admin,
    form: Form<BaselineDraftForm>,
) -> Result<HttpResponse, PageError> {
    let wanted = form.0;
    let baseline = Baseline::find(&wanted.baseline)
        .ok_or_else(|| PageError::BadRequest(format!("There is no baseline “{}”.", wanted.baseline)))?;
    let current = policy::in_force(&ctx).await?;
    let judged = &current.in_force.policy;
    let asked = check(baseline, judged);
    let missed = asked
        .iter()
        .filter(|checked| !checked.met() && (wanted.item.is_empty() || checked.item.key.name() == wanted.item));
    let edits = remedy(missed, judged).into_iter();
    let proposal = Proposal {
        into: None,
        base: current.revision.revision,
        kind: if wanted.item.is_empty() {
            SaveKind::Baseline {
                id: baseline.id.to_owned(),
            }
        } else {
            SaveKind::Saved
        },
        edits: edits.map(|(scope, key, value)| Edit { scope, key, value }).collect(),
        reason: format!("towards {}", baseline.title),
        notes: Vec::new(),
    };
    match policy::propose(&ctx, &admin.0.initiator, proposal).await? {
        ProposalOutcome::Draft(id) => Ok(redirect_to(&review_href(id))),
        ProposalOutcome::Unchanged => Ok(redirect(
            &req,
            paths::ADMIN_POLICY_POSTURE,
            &Flash::info("The current policy already meets this, or the environment pins it."),
        )),
        ProposalOutcome::Faulty(faults) => {
            let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
            let words = format!("No draft was created: {}.", faults.join("; "));
            Ok(redirect(&req, paths::ADMIN_POLICY_POSTURE, &Flash::error(words)))
        }
    }
}

fn view(shell: Shell, seen: &Posture) -> PosturePage {
    let item = |checked: &ItemFinding| item_view(checked, seen);
    let baselines = seen.baselines.iter().map(|(baseline, checked)| {
        let (kept, missed): (Vec<_>, Vec<_>) = checked.iter().partition(|checked| checked.met());
        BaselineView {
            id: baseline.id,
            title: baseline.title,
            source: baseline.source,
            summary: baseline.summary,
            met: kept.len(),
            draftable: !remedy(missed.iter().copied(), &seen.policy).is_empty(),
            missed: missed.into_iter().map(item).collect(),
            kept: kept.into_iter().map(item).collect(),
        }
    });
    let installation = seen.installation.iter().map(|finding| FindingView {
        ok: finding.ok,
        title: finding.title,
        why: finding.why.clone(),
        key: finding.key.map(|key| key.name()),
    });
    PosturePage {
        shell,
        revision: seen.policy.revision(),
        baselines: baselines.collect(),
        installation: installation.collect(),
        open: seen.installation.iter().filter(|finding| !finding.ok).count(),
    }
}

fn item_view(checked: &ItemFinding, seen: &Posture) -> ItemView {
    let setting = checked.item.key.setting();
    ItemView {
        key: setting.name,
        label: setting.label,
        asked_by: checked.item.asked_by,
        why: checked.item.why,
        wants: checked.item.accepts.describe(setting),
        places: checked.places.iter().map(|place| place_view(checked, place)).collect(),
        draftable: !remedy([checked], &seen.policy).is_empty(),
    }
}

fn place_view(checked: &ItemFinding, place: &ScopedValue) -> PlaceView {
    let setting = checked.item.key.setting();
    PlaceView {
        scope: place.scope.label(),
        href: editor::anchor(&place.scope, checked.item.key),
        value: setting.display(&place.value),
        from: match (&place.source, &place.scope) {
            (Source::Default, _) => "the default",
            (Source::Pinned, _) => "pinned by environment",
            (Source::Mode(_), _) => "from the validation mode",
            (Source::SetIn(_), Scope::Everyone | Scope::Administrators | Scope::Application(_)) => "",
        },
        met: place.met,
    }
}
