//! Why a directory could not be asked, and in which step. The text is for administrators: it shows
//! addresses and certificates, never passwords or what was searched.

use crate::identity::describe_certificate_fault;
use ldap3::LdapError;
use std::time::Duration;

/// A step of the conversation with a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryStep {
    /// Finding the address of the server.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Encrypting it and checking the certificate.
    Tls,
    /// Binding with the source's own credentials.
    ServiceBind,
    /// Searching the person.
    Search,
    /// Looking up the person's groups.
    Groups,
    /// Checking the person's password.
    PasswordBind,
}

impl DirectoryStep {
    /// Returns the stable code for audit events and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ServiceBind => "bind",
            Self::Search => "search",
            Self::Groups => "groups",
            Self::PasswordBind => "password",
        }
    }
}

/// The directory could not be asked, or did not answer. Nothing follows from it about a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {fault}", step.as_str())]
pub struct DirectoryError {
    /// The step that failed.
    pub step: DirectoryStep,
    /// What the server or the library said.
    pub fault: String,
}

/// Maximum number of characters that are kept of a fault.
const FAULT_CHARS: usize = 300;

impl DirectoryError {
    pub(super) fn new(step: DirectoryStep, fault: String) -> Self {
        Self { step, fault }
    }

    /// The error of a caller that waits no longer than `limit`.
    pub fn late(limit: Duration) -> Self {
        Self::new(DirectoryStep::Search, no_answer(limit))
    }

    pub(super) fn from_ldap(step: DirectoryStep, fault: &LdapError) -> Self {
        let text = match fault {
            LdapError::Timeout { .. } => "no answer in time".to_owned(),
            LdapError::LdapResult { result } => describe_result(result.rc, &result.text),
            LdapError::OpSend { .. }
            | LdapError::ResultRecv { .. }
            | LdapError::IdScrubSend { .. }
            | LdapError::MiscSend { .. }
            | LdapError::EndOfStream => "the server closed the connection".to_owned(),
            LdapError::Io { source } => describe_certificate_fault(source.to_string()),
            other => describe_certificate_fault(other.to_string()),
        };
        Self::new(step, text.chars().take(FAULT_CHARS).collect())
    }
}

/// Describes a result code (RFC 4511, appendix A) and the server's text.
pub(super) fn describe_result(code: u32, text: &str) -> String {
    let meaning = match code {
        1 => "operations error",
        3 => "time limit exceeded",
        4 => "size limit exceeded",
        7 | 8 => "the server asks for stronger authentication or encryption",
        10 => "the entries are on another server (referral)",
        11 => "administrative limit exceeded",
        12 => "the server lacks an extension that is needed",
        13 => "the server asks for encryption",
        16 => "no such attribute",
        32 => "no such entry",
        34 => "not a valid DN",
        48 => "inappropriate authentication",
        49 => "invalid credentials",
        50 => "insufficient access rights",
        51 => "the server is busy",
        52 => "the server is unavailable",
        53 => "the server is unwilling to perform this",
        _ => "refused",
    };
    let text: String = text.chars().filter(|c| !c.is_control()).take(FAULT_CHARS).collect();
    match text.is_empty() {
        true => format!("{meaning} (code {code})"),
        false => format!("{meaning} (code {code}): {text}"),
    }
}

/// Returns whether the connection was closed before an answer came.
pub(super) fn is_closed(fault: &LdapError) -> bool {
    matches!(
        fault,
        LdapError::OpSend { .. }
            | LdapError::ResultRecv { .. }
            | LdapError::IdScrubSend { .. }
            | LdapError::EndOfStream
            | LdapError::Io { .. }
    )
}

/// Returns whether no answer came at all.
pub(super) fn is_unanswered(fault: &LdapError) -> bool {
    is_closed(fault) || matches!(fault, LdapError::Timeout { .. })
}

pub(super) fn no_answer(limit: Duration) -> String {
    format!("no answer within {} ms", limit.as_millis())
}
