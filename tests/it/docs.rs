//! The documentation agrees with the program.

use nightlatch::{
    config::SETTINGS,
    domain::policy::catalogue,
    identity::{ldap::remedy_table, oidc::FailedCheck},
};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// Every Markdown file of the repository's top folder and of `docs`.
fn documents() -> Vec<PathBuf> {
    let folders = [root().to_owned(), root().join("docs")];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    let paths = files.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// `UPDATE_DOCS=1 cargo test --test it docs` regenerates it.
#[test]
fn the_settings_reference_is_the_catalogue() {
    let path = root().join("docs/settings.md");
    let expected = catalogue::markdown();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    assert!(
        read("docs/settings.md") == expected,
        "docs/settings.md is not the catalogue's: UPDATE_DOCS=1 cargo test --test it docs"
    );
}

#[test]
fn every_configuration_setting_is_documented() {
    let text = read("docs/configuration.md");
    for setting in SETTINGS {
        assert!(text.contains(&format!("`{}`", setting.name)), "{}", setting.name);
    }
}

#[test]
fn every_check_of_a_providers_answer_has_a_remedy() {
    let text = read("docs/sources.md");
    for check in FailedCheck::ALL {
        assert!(text.contains(&format!("`{}`", check.code())), "{}", check.code());
    }
}

/// The program and the page name the same remedies.
#[test]
fn the_faults_of_directories_are_those_that_source_test_explains() {
    let table = remedy_table();
    assert!(
        read("docs/sources.md").contains(&table),
        "docs/sources.md needs this table:\n{table}"
    );
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") || target.starts_with('#') {
                continue;
            }
            let file = target.split('#').next().unwrap();
            let found = document.parent().unwrap().join(file).exists();
            assert!(found, "{} → {target}", document.display());
        }
    }
}

#[test]
fn the_list_of_documents_is_complete() {
    let list = read("docs/README.md");
    for document in documents() {
        let name = document.file_name().unwrap().to_str().unwrap();
        assert!(name == "README.md" || list.contains(name), "{name}");
    }
}

#[test]
fn the_readme_can_be_read_in_one_go() {
    assert!(read("README.md").lines().count() <= 150);
}

#[test]
fn the_inventory_names_every_table() {
    let inventory = read("docs/data.md");
    let files = ["schema.rs", "schema/identity.rs", "schema/shipping.rs"];
    let schema: String = files.iter().map(|file| read(&format!("src/store/{file}"))).collect();
    for table in schema.split("diesel::table! {").skip(1) {
        let line = table
            .lines()
            .map(str::trim)
            .find(|line| !line.is_empty() && !line.starts_with("///"));
        let name = line.unwrap().split(' ').next().unwrap();
        let is_ours = !name.starts_with("__");
        assert!(!is_ours || inventory.contains(&format!("`{name}`")), "{name}");
    }
}

/// A named test is `file::function`, below `tests/it` or `tests`.
#[test]
fn the_tests_that_prove_requirements_exist() {
    let (requirements, faults) = (read("docs/asvs.md"), read("docs/failure-modes.md"));
    let requirements = requirements.lines().filter(|line| line.starts_with("| V"));
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| fault |");
    let faults: Vec<&str> = faults.lines().filter(is_row).collect();
    for row in &faults {
        assert!(row.ends_with("` |") && row.contains("::"), "it names no test: {row}");
    }
    for line in requirements.chain(faults) {
        let last = line.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let Some((module, function)) = last.trim_matches('`').rsplit_once("::") else {
            continue;
        };
        let file = format!("{}.rs", module.replace("::", "/"));
        let sources = ["tests/it", "tests"].map(|folder| fs::read_to_string(root().join(folder).join(&file)));
        let is_there = |source: &String| source.contains(&format!("fn {function}("));
        assert!(sources.iter().flatten().any(is_there), "{line}");
    }
}
