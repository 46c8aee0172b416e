//! `POST /admin/accounts/bulk`: one act for the selected accounts, or for all that match. What it would do is shown with its number first.
use super::asked::Asked;
use super::view::{BulkDonePage, BulkPage};
use crate::domain::account::AccountId;
use crate::domain::account::profile::check_profile;
use crate::flows::Ctx;
use crate::flows::accounts::{self, BulkAct, BulkDone, Chosen, LeftOut};
use crate::http::error::PageError;
use crate::http::filters::counted;
use crate::http::flash::{Flash, redirect};
use crate::http::forms::Form;
use crate::http::pages::admin::list::{back, readable};
use crate::http::pages::admin::part::Choice;
use crate::http::pages::{Shell, page};
use crate::http::paths;
use crate::http::step_up::{Confirmed, Critical};
use crate::http::visitor::Admin;
use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use serde::Deserialize;
use uuid::Uuid;

/// More than this, or for good: the number must be typed.
const TYPED_FROM: i64 = 25;
/// Names that the page lists; the others are counted.
const NAMED: i64 = 20;

const ACTS: [(&str, &str); 9] = [
    ("", "Choose…"),
    ("disable", "Disable"),
    ("enable", "Enable"),
    ("force-change", "Force a password change"),
    ("end-sessions", "End sessions"),
    ("expire", "Expire now"),
    ("add-group", "Add to group"),
    ("remove-group", "Remove from group"),
    ("delete", "Delete"),
];

/// The acts, for the list's form.
pub fn choices() -> Vec<Choice> {
    Choice::list(ACTS, "")
}

/// The form of the list and of the confirm page.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Ask {
    id: Vec<String>,
    /// `selected` or `matching`.
    what: String,
    act: String,
    group: String,
    confirmed: String,
    /// The number shown, and the number typed.
    shown: String,
    typed: String,
    /// The list's query; of `matching` it is the filter.
    back: String,
}

impl Critical for Ask {
    /// What throws somebody out, or only asks for more care, is never held up.
    fn is_critical(&self) -> bool {
        !["end-sessions", "force-change"].contains(&self.act.as_str())
    }
}

impl Ask {
    /// What is to be done, or why it cannot be.
    fn act(&self) -> Result<BulkAct, String> {
        let group = || {
            let mut faults = Vec::new();
            let profile = check_profile("", "", std::slice::from_ref(&self.group), &mut faults);
            match (profile.groups.into_iter().next(), faults.pop()) {
                (Some(group), None) => Ok(group),
                (_, Some((_, message))) => Err(message),
                (None, None) => Err("Write the name of a group.".to_owned()),
            }
        };
        Ok(match self.act.as_str() {
            "disable" => BulkAct::Disable,
            "enable" => BulkAct::Enable,
            "force-change" => BulkAct::ForceChange,
            "end-sessions" => BulkAct::EndSessions,
            "expire" => BulkAct::ExpireNow,
            "delete" => BulkAct::Delete,
            "add-group" => BulkAct::AddGroup(group()?),
            "remove-group" => BulkAct::RemoveGroup(group()?),
            _ => return Err("Choose what to do with them.".to_owned()),
        })
    }

    fn asked(&self) -> Result<Asked, PageError> {
        let asked: Asked = serde_html_form::from_str(&self.back)
            .map_err(|_| PageError::BadRequest("The filter cannot be read.".to_owned()))?;
        readable(asked.faults())?;
        Ok(asked)
    }

    fn chosen(&self) -> Result<Chosen, PageError> {
        if self.what == "matching" {
            return Ok(Chosen::Matching(self.asked()?.filter()));
        }
        let id = |text: &String| Uuid::parse_str(text).map(AccountId).map_err(|_| PageError::NotFound);
        Ok(Chosen::These(self.id.iter().map(id).collect::<Result<_, _>>()?))
    }

    fn way_back(&self) -> String {
        back(paths::ADMIN_ACCOUNTS, &self.back)
    }
}

pub async fn submit(
    req: HttpRequest,
    ctx: web::Data<Ctx>,
    Confirmed(admin, ask): Confirmed<Admin, Form<Ask>>,
) -> Result<HttpResponse, PageError> {
    let ask = ask.0;
    let back_to_the_list = |message: &str| Ok(redirect(&req, &ask.way_back(), &Flash::info(message)));
    let act = match ask.act() {
        Ok(act) => act,
        Err(message) => return back_to_the_list(&message),
    };
    let chosen = ask.chosen()?;
    let (named, count) = accounts::chosen(&ctx, &admin.0.acting, chosen.clone(), &act, NAMED).await?;
    if count == 0 {
        let none = if ask.what == "matching" {
            "No other account matches."
        } else if ask.id.is_empty() {
            "No account was selected."
        } else {
            "Your own account is left as it is: another administrator can do that."
        };
        return back_to_the_list(none);
    }
    let typed = count > TYPED_FROM || act == BulkAct::Delete;
    let faults = confirmation(&ask, count, typed);
    if ask.confirmed.is_empty() || !faults.is_empty() {
        let names: Vec<String> = named.into_iter().map(|account| account.name).collect();
        let status = if faults.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::UNPROCESSABLE_ENTITY
        };
        let view = BulkPage {
            shell: Shell::admin(&req, &ctx, &admin, "Accounts", "accounts").await?,
            button: button(&act, count),
            hint: hint(&act),
            danger: is_danger(&act),
            count,
            more: count - i64::try_from(names.len()).unwrap_or(0),
            names,
            filter: if ask.what == "matching" {
                ask.asked()?.words()
            } else {
                Vec::new()
            },
            hidden: hidden(&ask, count),
            typed,
            faults,
            back: ask.way_back(),
        };
        return page(status, &view);
    }
    let done = accounts::act_on_all(&ctx, &admin.0.acting, chosen, act.clone()).await?;
    let said = said(&act, &done);
    if done.left_out.is_empty() {
        return Ok(redirect(&req, &ask.way_back(), &Flash::ok(said)));
    }
    let view = BulkDonePage {
        shell: Shell::admin(&req, &ctx, &admin, "Accounts", "accounts").await?,
        said,
        left_out: done
            .left_out
            .into_iter()
            .map(|(id, name, why)| (format!("{}/{}", paths::ADMIN_ACCOUNTS, id.0), name, why_words(why)))
            .collect(),
        back: ask.way_back(),
    };
    page(StatusCode::OK, &view)
}

