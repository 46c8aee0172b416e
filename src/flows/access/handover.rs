//! Carrying a session over to the host of an application beyond the cookie domain: a one-time code, bound to the browser that asked
//! for it there, becomes an id of the same session that counts on that host alone. How browsers get from host to host is `http`'s.

use super::{
    super::{Acting, Ctx, FlowError, PURGED},
    Admitted, judge_row,
    verify::denied,
    with_entered,
};
use crate::{
    domain::{
        activity::RequestKind,
        application::{Application, Applications, Target},
        audit::{Actor, Entry, Event, Origin},
        network,
        secret::{self, Secret},
        session::{RequestFacts, SessionId, Verdict},
        time::{Span, Timestamp},
    },
    live::{policy::InForce, sessions::LiveSession},
    store::{
        Conn, StoreError,
        accounts::{self, Account},
        handovers::{self, Bound, Handover},
        sessions::{self, Token},
    },
};
use std::{net::IpAddr, sync::Arc};

/// How long a code is good, inclusive.
const VALID: Span = Span::from_secs(30);
/// Codes of one session within that time: enough for the tabs that a browser opens at its start. More is a browser going round in
/// circles, because it keeps no cookie there.
const MOST: i64 = 32;
/// Arrivals of one browser's tabs so close together keep the ids that each was given; an older id of that host dies with a new arrival,
/// whose cookie has taken its place.
const TOGETHER: Span = Span::from_secs(60);

/// The browser on its way.
#[derive(Debug, Clone)]
pub struct Traveller {
    /// Where it goes, as tokens name it.
    pub host: String,
    /// Digest of what it holds there, from before it set out.
    pub nonce: String,
    pub ip: IpAddr,
    pub user_agent: Option<String>,
}

/// What the sign-in host gives it.
pub enum Issued {
    Code(Secret),
    /// Neither role nor group may enter.
    NotAllowed,
    /// Too many within a moment.
    TooMany,
    /// No application answers there (any more).
    Unknown,
}

/// What the application's host makes of the code.
pub enum Redeemed {
    Carried(Box<Carried>),
    /// Unknown, used, run out, or another's; or its session has ended.
    Refused,
    NotAllowed,
}

/// A session that has an id of its own on a host now.
pub struct Carried {
    pub account: Account,
    pub signed_in_at: Timestamp,
    pub token: Secret,
    pub return_to: String,
}

/// A code for a live session, for whoever may enter where `return_to` leads.
pub async fn hand_over(
    ctx: &Ctx,
    admitted: &Admitted,
    traveller: &Traveller,
    return_to: &str,
    origin: Origin,
) -> Result<Issued, FlowError> {
    let applications = ctx.current_applications().await?;
    let Ok(page) = Target::of_url(return_to) else {
        return Ok(Issued::Unknown);
    };
    let Some(application) = applications.of_page(&page) else {
        return Ok(Issued::Unknown);
    };
    if !application.admits(admitted.account.role, &admitted.account.groups) {
        if admitted.session.may_record_denial(ctx.now()) {
            denied(ctx, admitted, &application, &page, origin).await?;
        }
        return Ok(Issued::NotAllowed);
    }
    let (now, code) = (ctx.now(), secret::token(ctx.random_bytes()));
    let handover = Handover {
        bound: bound(ctx.current_policy().await?.as_ref(), traveller, &code),
        session: admitted.session.id(),
        return_to: return_to.to_owned(),
        issued_at: now,
        expires_at: now.saturating_add(VALID),
    };
    let account = admitted.account.id;
    let issued = ctx
        .store
        .write(move |c| {
            sessions::lock_account_sessions(c, account)?;
            let room = handovers::count_since(c, handover.session, now.saturating_sub(VALID))? < MOST;
            if room {
                handovers::insert(c, &handover)?;
            }
            Ok::<_, StoreError>(room)
        })
        .await?;
    Ok(if issued { Issued::Code(code) } else { Issued::TooMany })
}

fn bound(in_force: &InForce, traveller: &Traveller, code: &Secret) -> Bound {
    Bound {
        digest: secret::digest(code.expose()),
        host: traveller.host.clone(),
        nonce: traveller.nonce.clone(),
        user_agent: traveller.user_agent.clone().unwrap_or_default(),
        network: network::session_network(traveller.ip, in_force.everyone().validation.subnet_bits),
    }
}

/// The arrival of a browser with a code, owned so that it can go where the write is.
struct Arrival {
    bound: Bound,
    traveller: Traveller,
    cookie_form: String,
    applications: Arc<Applications>,
    in_force: Arc<InForce>,
    origin: Origin,
    now: Timestamp,
}

