//! Somebody signed in is sent to an application, which sends them straight back: the cookie does not arrive there. How often that may
//! happen before it is said, and why it does in which configuration. Counting is a cookie's, not ours to keep.

use super::{
    policy::effective::SameSite,
    time::{Span, Timestamp},
};

/// So many within [`WITHIN`] are a loop.
pub const MOST: u32 = 3;
/// How long bounces are counted together.
pub const WITHIN: Span = Span::from_secs(30);

/// Bounces between us and one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounces {
    /// The application's host, or one of its pages.
    pub place: String,
    /// When the first of them was.
    pub since: Timestamp,
    /// How many.
    pub count: u32,
}

impl Bounces {
    /// With another one to `place` now; another place or a pause begins anew.
    pub fn with(known: Option<Self>, place: &str, now: Timestamp) -> Self {
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

    /// It goes round and round.
    pub fn is_loop(&self) -> bool {
        self.count >= MOST
    }

    /// `3:1795281600000000:wiki.example.org`
    pub fn to_text(&self) -> String {
        format!("{}:{}:{}", self.count, self.since.as_micros(), self.place)
    }

    /// What [`Self::to_text`] wrote.
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

/// What decides whether a browser sends our cookie to an application.
#[derive(Debug, Clone, Copy)]
pub struct Configuration<'a> {
    /// Our own address.
    pub own_https: bool,
    /// Our own host.
    pub own_host: &'a str,
    /// The application's address, as people were sent to it.
    pub https: bool,
    /// Its host.
    pub host: &'a str,
    /// `session.secure`
    pub secure: bool,
    /// `session.same_site`
    pub same_site: SameSite,
}

/// Why the cookie does not arrive, as far as the configuration tells; the likeliest first. Empty: it is not the configuration.
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
            "The cookie is sent over https only (session.secure is on), and {host} was asked for over http. Its proxy must redirect to https, \
             and name https as the scheme of the original request."
        )
    });
    let refused = (same_site == SameSite::None && !secure)
        .then(|| "Browsers refuse a cookie with SameSite=None that is not Secure: turn session.secure on, or set session.same_site to Lax.".to_owned());
    let strict = (same_site == SameSite::Strict).then(|| {
        format!(
            "session.same_site is Strict: browsers keep the cookie back when another site's link led to {host}. Lax lets navigations through."
        )
    });
    let schemes = (own_https != https && same_site != SameSite::None).then(|| {
        let name = |https| if https { "https" } else { "http" };
        format!(
            "{own_host} is reached over {} and {host} over {}: browsers take these for two sites.",
            name(own_https),
            name(https)
        )
    });
    [plain, refused, strict, schemes].into_iter().flatten().collect()
}
