//! The validation modes and what each derives for the knobs that nobody set (the table of policy.md).

use super::{Key, Value};
use crate::domain::time::Span;

/// What a session is bound to, ready for the judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidationPolicy {
    /// `session.session_validation_mode`.
    pub mode: Mode,
    /// `session.session_ip_validation`.
    pub ip: bool,
    /// `session.session_ip_subnet_bits`: 8, 16, 24 or 32.
    pub subnet_bits: u8,
    /// `session.session_user_agent_validation`.
    pub user_agent: bool,
    /// `session.session_user_agent_match`: family rather than exact.
    pub family: bool,
    /// `session.session_allow_ip_changes`; None = unlimited.
    pub allow_ip_changes: Option<u32>,
    /// `session.session_ip_change_grace_period`.
    pub grace: Span,
    /// `session.session_rotation_on_ip_change`.
    pub rotate_on_ip_change: bool,
    /// `session.session_security_audit_log`.
    pub security_audit_log: bool,
}

/// `session.session_validation_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// One address, one browser, no change.
    Strict,
    /// One /24, one change.
    Moderate,
    /// One /16, one change.
    ModerateVpn,
    /// Networks compared for the record only.
    Permissive,
    /// Nothing compared.
    Off,
}

impl Mode {
    /// All modes, strictest first.
    pub const ALL: &[Mode] = &[
        Mode::Strict,
        Mode::Moderate,
        Mode::ModerateVpn,
        Mode::Permissive,
        Mode::Off,
    ];

    /// The word of the setting.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Strict => "strict",
            Mode::Moderate => "moderate",
            Mode::ModerateVpn => "moderate_vpn",
            Mode::Permissive => "permissive",
            Mode::Off => "off",
        }
    }

    /// The mode of a word; `None`: none of the five.
    pub fn parse(word: &str) -> Option<Self> {
        Mode::ALL.iter().copied().find(|mode| mode.as_str() == word)
    }

    /// What the mode says about a knob that nobody set; None = nothing.
    pub fn derives(self, key: Key) -> Option<Value> {
        use Key::*;
        // Where the table has a dash the value does not matter, unless somebody switches networks on by hand:
        // then moderate's numbers hold.
        let value = match (key, self) {
            (SessionSessionIpValidation, Mode::Permissive | Mode::Off) => Value::Flag(false),
            (SessionSessionIpValidation, _) => Value::Flag(true),
            (SessionSessionIpSubnetBits, Mode::Strict) => Value::Number(32),
            (SessionSessionIpSubnetBits, Mode::ModerateVpn) => Value::Number(16),
            (SessionSessionIpSubnetBits, _) => Value::Number(24),
            (SessionSessionUserAgentValidation, mode) => Value::Flag(mode != Mode::Off),
            (SessionSessionUserAgentMatch, Mode::Strict) => Value::Text("exact".into()),
            (SessionSessionUserAgentMatch, _) => Value::Text("family".into()),
            (SessionSessionAllowIpChanges, Mode::Strict) => Value::Number(0),
            (SessionSessionAllowIpChanges, _) => Value::Number(1),
            (SessionSessionIpChangeGracePeriod, Mode::Strict) => Value::Number(0),
            (SessionSessionIpChangeGracePeriod, _) => Value::Number(300),
            _ => return None,
        };
        Some(value)
    }

    /// What the mode says whoever set the knob: `off` switches both comparisons off, `permissive` keeps its record.
    pub fn forces(self, key: Key) -> Option<Value> {
        match (self, key) {
            (Mode::Off, Key::SessionSessionIpValidation | Key::SessionSessionUserAgentValidation) => {
                Some(Value::Flag(false))
            }
            (Mode::Permissive, Key::SessionSessionSecurityAuditLog) => Some(Value::Flag(true)),
            _ => None,
        }
    }
}

/// Whether the mode has a say in `key`.
pub(super) fn mode_of(key: Key) -> bool {
    key != Key::SessionSessionValidationMode && key.setting().group == super::catalogue::Group::Validation
}
