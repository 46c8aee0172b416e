//! What a directory answers to a password, and why it does not let a person in.

use ldap3::LdapResult;

/// OID of the control with which OpenLDAP is asked for the state of the password policy (ppolicy),
/// and with which it answers.
pub(super) const PASSWORD_POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// The directory's answer to a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordAnswer {
    /// The password is right, and the directory lets the person in.
    Right,
    /// The directory refused.
    Refused(DirectoryRefusal),
}

/// Why a directory does not let a person in. Only the audit shows the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectoryRefusal {
    /// The password is wrong (or, as far as the directory says, anything else).
    WrongPassword,
    /// Sign-ins are not allowed at this time (AD `data 530`).
    Hours,
    /// Sign-ins are not allowed from this computer (AD `data 531`).
    Workstation,
    /// The password has expired (AD `data 532`).
    PasswordExpired,
    /// The account is disabled (AD `data 533`).
    Disabled,
    /// The account has expired (AD `data 701`).
    AccountExpired,
    /// The password must be changed first (AD `data 773`).
    MustChangePassword,
    /// The account is locked (AD `data 775`).
    Locked,
}

impl DirectoryRefusal {
    /// Returns the audit reason.
    pub const fn code(self) -> &'static str {
        match self {
            Self::WrongPassword => "credentials",
            Self::Hours => "directory_hours",
            Self::Workstation => "directory_workstation",
            Self::PasswordExpired => "directory_password_expired",
            Self::Disabled => "directory_disabled",
            Self::AccountExpired => "directory_account_expired",
            Self::MustChangePassword => "directory_must_change",
            Self::Locked => "directory_locked",
        }
    }
}

/// Reads the answer to a bind. `None`: the server did not check the password, so that it may be
/// right or wrong.
pub(super) fn read_answer(answer: &LdapResult) -> Option<PasswordAnswer> {
    let policy = answer
        .ctrls
        .iter()
        .find(|control| control.1.ctype == PASSWORD_POLICY)
        .and_then(|control| read_policy(control.1.val.as_deref().unwrap_or_default()));
    match answer.rc {
        0 => Some(match policy {
            Some(DirectoryRefusal::MustChangePassword) => PasswordAnswer::Refused(DirectoryRefusal::MustChangePassword),
            Some(_) | None => PasswordAnswer::Right,
        }),
        // RFC 4511, appendix A: constraintViolation (a policy), noSuchObject (the entry is gone),
        // inappropriateAuthentication (it has no password), invalidCredentials, unwillingToPerform.
        19 | 32 | 48 | 49 | 53 => {
            let refusal = policy.or_else(|| read_diagnostics(&answer.text));
            Some(PasswordAnswer::Refused(
                refusal.unwrap_or(DirectoryRefusal::WrongPassword),
            ))
        }
        _ => None,
    }
}

/// Reads the diagnostics of Active Directory: `… data 52e, v…`.
fn read_diagnostics(text: &str) -> Option<DirectoryRefusal> {
    let (_, rest) = text.split_once("data ")?;
    let code: String = rest.chars().take_while(char::is_ascii_hexdigit).collect();
    Some(match code.to_ascii_lowercase().as_str() {
        "530" => DirectoryRefusal::Hours,
        "531" => DirectoryRefusal::Workstation,
        "532" => DirectoryRefusal::PasswordExpired,
        "533" => DirectoryRefusal::Disabled,
        "701" => DirectoryRefusal::AccountExpired,
        "773" => DirectoryRefusal::MustChangePassword,
        "775" => DirectoryRefusal::Locked,
        _ => DirectoryRefusal::WrongPassword,
    })
}

/// Reads the error of a password policy response: `SEQUENCE { warning [0] …, error [1] ENUMERATED
/// }` (draft-behera-ldap-password-policy, 6.2).
fn read_policy(value: &[u8]) -> Option<DirectoryRefusal> {
    let mut rest = match value {
        [0x30, length, rest @ ..] if usize::from(*length) == rest.len() => rest,
        _ => return None,
    };
    while let [tag, length, tail @ ..] = rest {
        let (content, next) = tail.split_at_checked(usize::from(*length))?;
        if *tag == 0x81 {
            return match content {
                [0] => Some(DirectoryRefusal::PasswordExpired),
                [1] => Some(DirectoryRefusal::Locked),
                [2] => Some(DirectoryRefusal::MustChangePassword),
                _ => None,
            };
        }
        rest = next;
    }
    None
}