/// Uses the code up. `cookie_form`: how the id's cookie will be issued.
pub async fn redeem(
    ctx: &Ctx,
    code: &Secret,
    traveller: Traveller,
    cookie_form: String,
    origin: Origin,
) -> Result<Redeemed, FlowError> {
    let in_force = ctx.current_policy().await?;
    let arrival = Arrival {
        bound: bound(&in_force, &traveller, code),
        traveller,
        cookie_form,
        applications: ctx.current_applications().await?,
        in_force,
        origin,
        now: ctx.now(),
    };
    let flow = ctx.clone();
    let (redeemed, session) = ctx.store.write(move |c| flow.redeem_in(c, &arrival)).await?;
    if let Some(session) = session {
        ctx.live.sessions.forget(session);
    }
    Ok(redeemed)
}

/// Codes that ran out a while ago.
pub async fn forget_old_handovers(ctx: &Ctx) -> Result<(), FlowError> {
    let before = ctx.now().saturating_sub(VALID);
    ctx.store.write(move |c| handovers::purge(c, before, PURGED)).await?;
    Ok(())
}

type Outcome = (Redeemed, Option<SessionId>);

impl Ctx {
    /// The code is used up whatever follows; the session and its account are looked at as they are now.
    fn redeem_in(&self, c: &mut Conn, arrival: &Arrival) -> Result<Outcome, StoreError> {
        let Some((id, return_to)) = handovers::redeem(c, &arrival.bound, arrival.now)? else {
            return Ok((Redeemed::Refused, None));
        };
        let Some(account) = sessions::find(c, id)?.map(|session| session.account_id) else {
            return Ok((Redeemed::Refused, None));
        };
        sessions::lock_account_sessions(c, account)?;
        let (Some(session), Some(account)) = (sessions::find(c, id)?, accounts::find(c, account)?) else {
            return Ok((Redeemed::Refused, None));
        };
        let page = Target::of_url(&return_to).ok();
        let Some(application) = page.and_then(|page| arrival.applications.of_page(&page)) else {
            return Ok((Redeemed::Refused, None));
        };
        if !application.admits(account.role, &account.groups) {
            return Ok((Redeemed::NotAllowed, None));
        }
        let known = self.live.sessions.get_by_id(id).map(|known| known.life());
        let session = LiveSession::from_row(session, known);
        let token = secret::token(self.random_bytes());
        let row = arrival.token(&token);
        if !arrival.finds_live(&session, &row, &account, &application) {
            return Ok((Redeemed::Refused, None));
        }
        let outlived = arrival.now.saturating_sub(TOGETHER);
        sessions::kill_tokens_of_host(c, id, &row.host, outlived, arrival.now)?;
        sessions::add_token(c, id, &row)?;
        self.record(c, arrival.now, &self.carried(arrival, &session, &account, &application))?;
        let carried = Carried {
            signed_in_at: session.row.signed_in_at,
            account,
            token,
            return_to,
        };
        Ok((Redeemed::Carried(Box::new(carried)), Some(id)))
    }

    /// `session.handed_over`, with the application on whose host it is known now too.
    fn carried(&self, arrival: &Arrival, session: &LiveSession, account: &Account, application: &Application) -> Entry {
        let acting = Acting {
            actor: Actor::Account {
                id: account.id,
                name: account.name.clone(),
            },
            origin: arrival.origin.clone(),
            session: Some(session.id()),
        };
        let detail = serde_json::json!({ "host": arrival.traveller.host });
        Entry {
            application: Some(application.name.clone()),
            ..self.entry_of(
                &acting,
                Event::SessionHandedOver,
                Some((account.id, &account.name)),
                detail,
            )
        }
    }
}

impl Arrival {
    fn token(&self, token: &Secret) -> Token {
        Token {
            digest: secret::digest(token.expose()),
            host: self.traveller.host.clone(),
            issued_at: self.now,
            rotated: None,
            killed_at: None,
            cookie_form: self.cookie_form.clone(),
            rotation_due: false,
        }
    }

    /// Whether the session is live at the application's door, and nothing comes before it. What else the verdict asks for waits for
    /// the request that follows.
    fn finds_live(&self, session: &LiveSession, token: &Token, account: &Account, application: &Application) -> bool {
        let entered = with_entered(&session.row.applications, Some(application));
        let policy = self
            .in_force
            .effective(account.role, &entered, Some(application.name.as_str()));
        let request = RequestFacts {
            ip: self.traveller.ip,
            user_agent: self.traveller.user_agent.as_deref(),
            kind: RequestKind {
                check: true,
                ..RequestKind::default()
            },
        };
        let expired = account.expires_at.is_some_and(|at| self.now > at);
        match judge_row(session, token, account, &request, &policy, self.now) {
            Verdict::Live(_) => !expired,
            Verdict::Duty { .. } | Verdict::Ended { .. } => false,
        }
    }
}
