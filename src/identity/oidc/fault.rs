//! Reasons why an answer or a token of a provider was not accepted. The messages are for
//! administrators; they contain no tokens, codes or secrets.

use crate::domain::text::escape_invisible;

/// Declares each check once: variant, code, sentence.
macro_rules! checks {
    ($($variant:ident $code:literal $sentence:literal,)+) => {
        /// A check that an answer or a token of a provider failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FailedCheck { $(#[doc = $sentence] $variant,)+ }

        impl FailedCheck {
            /// All checks.
            pub const ALL: &[FailedCheck] = &[$(FailedCheck::$variant,)+];

            /// Returns the stable code for the audit.
            pub const fn code(self) -> &'static str {
                match self { $(FailedCheck::$variant => $code,)+ }
            }

            /// Returns what is wrong, for administrators.
            pub const fn sentence(self) -> &'static str {
                match self { $(FailedCheck::$variant => $sentence,)+ }
            }
        }
    };
}

checks! {
    State "state" "the answer does not belong to a sign-in of this browser",
    Source "source" "the answer came to another source than the sign-in began with",
    ResponseIssuer "response_issuer" "the answer names another issuer (RFC 9207)",
    Format "token_format" "the token is not a readable JSON Web Token",
    Type "token_type" "the token is of another type",
    Algorithm "token_algorithm" "the token is not signed, or with an algorithm that is not accepted",
    Key "token_key" "no key of the provider fits the token",
    Signature "token_signature" "the signature of the token is wrong",
    Issuer "token_issuer" "the token names another issuer",
    Audience "token_audience" "the token is for another client",
    AuthorizedParty "token_azp" "the token was issued to another client (azp)",
    Nonce "token_nonce" "the nonce of the token is not that of this sign-in",
    Hash "token_hash" "the token belongs to another access token or code (at_hash, c_hash)",
    Expiry "token_expired" "the token has expired; the clocks may differ by more than a minute",
    IssuedAt "token_issued_at" "the token is too old or not valid yet; the clocks may differ",
    AuthTime "auth_time" "the provider does not say that the person has just signed in",
    Subject "token_subject" "the token names no subject, or not one of at most 255 ASCII characters",
    Person "other_person" "the provider signed in another person than the owner of the session",
    EndedSession "ended_session" "the provider ended this session while the sign-in was under way",
    UserinfoSubject "userinfo_subject" "the userinfo endpoint answered about another person",
    Groups "claim_groups" "the provider left the groups out of the token, because there are too many",
    Events "token_events" "the token does not contain the expected event",
    TokenId "token_id" "the token has no ID, or it was used before",
}

/// The reason why a conversation with a provider failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OidcFault {
    /// No connection, a wrong certificate, or no answer in time.
    #[error("{endpoint} cannot be reached: {reason}")]
    Unreachable {
        /// The endpoint, in words.
        endpoint: &'static str,
        /// The error of the connection.
        reason: String,
    },
    /// Too many requests to this provider are open.
    #[error("too many requests to the provider are open")]
    Busy,
    /// An HTTP status that means failure.
    #[error("{endpoint} answered with status {status}")]
    Status {
        /// The endpoint, in words.
        endpoint: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// An answer that is too long or not the expected JSON.
    #[error("{endpoint} sent an unusable response: {problem}")]
    Answer {
        /// The endpoint, in words.
        endpoint: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// An address that is neither https nor a loopback address.
    #[error("the address {0} is not https")]
    Insecure(String),
    /// The configuration of this source cannot be used.
    #[error("{0}")]
    Configuration(String),
    /// The metadata belong to another issuer.
    #[error("the provider calls itself {found}, but the source says {expected}; both must match byte for byte")]
    OtherIssuer {
        /// The issuer of the source.
        expected: String,
        /// The issuer of the metadata.
        found: String,
    },
    /// The provider ended the sign-in with an error code (RFC 6749, 4.1.2.1 and 5.2).
    #[error("the provider answered with the error {0}")]
    Refused(String),
    /// The token endpoint does not accept us as the client (RFC 6749, 5.2).
    #[error("the provider does not accept client ID, secret or client_auth: {0}")]
    ClientRefused(String),
    /// A check failed.
    #[error("{}{}{detail}", check.sentence(), if detail.is_empty() { "" } else { ": " })]
    Check {
        /// The check.
        check: FailedCheck,
        /// Expected and found values, without secrets; may be empty.
        detail: String,
    },
}

impl OidcFault {
    /// Returns the stable code for the audit.
    pub const fn code(&self) -> &'static str {
        match self {
            OidcFault::Unreachable { .. } => "provider_unreachable",
            OidcFault::Busy => "provider_busy",
            OidcFault::Status { .. } | OidcFault::Answer { .. } => "provider_answer",
            OidcFault::Insecure(_) | OidcFault::Configuration(_) => "source_settings",
            OidcFault::OtherIssuer { .. } => "discovery_issuer",
            OidcFault::Refused(_) | OidcFault::ClientRefused(_) => "provider_refused",
            OidcFault::Check { check, .. } => check.code(),
        }
    }

    /// Returns whether the provider is out of service, so that a later attempt may succeed.
    pub const fn is_outage(&self) -> bool {
        match self {
            OidcFault::Unreachable { .. } | OidcFault::Busy => true,
            OidcFault::Status { status, .. } => *status >= 500,
            OidcFault::Answer { .. }
            | OidcFault::Insecure(_)
            | OidcFault::Configuration(_)
            | OidcFault::OtherIssuer { .. }
            | OidcFault::Refused(_)
            | OidcFault::ClientRefused(_)
            | OidcFault::Check { .. } => false,
        }
    }

    /// Returns the fault of an answer that belongs to no sign-in of this browser, or to one that
    /// was used before or took too long.
    pub fn state() -> Self {
        Self::failed(FailedCheck::State)
    }

    /// Returns the fault of an answer that came to another source than the sign-in began with.
    pub fn source_mismatch() -> Self {
        Self::failed(FailedCheck::Source)
    }

    /// Returns the fault of a token whose ID was used before.
    pub fn used_token() -> Self {
        Self::failed(FailedCheck::TokenId)
    }

    /// Returns the fault of a confirmation by another person.
    pub fn other_person() -> Self {
        Self::failed(FailedCheck::Person)
    }

    /// Returns the fault of a session that the provider ended while its tokens were fetched.
    pub fn ended_session() -> Self {
        Self::failed(FailedCheck::EndedSession)
    }

    /// Creates the fault of a failed check.
    pub(super) fn failed(check: FailedCheck) -> Self {
        Self::Check {
            check,
            detail: String::new(),
        }
    }

    /// Creates the fault of a failed check with what was expected and found.
    pub(super) fn differs(check: FailedCheck, expected: &str, found: &str) -> Self {
        Self::Check {
            check,
            detail: format!("expected {}, found {}", quote(expected), quote(found)),
        }
    }
}

/// Makes a text of a provider safe to show: one line, bounded, without invisible characters.
pub(super) fn quote(text: &str) -> String {
    const MAX_LENGTH: usize = 200;
    let cut: String = text.chars().take(MAX_LENGTH).collect();
    format!("“{}”", escape_invisible(&cut))
}
