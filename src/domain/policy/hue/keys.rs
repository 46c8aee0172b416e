//! The section and key of each setting in a hue.ini, derived from the catalogue.

use crate::policy::{Key, catalogue::Group};

pub(super) const PASSWORD_POLICY: &str = "useradmin.password_policy";

/// Returns the section and the key of a setting in Hue; `None`: Hue has no such setting.
pub(super) fn place(key: Key) -> Option<(&'static str, &'static str)> {
    let setting = key.setting();
    if !setting.source.contains("Hue") {
        return None;
    }
    match setting.name.split_once('.')? {
        ("auth", name) => Some(("desktop.auth", name)),
        ("session", name) => Some(("desktop.session", name)),
        ("password", "regex") => Some((PASSWORD_POLICY, "pwd_regex")),
        ("password", "regex_hint") => Some((PASSWORD_POLICY, "pwd_error_message")),
        (_, _) => None,
    }
}

/// Returns the setting of a key in a section, both in lower case.
pub(super) fn find(section: &str, name: &str) -> Option<Key> {
    let name = match name {
        "samesite" => "same_site",
        // An older name of the key.
        "login_lock_out_by_combination_browser_user_agent_and_ip" => "login_lock_out_use_user_agent",
        name => name,
    };
    let suits = |key: &&Key| {
        place(**key).is_some_and(|(home, its)| {
            // Hue's documentation does not say which section the validation settings belong to.
            let validation = key.setting().group == Group::Validation && matches!(section, "desktop" | "desktop.auth");
            its == name && (home == section || validation)
        })
    };
    Key::ALL.iter().find(suits).copied()
}
