//! `POST /admin/accounts/bulk`: one action on the selected accounts, or on all that match. A page
//! shows the effect and the number of accounts first.
use super::{
    long_action::{self, ActionResult},
    query::AccountListQuery,
    view::BulkPage,
};
use crate::{
    domain::account::{AccountId, profile::check_profile},
    flows::{
        Ctx, FlowError,
        accounts::{self, AccountSelection, BulkAction, BulkOutcome, SkipReason},
    },
    http::{
        error::PageError,
        filters::format_count,
        flash::{Flash, redirect},
        form_key::parse_key,
        forms::Form,
        pages::admin::{
            form_answer::{FormAnswer, wait_for_result},
            list::{ListQuery, return_address},
            once::{self, Once},
            part::Choice,
        },
        paths,
        respond::render_page,
        shell::Shell,
        step_up::{ConfirmedVisitor, CriticalForm, proof_fields},
        visitor::Admin,
    },
    live::long_actions::LongAction,
};
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use std::sync::Arc;
use uuid::Uuid;

/// For more accounts, or a permanent action, the number must be typed.
const TYPED_FROM: i64 = 25;
/// Maximum number of names that the page lists; others are counted.
const NAMED: i64 = 20;

const ACTS: [(&str, &str); 10] = [
    ("", "Choose…"),
    ("disable", "Disable"),
    ("enable", "Enable"),
    ("force-change", "Require a password change"),
    ("end-sessions", "End sessions"),
    ("expire", "Expire now"),
    ("add-group", "Add to group"),
    ("remove-group", "Remove from group"),
    ("enrolment-link", "Email an enrolment link"),
    ("delete", "Delete"),
];

/// Returns the actions, for the list's form.
pub fn choices() -> Vec<Choice> {
    Choice::list(ACTS, "")
}

/// The form of the list and of the confirm page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct BulkForm {
    id: Vec<String>,
    /// `selected` or `matching`.
    what: String,
    act: String,
    group: String,
    confirmed: String,
    /// The number that was shown, and the number typed.
    shown: String,
    typed: String,
    /// The list's query; for `matching` it is the filter.
    back: String,
    /// Identifies the action, so that a second click does not repeat it.
    key: String,
}

impl CriticalForm for BulkForm {
    /// The confirmation page itself changes nothing, and an end of chosen people's sessions is
    /// never delayed.
    fn is_critical(&self) -> bool {
        match self.act() {
            Ok(BulkAction::EndSessions) => !self.confirmed.is_empty() && self.what == "matching",
            Ok(_) => !self.confirmed.is_empty(),
            Err(_) => true,
        }
    }

    fn only_ends_sessions(&self) -> bool {
        self.act() == Ok(BulkAction::EndSessions)
    }
}

impl BulkForm {
    /// Returns the action, or why it is invalid.
    fn act(&self) -> Result<BulkAction, String> {
        let group = || {
            let mut faults = Vec::new();
            let profile = check_profile("", "", std::slice::from_ref(&self.group), &mut faults);
            match (profile.groups.into_iter().next(), faults.pop()) {
                (Some(group), None) => Ok(group),
                (_, Some((_, message))) => Err(message),
                (None, None) => Err("Enter the name of a group.".to_owned()),
            }
        };
        Ok(match self.act.as_str() {
            "disable" => BulkAction::Disable,
            "enable" => BulkAction::Enable,
            "force-change" => BulkAction::ForceChange,
            "end-sessions" => BulkAction::EndSessions,
            "expire" => BulkAction::ExpireNow,
            "delete" => BulkAction::Delete,
            "enrolment-link" => BulkAction::EnrolmentLink,
            "add-group" => BulkAction::AddGroup(group()?),
            "remove-group" => BulkAction::RemoveGroup(group()?),
            _ => return Err("Choose an action.".to_owned()),
        })
    }

