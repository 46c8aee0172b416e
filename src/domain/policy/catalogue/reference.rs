//! The settings reference (docs/settings.md), generated from the catalogue.

use super::{Group, Setting};

/// Returns the reference as Markdown: one table per group, one row per setting.
pub fn markdown() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         Generated from the catalogue (`src/domain/policy/catalogue.rs`); do not edit by hand.\n\n\
         Durations are stored and exported as whole seconds, -1 = never; input may be `15m`, `1.5h`, `2 weeks`,\n\
         `900` or `never`. Every limit is inclusive: valid at exactly that time, over a microsecond later.\n\
         An environment variable pins its setting in every scope.\n",
    );
    for group in Group::ALL {
        page.push_str(&format!(
            "\n## {}\n\n| key | default | accepted | scopes | effect | source | environment \
                 |\n|---|---|---|---|---|---|---|\n",
            group.title()
        ));
        for setting in group.settings() {
            page.push_str(&row(setting));
        }
    }
    page
}

fn row(setting: &Setting) -> String {
    let default = setting.key.default_value();
    let (shown, stored) = (setting.display(&default), default.to_string());
    let default = if shown == stored || stored.is_empty() {
        shown
    } else {
        format!("{shown} (`{stored}`)")
    };
    let cells = [
        format!("`{}`", setting.name),
        default,
        setting.accepts(),
        scopes(setting).to_owned(),
        format!("**{}.** {}", setting.label, setting.effect),
        setting.source.to_owned(),
        format!("`{}`", setting.key.env_name()),
    ];
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace('*', "\\*").replace("\\*\\*", "**"));
    format!("| {} |\n", cells.join(" | "))
}

fn scopes(setting: &Setting) -> &'static str {
    match (setting.administrators, setting.applications) {
        (true, true) => "everyone, administrators, applications",
        (true, false) => "everyone, administrators",
        (false, true) => "everyone, applications",
        (false, false) => "everyone",
    }
}
