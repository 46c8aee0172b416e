//! The validation modes and the values that each derives for settings without a value (the table in
//! docs/policy.md).

use crate::{
    network_groups::NetworkGroups,
    policy::{Key, Value, catalogue::Group},
    time::Span,
};

/// What a session is bound to, in the form that the judgement uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidationPolicy {
    /// The typed value of `session.session_validation_mode`.
    pub mode: ValidationMode,
    /// `session.session_ip_validation`.
    pub ip: bool,
    /// `session.session_ip_subnet_bits`: 8, 16, 24 or 32.
    pub subnet_bits: u8,
    /// `session.network_groups`.
    pub groups: NetworkGroups,
    /// `session.session_user_agent_validation`.
    pub user_agent: bool,
    /// `session.session_user_agent_match`: family instead of exact.
    pub family: bool,
    /// `session.session_allow_ip_changes`; `None`: unlimited.
    pub allow_ip_changes: Option<u32>,
    /// `session.session_ip_change_grace_period`.
    pub grace: Span,
    /// `session.session_rotation_on_ip_change`.
    pub rotate_on_ip_change: bool,
    /// `session.session_security_audit_log`.
    pub security_audit_log: bool,
}

/// The typed value of `session.session_validation_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValidationMode {
    /// One address and one browser, without changes.
    Strict,
    /// One /24, one change.
    Moderate,
    /// One /16, one change.
    ModerateVpn,
    /// Networks are compared only for the audit.
    Permissive,
    /// No comparison.
    Off,
}

impl ValidationMode {
    /// All modes, strictest first.
    pub const ALL: &[ValidationMode] = &[
        ValidationMode::Strict,
        ValidationMode::Moderate,
        ValidationMode::ModerateVpn,
        ValidationMode::Permissive,
        ValidationMode::Off,
    ];

    /// Returns the value as the setting spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ValidationMode::Strict => "strict",
            ValidationMode::Moderate => "moderate",
            ValidationMode::ModerateVpn => "moderate_vpn",
            ValidationMode::Permissive => "permissive",
            ValidationMode::Off => "off",
        }
    }

    /// Parses a mode; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        ValidationMode::ALL.iter().copied().find(|mode| mode.as_str() == word)
    }

    /// Returns the value that the mode derives for a setting without a value; `None`: it derives
    /// none.
    pub fn derives(self, key: Key) -> Option<Value> {
        use Key::*;
        // A dash in the table is a value that does not matter, unless networks are switched on
        // explicitly: then moderate's numbers apply.
        let value = match (key, self) {
            (SessionSessionIpValidation, ValidationMode::Permissive | ValidationMode::Off) => Value::Flag(false),
            (SessionSessionIpValidation, _) => Value::Flag(true),
            (SessionSessionIpSubnetBits, ValidationMode::Strict) => Value::Number(32),
            (SessionSessionIpSubnetBits, ValidationMode::ModerateVpn) => Value::Number(16),
            (SessionSessionIpSubnetBits, _) => Value::Number(24),
            (SessionSessionUserAgentValidation, mode) => Value::Flag(mode != ValidationMode::Off),
            (SessionSessionUserAgentMatch, ValidationMode::Strict) => Value::Text("exact".into()),
            (SessionSessionUserAgentMatch, _) => Value::Text("family".into()),
            (SessionSessionAllowIpChanges, ValidationMode::Strict) => Value::Number(0),
            (SessionSessionAllowIpChanges, _) => Value::Number(1),
            (SessionSessionIpChangeGracePeriod, ValidationMode::Strict) => Value::Number(0),
            (SessionSessionIpChangeGracePeriod, _) => Value::Number(300),
            _ => return None,
        };
        Some(value)
    }

    /// Returns the value that the mode enforces, even on a setting with a value: `off` switches
    /// both comparisons off, `permissive` keeps its record.
    pub fn forces(self, key: Key) -> Option<Value> {
        match (self, key) {
            (ValidationMode::Off, Key::SessionSessionIpValidation | Key::SessionSessionUserAgentValidation) => {
                Some(Value::Flag(false))
            }
            (ValidationMode::Permissive, Key::SessionSessionSecurityAuditLog) => Some(Value::Flag(true)),
            _ => None,
        }
    }
}

/// Returns whether the mode affects `key`.
pub(super) fn mode_of(key: Key) -> bool {
    key != Key::SessionSessionValidationMode && key.setting().group == Group::Validation
}