    /// Returns whether the number was shown, and typed if that is required for it.
    fn is_confirmed(&self) -> bool {
        let (shown, typed) = (self.shown.trim(), self.typed.trim());
        let is_few = shown.parse().is_ok_and(|shown: i64| shown <= TYPED_FROM);
        !self.confirmed.is_empty() && (shown == typed || (typed.is_empty() && is_few))
    }

    fn list_query(&self) -> Result<AccountListQuery, PageError> {
        let list_query: AccountListQuery = serde_html_form::from_str(&self.back)
            .map_err(|_| PageError::BadRequest("The filter cannot be read.".to_owned()))?;
        list_query.check()?;
        Ok(list_query)
    }

    fn selection(&self) -> Result<AccountSelection, PageError> {
        if self.what == "matching" {
            return Ok(AccountSelection::Matching(self.list_query()?.filter()));
        }
        let id = |text: &String| Uuid::parse_str(text).map(AccountId).map_err(|_| PageError::NotFound);
        Ok(AccountSelection::These(
            self.id.iter().map(id).collect::<Result<_, _>>()?,
        ))
    }

    fn return_url(&self) -> String {
        return_address(paths::ADMIN_ACCOUNTS, &self.back)
    }
}

/// `POST /admin/accounts/bulk`: shows the effect of the action, then performs it once it is
/// confirmed.
pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    ConfirmedVisitor(admin, form): ConfirmedVisitor<Admin, Form<BulkForm>>,
) -> Result<HttpResponse, PageError> {
    let form = form.0;
    let back_to_the_list = |message: &str| Ok(redirect(&req, &form.return_url(), &Flash::info(message)));
    let act = match form.act() {
        Ok(act) => act,
        Err(message) => return back_to_the_list(&message),
    };
    if act != BulkAction::EndSessions {
        admin.0.looked_up()?;
    }
    let key = parse_key(&form.key).filter(|_| !form.confirmed.is_empty());
    if let Some(response) = answer_earlier(&req, &ctx, &admin, key).await? {
        return Ok(response);
    }
    let chosen = form.selection()?;
    let found = accounts::find_selected(&ctx, &admin.0.initiator, chosen.clone(), &act, NAMED).await;
    if matches!(found, Err(FlowError::Unavailable(_))) && act == BulkAction::EndSessions && form.is_confirmed() {
        return Err(accounts::hold_ends_of(&ctx, &admin.0.initiator, &chosen).into());
    }
    let (named, count) = found?;
    if count == 0 {
        let none = if form.what == "matching" {
            "No other account matches."
        } else if form.id.is_empty() {
            "No account was selected."
        } else {
            "Your own account was skipped: another administrator can do that."
        };
        return back_to_the_list(none);
    }
    let faults = confirmation(&form, count, must_type_count(&act, count));
    if form.confirmed.is_empty() || !faults.is_empty() {
        let names = named.into_iter().map(|account| account.name).collect();
        let view = question(&req, &ctx, &admin, &form, &act, (names, count), faults).await?;
        let status = match view.faults.is_empty() {
            true => StatusCode::OK,
            false => StatusCode::UNPROCESSABLE_ENTITY,
        };
        return render_page(status, &view);
    }
    let key = key.unwrap_or_else(|| ctx.new_id(ctx.now()));
    let title = button_label(&act, count);
    perform(&req, &ctx, &admin, (key, &title), (chosen, act, form.return_url())).await
}

