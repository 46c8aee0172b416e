//! The shape of the code: layers and their imports (docs/architecture.md), names, lengths and
//! documentation.

mod circles;
mod imports;
mod names;
mod sizes;
mod source;

use imports::Imports;
use source::files;
use std::collections::BTreeSet;

/// The layers, lowest first: a layer may import only itself and earlier ones.
const LAYERS: [&str; 17] = [
    "domain",
    "clock",
    "random",
    "hashing",
    "config",
    "second_factor",
    "identity",
    "shipping",
    "security_log",
    "store",
    "mail",
    "live",
    "flows",
    "http",
    "jobs",
    "server",
    "cli",
];

/// Top-level modules that each file names, with the file's own layer.
fn layers_named() -> Vec<(&'static str, &'static str, Vec<String>)> {
    let imports = Imports::of(files());
    let named = |index: usize| {
        let paths = imports.named_paths(index).into_iter();
        let mut layers: Vec<String> = paths.filter_map(|path| path.into_iter().next()).collect();
        layers.dedup();
        layers
    };
    let files = files().iter().enumerate();
    files
        .map(|(index, file)| (file.name.as_str(), file.layer(), named(index)))
        .collect()
}

#[test]
fn a_layer_names_only_lower_ones_and_pages_no_store() {
    let place = |layer: &str| LAYERS.iter().position(|name| *name == layer);
    let mut wrong = Vec::new();
    for (file, layer, named) in layers_named() {
        for other in named {
            let higher = place(&other) > place(layer) && place(layer).is_some();
            if higher || (layer == "http" && (other == "store" || other == "hashing")) {
                wrong.push(format!("{file} names {other}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Folders whose public modules are siblings: flows and pages, which do not import each other.
const SIBLINGS: [&[&str]; 3] = [&["flows"], &["http", "pages"], &["http", "pages", "admin"]];

/// Pairs of siblings that still import each other: the one that names, the one that is named. May
/// only shrink.
const KNOWN_SIBLINGS: &[(&str, &str)] = &[
    ("accounts", "bind_limits"),
    ("accounts", "lockouts"),
    ("accounts", "sessions"),
    ("event_line", "admin"),
    ("factor", "factors"),
    ("history", "admin"),
    ("overview", "sessions"),
];

/// Code that several siblings need belongs in a private module beside them, or in a lower layer.
#[test]
fn flows_and_pages_do_not_import_their_siblings() {
    let imports = Imports::of(files());
    let mut wrong = Vec::new();
    for folder in SIBLINGS {
        let public = public_modules(folder);
        for (index, file) in files().iter().enumerate() {
            let Some(own) = module_within(&file.module, folder) else {
                continue;
            };
            for other in imports.named_files(index) {
                let sibling = module_within(&files()[other].module, folder);
                let sibling = sibling.filter(|other| *other != own && public.iter().any(|module| module == other));
                if let Some(sibling) = sibling.filter(|other| !KNOWN_SIBLINGS.contains(&(own, other))) {
                    wrong.push(format!(
                        "(\"{own}\", \"{sibling}\"), // {} names {}",
                        file.name,
                        files()[other].name
                    ));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these siblings import each other:\n{}",
        wrong.join("\n")
    );
}

/// The module directly in a folder that a module is or belongs to.
fn module_within<'a>(module: &'a [String], folder: &[&str]) -> Option<&'a str> {
    let (start, rest) = module.split_at_checked(folder.len())?;
    (start == folder).then_some(rest.first()?)
}

/// Modules that the module of this path declares with `pub mod`.
fn public_modules(path: &[&str]) -> Vec<String> {
    let file = files().iter().find(|file| file.module == path).unwrap();
    let modules = file.items().iter().filter_map(|item| match item {
        syn::Item::Mod(module) if matches!(module.vis, syn::Visibility::Public(_)) => Some(module.ident.to_string()),
        _ => None,
    });
    modules.collect()
}

#[test]
fn each_library_stays_in_its_layer() {
    let places: [(&str, &[&str]); 8] = [
        ("diesel::", &["store"]),
        ("actix_web::", &["http", "server", "jobs", "cli/"]),
        ("actix_session::", &["http"]),
        ("askama::", &["http", "mail"]),
        ("lettre::", &["mail"]),
        ("std::env::var", &["config", "cli"]),
        ("SystemTime::now", &["clock"]),
        ("getrandom::", &["random"]),
    ];
    let mut wrong = Vec::new();
    for file in files() {
        let code = file.code();
        for (library, allowed) in places {
            if code.contains(library) && !allowed.iter().any(|place| file.name.starts_with(place)) {
                wrong.push(format!("{} names {library}", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Imports are nested: `use crate::{…}`, `use actix_web::{…}`.
#[test]
fn each_crate_is_imported_once() {
    let mut wrong = BTreeSet::new();
    for file in files() {
        let mut seen = BTreeSet::new();
        for item in imports::uses(file.items()).filter(|item| item.attrs.is_empty()) {
            let root = match &item.tree {
                syn::UseTree::Path(path) => path.ident.to_string(),
                _ => continue,
            };
            let is_exported = !matches!(item.vis, syn::Visibility::Inherited);
            if !seen.insert((root.clone(), is_exported)) && !is_exported {
                wrong.insert(format!("{} imports {root} twice", file.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let files = files().iter().filter(|file| !file.text.starts_with("//!"));
    let silent: Vec<&str> = files.map(|file| file.name.as_str()).collect();
    assert!(silent.is_empty(), "{silent:#?}");
}
