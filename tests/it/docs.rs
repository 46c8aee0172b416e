//! The references in `docs/` and the README say what the program says.

use nightlatch::{config::SETTINGS, domain::policy::catalogue};
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `UPDATE_DOCS=1 cargo test --test it docs` writes it anew.
#[test]
fn the_settings_reference_is_the_catalogue() {
    let path = root().join("docs/settings.md");
    let wanted = catalogue::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "docs/settings.md is not the catalogue's: UPDATE_DOCS=1 cargo test --test it docs"
    );
}

#[test]
fn the_readme_names_every_configuration_setting() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for setting in SETTINGS {
        assert!(readme.contains(&format!("`{}`", setting.name)), "{}", setting.name);
    }
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    for document in [
        "README.md",
        "docs/accounts.md",
        "docs/architecture.md",
        "docs/policy.md",
        "docs/settings.md",
        "docs/benchmarks.md",
    ] {
        let path = root().join(document);
        let text = std::fs::read_to_string(&path).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let file = target.split('#').next().unwrap();
            assert!(path.parent().unwrap().join(file).exists(), "{document} → {target}");
        }
    }
}