/// Answers a form whose action was started before: what it would do now is not what it did.
async fn answer_earlier(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    key: Option<Uuid>,
) -> Result<Option<HttpResponse>, PageError> {
    let Some(key) = key else {
        return Ok(None);
    };
    if let Some(begun) = ctx.live.long_actions.find(admin.0.account, key, ctx.now()) {
        let once = once::join(&begun).await;
        return long_action::answer_once(req, ctx, admin, key, once).await.map(Some);
    }
    match wait_for_result(ctx, long_action::submission(admin, key)).await {
        Ok(Some(kept)) => long_action::show_kept(req, ctx, admin, key, kept).await.map(Some),
        // An end of sessions is not delayed by a database that does not answer.
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Performs the action once, and responds with its result or its progress.
async fn perform(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    (key, title): (Uuid, &str),
    (chosen, act, back): (AccountSelection, BulkAction, String),
) -> Result<HttpResponse, PageError> {
    let submission = long_action::submission(admin, key);
    let done = act.clone();
    let describe = move |outcome: &BulkOutcome| answer_done(&done, outcome, &back);
    let keep = describe.clone();
    let keep = move |outcome: &BulkOutcome| keep(outcome).to_outcome();
    let work = ctx.performing(submission, req.path(), keep);
    let initiator = admin.0.initiator.clone();
    let carry_out = |begun: Arc<LongAction>| async move {
        let note_progress = |done, total| begun.note_progress(done, total);
        let done = accounts::act_on_all_observed(&work, &initiator, chosen, act, &note_progress).await?;
        Ok(ActionResult::Bulk(describe(&done)))
    };
    let once = once::run_once(ctx, admin, (key, title), carry_out).await;
    if matches!(&once, Once::Done { result, .. } if result.is_err())
        && let Ok(Some(kept)) = wait_for_result(ctx, submission).await
    {
        return long_action::show_kept(req, ctx, admin, key, kept).await;
    }
    long_action::answer_once(req, ctx, admin, key, once).await
}

fn answer_done(act: &BulkAction, done: &BulkOutcome, back: &str) -> FormAnswer {
    let line = |(id, name, why): &(AccountId, String, SkipReason)| {
        let href = format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0);
        (href, name.clone(), describe_reason(*why).to_owned())
    };
    FormAnswer {
        skipped: done.skipped.iter().map(line).collect(),
        ..FormAnswer::new(back, Flash::ok(describe_done(act, done)))
    }
}

/// Renders the confirmation page: the action, the accounts and their number.
async fn question(
    req: &HttpRequest,
    ctx: &Ctx,
    admin: &Admin,
    form: &BulkForm,
    act: &BulkAction,
    (names, count): (Vec<String>, i64),
    faults: Vec<(String, String)>,
) -> Result<BulkPage, PageError> {
    let asks_proof = !matches!(act, BulkAction::EndSessions | BulkAction::ForceChange);
    Ok(BulkPage {
        shell: Shell::admin(req, ctx, admin, "Accounts", "accounts").await?,
        proof: asks_proof
            .then(|| proof_fields(admin, ctx, &form.return_url()))
            .flatten(),
        button: button_label(act, count),
        hint: hint(act),
        danger: is_danger(act),
        count,
        more: count - i64::try_from(names.len()).unwrap_or(0),
        names,
        filter: if form.what == "matching" {
            form.list_query()?.describe()
        } else {
            Vec::new()
        },
        hidden: hidden_fields(form, count, ctx.new_id(ctx.now())),
        typed: must_type_count(act, count),
        faults,
        back: form.return_url(),
    })
}

/// Returns whether the number of accounts must be typed: for many accounts, or a permanent action.
fn must_type_count(act: &BulkAction, count: i64) -> bool {
    count > TYPED_FROM || *act == BulkAction::Delete
}

/// Returns what is missing before the action is performed.
fn confirmation(form: &BulkForm, count: i64, typed: bool) -> Vec<(String, String)> {
    let fault = |message: String| vec![("typed".to_owned(), message)];
    if form.confirmed.is_empty() {
        Vec::new()
    } else if form.shown != count.to_string() {
        fault(format!(
            "There are now {}. Check again.",
            format_count(count, "account")
        ))
    } else if typed && form.typed.trim() != count.to_string() {
        fault(format!("Type {count} to confirm."))
    } else {
        Vec::new()
    }
}

fn hidden_fields(form: &BulkForm, count: i64, key: Uuid) -> Vec<(String, String)> {
    let fields = [
        ("what", form.what.clone()),
        ("act", form.act.clone()),
        ("group", form.group.clone()),
        ("back", form.back.clone()),
        ("shown", count.to_string()),
        ("confirmed", "yes".to_owned()),
        ("key", key.to_string()),
    ];
    let ids = form.id.iter().map(|id| ("id", id.clone()));
    let ids = ids.filter(|_| form.what != "matching");
    fields
        .into_iter()
        .chain(ids)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn button_label(act: &BulkAction, count: i64) -> String {
    let accounts = format_count(count, "account");
    match act {
        BulkAction::Disable => format!("Disable {accounts}"),
        BulkAction::Enable => format!("Enable {accounts}"),
        BulkAction::ForceChange => format!("Require a password change for {accounts}"),
        BulkAction::EndSessions => format!("End the sessions of {accounts}"),
        BulkAction::ExpireNow => format!("Expire {accounts}"),
        BulkAction::Delete => format!("Delete {accounts}"),
        BulkAction::AddGroup(group) => format!("Add {accounts} to {group}"),
        BulkAction::RemoveGroup(group) => format!("Remove {accounts} from {group}"),
        BulkAction::EnrolmentLink => format!("Email enrolment links to {accounts}"),
    }
}

const fn hint(act: &BulkAction) -> &'static str {
    match act {
        BulkAction::Disable => "Ends all their sessions and blocks sign-in until they are enabled again.",
        BulkAction::Enable => "They can sign in again, including expired ones; expiry restarts.",
        BulkAction::ForceChange => "They must choose a new password before anything else opens.",
        BulkAction::EndSessions => "They are signed out immediately, in every application. They can sign in again.",
        BulkAction::ExpireNow => "Ends all their sessions and blocks sign-in until they are reactivated.",
        BulkAction::Delete => "Ends their sessions. The audit keeps their names. This cannot be undone.",
        BulkAction::EnrolmentLink => {
            "Lets each owner enrol a second factor; a link works once, for 72 hours. Accounts that have one are left \
                 out."
        }
        BulkAction::AddGroup(_) | BulkAction::RemoveGroup(_) => {
            "Applications that check the group see the change on the next request."
        }
    }
}

const fn is_danger(act: &BulkAction) -> bool {
    match act {
        BulkAction::Disable | BulkAction::EndSessions | BulkAction::ExpireNow | BulkAction::Delete => true,
        BulkAction::Enable
        | BulkAction::ForceChange
        | BulkAction::AddGroup(_)
        | BulkAction::RemoveGroup(_)
        | BulkAction::EnrolmentLink => false,
    }
}

fn describe_done(act: &BulkAction, done: &BulkOutcome) -> String {
    let count = |count: usize, noun: &str| format_count(i64::try_from(count).unwrap_or(i64::MAX), noun);
    let accounts = count(done.done, "account");
    let mut summary = match act {
        BulkAction::Disable => format!("{accounts} disabled."),
        BulkAction::Enable => format!("{accounts} enabled."),
        BulkAction::ForceChange => format!("{accounts} must change the password."),
        BulkAction::EndSessions => format!("{accounts} signed out."),
        BulkAction::ExpireNow => format!("{accounts} expired."),
        BulkAction::Delete => format!("{accounts} deleted."),
        BulkAction::AddGroup(group) => format!("{accounts} added to {group}."),
        BulkAction::RemoveGroup(group) => format!("{accounts} removed from {group}."),
        BulkAction::EnrolmentLink => format!("Enrolment links were sent to {accounts}."),
    };
    if done.ended > 0 {
        summary.push_str(&format!(" {} ended.", count(done.ended, "session")));
    }
    if done.already > 0 {
        summary.push_str(&format!(" No change for {}.", count(done.already, "account")));
    }
    summary
}

const fn describe_reason(why: SkipReason) -> &'static str {
    match why {
        SkipReason::LastAdministrator => "the last administrator who can sign in; create another one first",
        SkipReason::Yourself => "your own account; another administrator can do that",
        SkipReason::Managed => "managed by its source; change it there",
        SkipReason::Faulty => "its data is not valid",
        SkipReason::NoAddress => "no email address",
        SkipReason::Unusable => "disabled or expired; enable it first",
        SkipReason::HasFactor => "has a second factor already; reset its factors first if they are lost",
    }
}
