//! The stored session and its tokens.

use std::net::IpAddr;

use super::{
    super::{
        account::{AccountId, Role},
        factor::{EnrolledFactors, Proofs},
        password::ChangeFacts,
        source::SourceId,
        time::Timestamp,
    },
    AccountState, Binding, DeviceEvidence, DeviceKey, DeviceProof, EndCause, EndReason, LifeFacts, SessionId,
    device::{REGISTRATION_WINDOW, SETTLING},
};

/// A session as it is stored, live or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its identity, which survives a rotation of its tokens.
    pub id: SessionId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// When the user signed in.
    pub signed_in_at: Timestamp,
    /// Latest request that counted as activity.
    pub last_active_at: Timestamp,
    /// Latest sign of an open window.
    pub last_seen_at: Timestamp,
    /// The latest IP address, as shown.
    pub ip: IpAddr,
    /// The address of the sign-in.
    pub signed_in_ip: IpAddr,
    /// The browser and networks that requests are compared with.
    pub binding: Binding,
    /// Applications that the session entered, sorted.
    pub applications: Vec<String>,
    /// When it ended; `None`: it has not been marked as ended.
    pub ended_at: Option<Timestamp>,
    /// Why it ended.
    pub end_reason: Option<EndReason>,
    /// The person who ended it, if a person did.
    pub ended_by: Option<String>,
    /// The rule and policy that ended it; `None` for sessions that ended before this was recorded.
    pub end_cause: Option<EndCause>,
    /// When the password was last entered: at the sign-in or later.
    pub proved_at: Timestamp,
    /// The proofs of the session since it began.
    pub proofs: Proofs,
    /// Its tokens. Functions that do not read them say so, and leave this empty.
    pub tokens: Vec<SessionToken>,
    /// The keys to which it is bound, at most one per host.
    pub devices: Vec<DeviceKey>,
}

impl Session {
    /// Returns what a bearer of one of its tokens has proved. A token that a proof replaced stays
    /// valid for a moment without that proof, so that a thief of the token does not gain it.
    pub fn proofs_under(&self, token_digest: &str) -> Proofs {
        let token = self.tokens.iter().find(|token| token.digest == token_digest);
        token.and_then(|token| token.proofs).unwrap_or(self.proofs)
    }

    /// Returns whether a later proof replaced this token, so that the token has not that proof.
    pub fn is_outdated(&self, token_digest: &str) -> bool {
        let token = self.tokens.iter().find(|token| token.digest == token_digest);
        token.is_some_and(|token| token.proofs.is_some())
    }

    /// Returns the times that determine its end.
    pub fn life(&self) -> LifeFacts {
        LifeFacts {
            signed_in_at: self.signed_in_at,
            last_active_at: self.last_active_at,
            last_seen_at: self.last_seen_at,
        }
    }

    /// Returns the key to which the session is bound where a token is valid.
    pub fn device_of(&self, token: &SessionToken) -> Option<&DeviceKey> {
        self.devices.iter().find(|key| key.host == token.host)
    }

    /// Returns whether a key was registered so recently that the browser may have sent a request
    /// before it had the proof.
    pub fn was_just_bound(&self, now: Timestamp) -> bool {
        let latest = self.devices.iter().map(|key| key.registered_at).max();
        latest.is_some_and(|at| now <= at.saturating_add(SETTLING))
    }

    /// Returns what is known about the device of a request with this token and this proof. The
    /// token's own host counts, wherever it is presented.
    pub fn device_evidence(&self, token: &SessionToken, proof: Option<DeviceProof>) -> DeviceEvidence {
        match self.device_of(token) {
            Some(key) => DeviceEvidence::Bound {
                proved_until: proof.filter(|proof| proof.key == key.id).map(|proof| proof.expires_at),
            },
            None => DeviceEvidence::Unbound {
                registrable_until: self.registrable_until(token),
            },
        }
    }

    /// Returns the last instant at which the bearer of a token can bind the session where the token
    /// is valid. A rotation prolongs nothing, because a thief on another network causes one: on our
    /// own host the sign-in or the last confirmation of the identity counts, elsewhere the first
    /// token of that host that was not revoked.
    pub fn registrable_until(&self, token: &SessionToken) -> Timestamp {
        let from = if token.rotated.is_some() {
            token.issued_at.min(self.signed_in_at)
        } else if token.host.is_empty() {
            self.proved_at
        } else {
            let of_host = self
                .tokens
                .iter()
                .filter(|other| other.host == token.host && other.killed_at.is_none());
            let first = of_host.map(|other| other.issued_at).min();
            first.map_or(token.issued_at, |first| first.min(token.issued_at))
        };
        from.saturating_add(REGISTRATION_WINDOW)
    }
}

/// A token of a session, stored as a digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionToken {
    /// The SHA-256 of the token, in hexadecimal digits.
    pub digest: String,
    /// The host for which it is valid; "" is the public URL's host and every other host of the
    /// cookie domain.
    pub host: String,
    /// When a browser received it.
    pub issued_at: Timestamp,
    /// When it was replaced, with the networks before and after.
    pub rotated: Option<(Timestamp, IpAddr, IpAddr)>,
    /// When it was revoked without a replacement.
    pub killed_at: Option<Timestamp>,
    /// The name and attributes of the cookie in which it was last sent.
    pub cookie_form: String,
    /// Whether the next response that reaches the browser must replace it.
    pub rotation_due: bool,
    /// What the session had proved when a further proof replaced the token; `None`: the token has
    /// all proofs of its session.
    pub proofs: Option<Proofs>,
}

impl SessionToken {
    /// Returns whether it is valid where it was presented. A token of an application's host outside
    /// the cookie domain is valid only there. The token of our own host is valid wherever a proxy
    /// checks it, because our own host issues all the others.
    pub fn opens(&self, host: &str) -> bool {
        self.host.is_empty() || self.host == host
    }

    /// Returns whether its replacement is due and has not happened yet.
    pub fn is_due(&self) -> bool {
        self.rotation_due && self.rotated.is_none()
    }
}

/// A session with the name and the role of its account, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSession {
    /// The session, without tokens.
    pub session: Session,
    /// Username of its account.
    pub account_name: String,
    /// Role of its account.
    pub role: Role,
    /// Source of its account; `None`: local.
    pub source: Option<SourceId>,
}

/// A session that has not been marked as ended, with the facts about its account that a judgement
/// needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveSessionFacts {
    /// The session's identity.
    pub id: SessionId,
    /// The account it belongs to.
    pub account_id: AccountId,
    /// Username of its account.
    pub account_name: String,
    /// Role of its account.
    pub role: Role,
    /// The state of its account.
    pub account_state: AccountState,
    /// Facts that decide whether the account's password must be changed.
    pub password: ChangeFacts,
    /// The times that determine its end.
    pub life: LifeFacts,
    /// The latest address.
    pub ip: IpAddr,
    /// The browser and networks that requests are compared with.
    pub binding: Binding,
    /// Applications that the session entered, sorted.
    pub applications: Vec<String>,
    /// Whether it is bound to a device key on any host.
    pub is_device_bound: bool,
    /// The proofs of the session.
    pub proofs: Proofs,
    /// The second factors of its account.
    pub factors: EnrolledFactors,
    /// When a second factor was first required of its account.
    pub factor_required_at: Option<Timestamp>,
}
