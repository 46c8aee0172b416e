//! Detection of redirect loops: an application sends a signed-in user straight back, because the
//! cookie does not arrive there. This module decides when bounces are a loop and which
//! configuration explains it. A cookie keeps the count.

use super::{
    policy::effective::SameSite,
    time::{Span, Timestamp},
};

/// Number of bounces within [`WITHIN`] that make a loop.
pub const MAX_BOUNCES: u32 = 3;
/// Time within which bounces are counted together.
pub const WITHIN: Span = Span::from_secs(30);

/// The bounces between Nightlatch and one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BounceCount {
    /// The application's host, or one of its pages.
    pub place: String,
    /// The instant of the first bounce.
    pub since: Timestamp,
    /// The number of bounces.
    pub count: u32,
}

impl BounceCount {
    /// Counts another bounce to `place`. Another place or a pause starts a new count.
    pub fn count_from(known: Option<Self>, place: &str, now: Timestamp) -> Self {
        let going_on = known
            .filter(|known| known.place == place && now.since(known.since).as_micros().abs() <= WITHIN.as_micros());
        match going_on {
            Some(known) => Self {
                count: known.count.saturating_add(1),
                ..known
            },
            None => Self {
                place: place.to_owned(),
                since: now,
                count: 1,
            },
        }
    }

    /// Returns whether the bounces are a loop.
    pub fn is_loop(&self) -> bool {
        self.count >= MAX_BOUNCES
    }

    /// Formats the count: `3:1795281600000000:wiki.example.org`.
    pub fn to_text(&self) -> String {
        format!("{}:{}:{}", self.count, self.since.as_micros(), self.place)
    }

    /// Parses the format of [`Self::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (count, since, place) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self {
            count: count.parse().ok()?,
            since: Timestamp::from_micros(since.parse().ok()?),
            place: place.to_owned(),
        })
    }
}

/// The configuration that decides whether a browser sends our cookie to an application.
#[derive(Debug, Clone, Copy)]
pub struct Configuration<'a> {
    /// Whether our own address is https.
    pub own_https: bool,
    /// Our own host.
    pub own_host: &'a str,
    /// Whether the application's address, as the browser was sent there, is https.
    pub https: bool,
    /// The application's host.
    pub host: &'a str,
    /// `session.secure`.
    pub secure: bool,
    /// `session.same_site`.
    pub same_site: SameSite,
}

/// Returns the configuration faults that explain why the cookie does not arrive, the likeliest
/// first. Empty: the configuration is not the cause.
pub fn causes(configuration: &Configuration<'_>) -> Vec<String> {
    let Configuration {
        own_https,
        own_host,
        https,
        host,
        secure,
        same_site,
    } = *configuration;
    let plain = (secure && !https).then(|| {
        format!(
            "The cookie is sent over https only (session.secure is on), and {host} was opened over http. Its proxy \
             must redirect to https, and send https as the scheme of the original request."
        )
    });
    let refused = (same_site == SameSite::None && !secure).then(|| {
        "Browsers refuse a cookie with SameSite=None that is not Secure: turn session.secure on, or set \
             session.same_site to Lax."
            .to_owned()
    });
    let strict = (same_site == SameSite::Strict).then(|| {
        format!(
            "session.same_site is Strict: browsers do not send the cookie when a link on another site leads to \
             {host}. Lax allows such navigations."
        )
    });
    let schemes = (own_https != https && same_site != SameSite::None).then(|| {
        let name = |https| if https { "https" } else { "http" };
        format!(
            "{own_host} is reached over {} and {host} over {}: browsers treat these as two sites.",
            name(own_https),
            name(https)
        )
    });
    [plain, refused, strict, schemes].into_iter().flatten().collect()
}
