//! `GET /nightlatch/session/events`: notifies an open page of what happens to its session, with
//! server-sent events. An event says only that something happened; the page then requests the
//! state, which is judged as usual.

use crate::{
    domain::session::Duty,
    flows::{
        Ctx,
        access::{Observation, WatchedSession, WatchedState, observe},
    },
    http::{error::PageError, problem::Problem, site::Site, visitor::Pending},
    live::event_streams::OpenStream,
};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{Method, StatusCode, header::ContentEncoding},
    web::{self, Bytes},
};
use futures_util::stream::unfold;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

/// How often a quiet stream sends a comment, so that neither proxies nor the page take it for
/// broken.
const HEARTBEAT: Duration = Duration::from_secs(20);
/// How long a stream waits before it looks again at a session whose state could not be read.
const RECHECK: Duration = Duration::from_millis(500);
/// How long a page that found no room waits before it asks for a stream again, in seconds.
const RETRY_AFTER: i64 = 60;

/// Answers with the stream of a live session's events.
pub async fn events(req: HttpRequest, ctx: web::Data<Ctx>, visitor: Pending) -> Result<HttpResponse, PageError> {
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header(("x-accel-buffering", "no"))
        // A stream that is compressed would be held back.
        .insert_header(ContentEncoding::Identity);
    if req.method() == Method::HEAD {
        return Ok(response.finish());
    }
    let admitted = &visitor.0.admitted;
    let watched = watched_session(&Site::from_request(&req), &visitor);
    let Some(open) = ctx.live.streams.open(watched.session, watched.account) else {
        let busy = Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "There are too many open event streams.",
        );
        return Ok(busy.retry_after(Some(RETRY_AFTER)).into_response());
    };
    let stream = EventStream {
        ctx: ctx.into_inner(),
        watched,
        open,
        heartbeat: heartbeat(),
        known: Observation {
            state: WatchedState::Live,
            duty: admitted.duty,
            next: None,
        },
        unread: None,
        phase: Phase::Opening,
    };
    Ok(response.streaming(unfold(stream, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok::<_, Infallible>(text), stream))
    })))
}

fn watched_session(site: &Site, visitor: &Pending) -> WatchedSession {
    let admitted = &visitor.0.admitted;
    WatchedSession {
        session: visitor.0.session,
        account: visitor.0.account,
        token_digest: admitted.token_digest.clone(),
        host: site.token_host().to_owned(),
        application: site.application().cloned(),
    }
}

fn heartbeat() -> Interval {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    heartbeat
}

enum Phase {
    /// Nothing was sent yet.
    Opening,
    Open,
    /// The last event was sent.
    Closing,
}

/// One open stream.
struct EventStream {
    ctx: Arc<Ctx>,
    watched: WatchedSession,
    open: OpenStream,
    heartbeat: Interval,
    /// What the page knows.
    known: Observation,
    /// A change of which the page has not been notified yet, because the session could not be read.
    unread: Option<UnreadChange>,
    phase: Phase,
}

/// Something that happened while the state could not be read.
#[derive(Clone, Copy)]
struct UnreadChange {
    is_new_policy: bool,
}

impl EventStream {
    /// Returns the next text to send; `None`: the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        match self.phase {
            Phase::Opening => {
                self.phase = Phase::Open;
                let mut text = ": open\n\n".to_owned();
                text.push_str(&self.observe(false).await?);
                return Some(text.into());
            }
            Phase::Closing => return None,
            Phase::Open => {}
        }
        loop {
            tokio::select! {
                woken = self.open.woken() => {
                    if woken.ended {
                        self.phase = Phase::Closing;
                        return Some(event("ended").into());
                    }
                    if woken.close {
                        return None;
                    }
                    let text = self.observe(woken.policy).await?;
                    if !text.is_empty() {
                        return Some(text.into());
                    }
                }
                () = sleep(RECHECK), if self.unread.is_some() => {
                    let text = self.observe(false).await?;
                    if !text.is_empty() {
                        return Some(text.into());
                    }
                }
                _ = self.heartbeat.tick() => {
                    // Without announcements nothing would arrive: the stream ends, and the page
                    // polls.
                    let is_fresh = self.ctx.live.freshness.is_fresh();
                    return is_fresh.then(|| Bytes::from_static(b":\n\n"));
                }
            }
        }
    }

    /// Returns the events since the last observation. `None`: nothing can be announced for now, or
    /// the page must open another stream.
    async fn observe(&mut self, is_new_policy: bool) -> Option<String> {
        let unread = self.unread.take();
        let is_new_policy = is_new_policy || unread.is_some_and(|unread| unread.is_new_policy);
        let Ok(seen) = observe(&self.ctx, &self.watched).await else {
            self.unread = Some(UnreadChange { is_new_policy });
            return self.ctx.live.freshness.is_fresh().then(String::new);
        };
        if seen.state == WatchedState::Replaced {
            return None;
        }
        let text = describe_changes(&self.known, &seen, is_new_policy);
        if seen.state == WatchedState::Ended {
            self.phase = Phase::Closing;
        }
        self.open.set_warned(seen.state == WatchedState::Warned);
        if let Some(next) = seen.next {
            self.open.wake_at(next, self.ctx.now());
        }
        self.known = seen;
        Some(text)
    }
}

/// Writes the events between two observations.
fn describe_changes(known: &Observation, seen: &Observation, is_new_policy: bool) -> String {
    use WatchedState::{Ended, Live, Replaced, Warned};
    let mut events = Vec::new();
    match (known.state, seen.state) {
        (_, Ended) => return event("ended"),
        (Live, Warned) => events.push("warned"),
        (Warned, Live) => events.push("resumed"),
        (Live, Live) | (Warned, Warned) | (Ended | Replaced, _) | (_, Replaced) => {}
    }
    if known.duty.map(Duty::as_str) != seen.duty.map(Duty::as_str) {
        events.push("duty");
    }
    if is_new_policy {
        events.push("policy");
    }
    events.into_iter().map(event).collect()
}

fn event(name: &str) -> String {
    format!("event: {name}\ndata: {{}}\n\n")
}

#[cfg(test)]
mod tests;
