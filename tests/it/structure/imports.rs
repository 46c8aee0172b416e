//! Imports between files: every path in the source, resolved to its file.
//!
//! A path counts anywhere: in `use`, in code, in the arguments of a macro. `crate::`, `super::`,
//! `self::`, the names of child modules and of imported modules are resolved; a re-export (`pub
//! use`) leads to the file of the item and is itself not an import. Code only for tests is left
//! out.

use super::source::{SourceFile, is_test};
use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::{Item, ItemUse, Path, UseTree, Visibility, visit::Visit};

/// Every file, and for each one the files and modules that it names.
pub struct Imports<'a> {
    pub files: &'a [SourceFile],
    modules: BTreeMap<&'a [String], usize>,
    /// Re-exports of each file: name → absolute path.
    exports: Vec<BTreeMap<String, Vec<String>>>,
}

impl<'a> Imports<'a> {
    pub fn of(files: &'a [SourceFile]) -> Self {
        let mut imports = Self {
            modules: (0..files.len()).map(|i| (files[i].module.as_slice(), i)).collect(),
            exports: vec![BTreeMap::new(); files.len()],
            files,
        };
        for (index, file) in files.iter().enumerate() {
            for item in uses(file.items()).filter(|item| !matches!(item.vis, Visibility::Inherited)) {
                for (name, path) in leaves(&item.tree) {
                    if let Some(path) = imports.absolute(index, &BTreeMap::new(), &path) {
                        imports.exports[index].insert(name, path);
                    }
                }
            }
        }
        imports
    }

    /// Absolute paths that a file names, each as far as it is written: `["flows", "login",
    /// "sign_in"]`.
    pub fn named_paths(&self, index: usize) -> BTreeSet<Vec<String>> {
        let file = &self.files[index];
        let mut scope = BTreeMap::new();
        let mut named = BTreeSet::new();
        for item in uses(file.items()) {
            let exported = !matches!(item.vis, Visibility::Inherited);
            for (name, path) in leaves(&item.tree) {
                let Some(path) = self.absolute(index, &scope, &path) else {
                    continue;
                };
                if self.is_module(&path) {
                    scope.insert(name, path);
                } else if !exported {
                    named.insert(path);
                }
            }
        }
        let mut paths = PathCollector::default();
        for item in file.items() {
            if !matches!(item, Item::Use(_)) && !is_test(attributes(item)) {
                paths.visit_item(item);
            }
        }
        named.extend(paths.found.iter().filter_map(|path| self.absolute(index, &scope, path)));
        named
    }

    /// Returns the files that a file imports, without itself.
    pub fn named_files(&self, index: usize) -> BTreeSet<usize> {
        let paths = self.named_paths(index);
        let mut files: BTreeSet<usize> = paths.iter().filter_map(|path| self.file(path)).collect();
        files.remove(&index);
        files
    }

    /// Returns the file of the item that a path names; re-exports are followed.
    pub fn file(&self, path: &[String]) -> Option<usize> {
        let mut length = 0;
        let mut file = *self.modules.get(&path[..0])?;
        while let Some(next) = path.get(..length + 1).and_then(|module| self.modules.get(module)) {
            (file, length) = (*next, length + 1);
        }
        match path.get(length).and_then(|name| self.exports[file].get(name)) {
            Some(target) if !path.starts_with(target) => {
                let onward: Vec<String> = target.iter().chain(&path[length + 1..]).cloned().collect();
                self.file(&onward)
            }
            _ => Some(file),
        }
    }

    fn is_module(&self, path: &[String]) -> bool {
        self.modules.contains_key(path)
    }

    /// Returns the absolute path of a path in this file, if it leads into the program's own source.
    fn absolute(&self, index: usize, scope: &BTreeMap<String, Vec<String>>, path: &[String]) -> Option<Vec<String>> {
        let file = &self.files[index];
        let (first, rest) = path.split_first()?;
        let (mut base, mut rest) = match first.as_str() {
            "crate" => (file.crate_root.clone(), rest),
            "self" => (file.module.clone(), rest),
            "super" => (file.module[..file.module.len().checked_sub(1)?].to_vec(), rest),
            name => {
                let child = [&file.module[..], &[name.to_owned()]].concat();
                let member = name.strip_prefix("nightlatch_").map(|member| vec![member.to_owned()]);
                if let Some(module) = scope.get(name) {
                    (module.clone(), rest)
                } else if self.is_module(&child) {
                    (child, rest)
                } else if let Some(member) = member.filter(|member| self.is_module(member)) {
                    (member, rest)
                } else if name == "nightlatch" {
                    (Vec::new(), rest)
                } else {
                    return None;
                }
            }
        };
        while rest.first().is_some_and(|segment| segment == "super") {
            base.pop();
            rest = &rest[1..];
        }
        base.extend_from_slice(rest);
        Some(base)
    }
}

/// The imports of a file, those for tests left out.
pub fn uses(items: &[Item]) -> impl Iterator<Item = &ItemUse> {
    items.iter().filter_map(|item| match item {
        Item::Use(item) if !is_test(&item.attrs) => Some(item),
        _ => None,
    })
}

fn attributes(item: &Item) -> &[syn::Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns every name that a `use` imports, with its path; for a glob, the module.
fn leaves(tree: &UseTree) -> Vec<(String, Vec<String>)> {
    match tree {
        UseTree::Path(path) => leaves(&path.tree)
            .into_iter()
            .map(|(name, rest)| (name, [vec![path.ident.to_string()], rest].concat()))
            .map(|(name, path)| match path.as_slice() {
                // `use a::b::{self}` brings in `b`.
                [start @ .., last] if last == "self" && !start.is_empty() => {
                    (start[start.len() - 1].clone(), start.to_vec())
                }
                _ => (name, path),
            })
            .collect(),
        UseTree::Name(name) => vec![(name.ident.to_string(), vec![name.ident.to_string()])],
        UseTree::Rename(rename) => vec![(rename.rename.to_string(), vec![rename.ident.to_string()])],
        UseTree::Glob(_) => vec![("*".to_owned(), vec!["*".to_owned()])],
        UseTree::Group(group) => group.items.iter().flat_map(leaves).collect(),
    }
}

/// Paths of more than one segment, in code and in what is handed to macros.
#[derive(Default)]
struct PathCollector {
    found: Vec<Vec<String>>,
}

impl<'ast> Visit<'ast> for PathCollector {
    fn visit_path(&mut self, path: &'ast Path) {
        if path.segments.len() > 1 {
            let segments = path.segments.iter().map(|segment| segment.ident.to_string());
            self.found.push(segments.collect());
        }
        syn::visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.tokens(call.tokens.clone());
        syn::visit::visit_macro(self, call);
    }

    /// `pub(in crate::http)` says who may see an item, not what the file uses.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.found.extend(leaves(&item.tree).into_iter().map(|(_, path)| path));
    }
}

impl PathCollector {
    /// Finds `a::b::c` among the tokens of a macro's arguments.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                TokenTree::Ident(name) => {
                    if colons != 2 {
                        self.keep(&mut path);
                    }
                    path.push(name.to_string());
                    colons = 0;
                }
                other => {
                    self.keep(&mut path);
                    colons = 0;
                    if let TokenTree::Group(group) = other {
                        self.tokens(group.stream());
                    }
                }
            }
        }
        self.keep(&mut path);
    }

    fn keep(&mut self, path: &mut Vec<String>) {
        let path = std::mem::take(path);
        if path.len() > 1 {
            self.found.push(path);
        }
    }
}
