//! The program's own source, parsed: files, the module each one is, and its items.

use std::{
    cell::OnceCell,
    fs,
    path::{Path, PathBuf},
};
use syn::{Attribute, Item};

/// One file below `src`.
pub struct SourceFile {
    /// Path below `src`: `flows/login.rs`.
    pub name: String,
    /// Module path: `flows/login.rs` is `["flows", "login"]`, `lib.rs` is empty.
    pub module: Vec<String>,
    /// Module path of the crate root that `crate::` means in this file.
    pub crate_root: Vec<String>,
    pub text: String,
    items: OnceCell<Vec<Item>>,
}

impl SourceFile {
    /// The top-level module of the file: `flows` of `flows/login.rs`.
    pub fn layer(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    /// Returns the items of the file, parsed on first use.
    pub fn items(&self) -> &[Item] {
        self.items.get_or_init(|| match syn::parse_file(&self.text) {
            Ok(parsed) => parsed.items,
            Err(error) => panic!("{}: {error}", self.name),
        })
    }

    /// The code without comments and test modules, for searches by text.
    pub fn code(&self) -> String {
        let text = self.text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split("//").next());
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Every source file, in order of name.
pub fn files() -> &'static [SourceFile] {
    // Parsed items are bound to their thread, so each test has files of its own.
    thread_local! {
        static FILES: &'static [SourceFile] = Box::leak(read_all().into_boxed_slice());
    }
    FILES.with(|files| *files)
}

/// Whether an item is compiled for tests alone.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || (attribute.path().is_ident("cfg")
                && attribute
                    .meta
                    .require_list()
                    .is_ok_and(|list| list.tokens.to_string() == "test"))
    })
}

/// Whether an item has a doc comment.
pub fn is_documented(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| attribute.path().is_ident("doc"))
}

fn read_all() -> Vec<SourceFile> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    let mut paths = Vec::new();
    collect(root, &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        SourceFile {
            module: module_path(&name),
            name,
            crate_root: crate_root(root, &path),
            text: fs::read_to_string(&path).unwrap(),
            items: OnceCell::new(),
        }
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The nearest folder below `src` with a manifest of its own, as a module path.
fn crate_root(root: &Path, file: &Path) -> Vec<String> {
    file.ancestors()
        .skip(1)
        .take_while(|folder| *folder != root)
        .find(|folder| folder.join("Cargo.toml").exists())
        .map(|folder| module_path(&folder.strip_prefix(root).unwrap().display().to_string()))
        .unwrap_or_default()
}

fn module_path(name: &str) -> Vec<String> {
    let mut path: Vec<String> = name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    if matches!(path.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        path.pop();
    }
    path
}