/// What is missing before it is done.
fn confirmation(ask: &Ask, count: i64, typed: bool) -> Vec<(String, String)> {
    let fault = |message: String| vec![("typed".to_owned(), message)];
    if ask.confirmed.is_empty() {
        Vec::new()
    } else if ask.shown != count.to_string() {
        fault(format!("Meanwhile it is {}: look again.", counted(count, "account")))
    } else if typed && ask.typed.trim() != count.to_string() {
        fault(format!("Type {count} to confirm."))
    } else {
        Vec::new()
    }
}

fn hidden(ask: &Ask, count: i64) -> Vec<(String, String)> {
    let fields = [
        ("what", ask.what.clone()),
        ("act", ask.act.clone()),
        ("group", ask.group.clone()),
        ("back", ask.back.clone()),
        ("shown", count.to_string()),
        ("confirmed", "yes".to_owned()),
    ];
    let ids = ask.id.iter().map(|id| ("id", id.clone()));
    let ids = ids.filter(|_| ask.what != "matching");
    fields
        .into_iter()
        .chain(ids)
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn button(act: &BulkAct, count: i64) -> String {
    let accounts = counted(count, "account");
    match act {
        BulkAct::Disable => format!("Disable {accounts}"),
        BulkAct::Enable => format!("Enable {accounts}"),
        BulkAct::ForceChange => format!("Force a password change of {accounts}"),
        BulkAct::EndSessions => format!("End the sessions of {accounts}"),
        BulkAct::ExpireNow => format!("Expire {accounts}"),
        BulkAct::Delete => format!("Delete {accounts}"),
        BulkAct::AddGroup(group) => format!("Add {accounts} to {group}"),
        BulkAct::RemoveGroup(group) => format!("Remove {accounts} from {group}"),
    }
}

const fn hint(act: &BulkAct) -> &'static str {
    match act {
        BulkAct::Disable => "They are signed out everywhere and stay out until they are enabled again.",
        BulkAct::Enable => "They can sign in again, expired ones too; their clocks start anew.",
        BulkAct::ForceChange => "Nothing else opens for them until they have changed their passwords.",
        BulkAct::EndSessions => "They are signed out at once, in every application; they can sign in again.",
        BulkAct::ExpireNow => "They are signed out and stay out until somebody re-activates them.",
        BulkAct::Delete => "Their sessions end; the audit keeps their names. This cannot be undone.",
        BulkAct::AddGroup(_) | BulkAct::RemoveGroup(_) => {
            "Applications that ask for the group see it from their next request on."
        }
    }
}

const fn is_danger(act: &BulkAct) -> bool {
    match act {
        BulkAct::Disable | BulkAct::EndSessions | BulkAct::ExpireNow | BulkAct::Delete => true,
        BulkAct::Enable | BulkAct::ForceChange | BulkAct::AddGroup(_) | BulkAct::RemoveGroup(_) => false,
    }
}

fn said(act: &BulkAct, done: &BulkDone) -> String {
    let count = |count: usize, noun: &str| counted(i64::try_from(count).unwrap_or(i64::MAX), noun);
    let accounts = count(done.done, "account");
    let mut said = match act {
        BulkAct::Disable => format!("{accounts} disabled."),
        BulkAct::Enable => format!("{accounts} enabled."),
        BulkAct::ForceChange => format!("The passwords of {accounts} must be changed."),
        BulkAct::EndSessions => format!("{accounts} signed out."),
        BulkAct::ExpireNow => format!("{accounts} expired."),
        BulkAct::Delete => format!("{accounts} deleted."),
        BulkAct::AddGroup(group) => format!("{accounts} added to {group}."),
        BulkAct::RemoveGroup(group) => format!("{accounts} removed from {group}."),
    };
    if done.ended > 0 {
        said.push_str(&format!(" {} ended.", count(done.ended, "session")));
    }
    if done.already > 0 {
        said.push_str(&format!(" Nothing to do for {}.", count(done.already, "account")));
    }
    said
}

const fn why_words(why: LeftOut) -> &'static str {
    match why {
        LeftOut::LastAdministrator => "the last administrator who can sign in: make another one first",
        LeftOut::Yourself => "your own account; another administrator can do that",
        LeftOut::Faulty => "its fields are not accepted as they are",
    }
}
