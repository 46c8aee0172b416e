//! The arrow of imports, and the few rules about who may name what (docs/architecture.md).

use std::{fs, path::Path};

/// In arrow order: a module may name only itself and what stands before it.
const ARROW: [&str; 13] = [
    "domain",
    "clock",
    "random",
    "hashing",
    "config",
    "security_log",
    "store",
    "mail",
    "live",
    "flows",
    "http",
    "jobs",
    "server",
];

fn sources(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

fn all() -> Vec<(String, String)> {
    let mut found = Vec::new();
    sources(root(), &mut found);
    found
}

/// The top-level module of a file: `flows/login.rs` → `flows`.
fn module(file: &str) -> &str {
    file.split(['/', '.']).next().unwrap()
}

/// The code without comments, test modules left out.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]").next().unwrap();
    text.lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// First segments after every `crate::`, groups opened: `crate::{a::b, c}` → a, c.
fn named_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (start, _) in code.match_indices("crate::") {
        let rest = &code[start + 7..];
        let Some(group) = rest.strip_prefix('{') else {
            named.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            continue;
        };
        let (mut depth, mut word) = (1, String::new());
        for c in group.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 1 => named.push(std::mem::take(&mut word)),
                _ if depth == 1 => word.push(c),
                _ => {}
            }
            if depth == 0 {
                named.push(word);
                break;
            }
        }
    }
    named
        .into_iter()
        .map(|path| path.trim().split("::").next().unwrap().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

#[test]
fn imports_follow_the_arrow() {
    let mut wrong = Vec::new();
    for (file, text) in all() {
        let Some(place) = ARROW.iter().position(|name| *name == module(&file)) else {
            continue;
        };
        for named in named_modules(&code(&text)) {
            if let Some(other) = ARROW.iter().position(|name| *name == named)
                && other > place
            {
                wrong.push(format!("{file} names {named}"));
            }
            if named == "cli" {
                wrong.push(format!("{file} names cli"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_library_stays_in_its_room() {
    let rooms: [(&str, &[&str]); 5] = [
        ("diesel", &["store"]),
        ("actix_web", &["http", "server", "jobs", "live/session_store", "cli/"]),
        ("actix_session", &["http", "live/session_store"]),
        ("askama", &["http", "mail"]),
        ("lettre", &["mail"]),
    ];
    let mut wrong = Vec::new();
    for (file, text) in all() {
        let code = code(&text);
        for (library, allowed) in rooms {
            let named = code.contains(&format!("{library}::")) || code.contains(&format!("use {library}"));
            if named && !allowed.iter().any(|room| file.starts_with(room)) {
                wrong.push(format!("{file} names {library}"));
            }
        }
        for (call, allowed) in [
            ("std::env::var", &["config", "cli"][..]),
            ("SystemTime::now", &["clock"]),
            ("getrandom::", &["random"]),
        ] {
            if code.contains(call) && !allowed.iter().any(|room| file.starts_with(room)) {
                wrong.push(format!("{file} calls {call}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pages_know_neither_store_nor_hashing() {
    let wrong: Vec<String> = all()
        .into_iter()
        .filter(|(file, _)| module(file) == "http")
        .filter(|(_, text)| {
            named_modules(&code(text))
                .iter()
                .any(|named| named == "store" || named == "hashing")
        })
        .map(|(file, _)| file)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn siblings_in_flows_and_pages_do_not_import_each_other() {
    let mut wrong = Vec::new();
    for (file, text) in all() {
        let Some(flow) = file.strip_prefix("flows/") else {
            continue;
        };
        let own = flow.trim_end_matches(".rs");
        for sibling in code(&text).match_indices("flows::").map(|(start, _)| start + 7) {
            let name: String = code(&text)[sibling..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if name != own && !name.is_empty() && name.chars().next().is_some_and(char::is_lowercase) {
                wrong.push(format!("{file} names flows::{name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_file_says_first_what_it_answers() {
    let silent: Vec<String> = all()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(file, _)| file)
        .collect();
    assert!(silent.is_empty(), "{silent:#?}");
}
