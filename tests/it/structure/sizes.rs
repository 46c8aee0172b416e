//! Lengths of files, functions and comments, the share of documented items, and the table of these
//! numbers.

use super::source::{SourceFile, files, is_documented, is_test};
use proc_macro2::Span;
use syn::{Attribute, Block, ImplItem, Item, ItemFn, TraitItem, Visibility, visit::Visit};

const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 60;
const COMMENT_COLUMNS: usize = 100;
const CODE_COLUMNS: usize = 120;

/// How many places still exceed a limit. May only shrink.
const KNOWN_LONG_FILES: usize = 0;
const KNOWN_LONG_FUNCTIONS: usize = 0;
const KNOWN_WIDE_COMMENTS: usize = 0;
const KNOWN_WIDE_LINES: usize = 7;

/// Minimum share of public items with a doc comment, in per cent.
const DOCUMENTED: usize = 95;

/// A function with the lines of code in its body.
struct Function {
    place: String,
    lines: usize,
}

/// Functions of one file, those for tests left out.
struct FunctionCollector<'a> {
    file: &'a SourceFile,
    found: Vec<Function>,
}

impl FunctionCollector<'_> {
    fn keep(&mut self, name: &syn::Ident, body: &Block) {
        let (start, end) = (
            body.brace_token.span.open().start(),
            body.brace_token.span.close().end(),
        );
        let body = self
            .file
            .text
            .lines()
            .skip(start.line)
            .take(end.line.saturating_sub(start.line + 1));
        let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
        self.found.push(Function {
            place: format!("{}:{} {name}", self.file.name, start.line),
            lines: body.filter(is_code).count(),
        });
    }
}

impl<'ast> Visit<'ast> for FunctionCollector<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            syn::visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.keep(&function.sig.ident, &function.block);
        syn::visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.keep(&function.sig.ident, &function.block);
        syn::visit::visit_impl_item_fn(self, function);
    }
}

fn functions() -> Vec<Function> {
    let mut functions = Vec::new();
    for file in files() {
        let mut collector = FunctionCollector {
            file,
            found: Vec::new(),
        };
        file.items().iter().for_each(|item| collector.visit_item(item));
        functions.append(&mut collector.found);
    }
    functions
}

/// Public items with the place of each one, and whether it has a doc comment.
fn public_items() -> Vec<(String, bool)> {
    let mut found = Vec::new();
    for file in files() {
        let mut keep = |visibility: &Visibility, attributes: &[Attribute], span: Span| {
            if matches!(visibility, Visibility::Public(_)) {
                found.push((
                    format!("{}:{}", file.name, span.start().line),
                    is_documented(attributes),
                ));
            }
        };
        for item in file.items() {
            match item {
                Item::Struct(item) => keep(&item.vis, &item.attrs, item.ident.span()),
                Item::Enum(item) => keep(&item.vis, &item.attrs, item.ident.span()),
                Item::Trait(item) => {
                    keep(&item.vis, &item.attrs, item.ident.span());
                    for method in &item.items {
                        if let TraitItem::Fn(method) = method {
                            keep(&item.vis, &method.attrs, method.sig.ident.span());
                        }
                    }
                }
                Item::Type(item) => keep(&item.vis, &item.attrs, item.ident.span()),
                Item::Const(item) => keep(&item.vis, &item.attrs, item.ident.span()),
                Item::Static(item) => keep(&item.vis, &item.attrs, item.ident.span()),
                Item::Fn(item) => keep(&item.vis, &item.attrs, item.sig.ident.span()),
                Item::Impl(item) => {
                    for member in &item.items {
                        match member {
                            ImplItem::Fn(member) => keep(&member.vis, &member.attrs, member.sig.ident.span()),
                            ImplItem::Const(member) => keep(&member.vis, &member.attrs, member.ident.span()),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
    }
    found
}

/// Comments of a line of their own that are too wide; tables, links and single words cannot be
/// broken.
fn wide_comments() -> Vec<String> {
    let mut wide = Vec::new();
    for file in files() {
        for (index, line) in file.text.lines().enumerate() {
            let text = line.trim_start();
            let is_one_word = text.trim_start_matches(['/', '!']).trim().split(' ').count() == 1;
            let unbreakable = is_one_word || text.contains("](") || text.contains("://") || text.contains(" | ");
            if text.starts_with("//") && line.chars().count() > COMMENT_COLUMNS && !unbreakable {
                wide.push(format!("{}:{}", file.name, index + 1));
            }
        }
    }
    wide
}

fn file_lengths() -> Vec<(usize, &'static str)> {
    let lengths = files()
        .iter()
        .map(|file| (file.text.lines().count(), file.name.as_str()));
    let mut lengths: Vec<_> = lengths.collect();
    lengths.sort_unstable();
    lengths
}

/// Refuses more places than are known; `known` only ever shrinks.
#[track_caller]
fn at_most(known: usize, what: &str, places: &[String]) {
    assert!(
        places.len() <= known,
        "{} {what}, {known} known:\n{}",
        places.len(),
        places.join("\n")
    );
}

#[test]
fn files_are_short() {
    let long = file_lengths().into_iter().filter(|(lines, _)| *lines > FILE_LINES);
    let long: Vec<String> = long.map(|(lines, name)| format!("{name}: {lines} lines")).collect();
    at_most(KNOWN_LONG_FILES, "files are over 500 lines", &long);
}

#[test]
fn functions_are_short() {
    let long = functions()
        .into_iter()
        .filter(|function| function.lines > FUNCTION_LINES);
    let long: Vec<String> = long
        .map(|function| format!("{}: {} lines", function.place, function.lines))
        .collect();
    at_most(KNOWN_LONG_FUNCTIONS, "functions are over 60 lines", &long);
}

#[test]
fn comments_are_narrow() {
    at_most(
        KNOWN_WIDE_COMMENTS,
        "comments are wider than 100 columns",
        &wide_comments(),
    );
}

/// rustfmt leaves a whole function as it is when one literal in it does not fit: literals are
/// split.
#[test]
fn lines_of_code_are_narrow() {
    let mut wide = Vec::new();
    for file in files() {
        for (index, line) in file.text.lines().enumerate() {
            if line.chars().count() > CODE_COLUMNS && !line.trim_start().starts_with("//") {
                wide.push(format!("{}:{}", file.name, index + 1));
            }
        }
    }
    at_most(KNOWN_WIDE_LINES, "lines of code are wider than 120 columns", &wide);
}

#[test]
fn public_items_are_documented() {
    let items = public_items();
    let bare: Vec<&str> = items
        .iter()
        .filter(|item| !item.1)
        .map(|item| item.0.as_str())
        .collect();
    let share = 100 - 100 * bare.len() / items.len();
    assert!(
        share >= DOCUMENTED,
        "{share} % of {} public items are documented:\n{}",
        items.len(),
        bare.join("\n")
    );
}

/// `cargo test --test it structure::sizes::numbers -- --nocapture` prints the table of
/// docs/architecture.md.
#[test]
fn numbers() {
    let lengths = file_lengths();
    let line = |share: usize| lengths[(lengths.len() - 1) * share / 100].0;
    let functions = functions();
    let long = functions
        .iter()
        .filter(|function| function.lines > FUNCTION_LINES)
        .count();
    let items = public_items();
    let documented = items.iter().filter(|item| item.1).count();
    println!("| measure | value |\n|---|---|");
    println!("| files | {} |", lengths.len());
    println!(
        "| lines per file: median · p90 · max | {} · {} · {} |",
        line(50),
        line(90),
        line(100)
    );
    println!("| functions | {} |", functions.len());
    println!("| functions over {FUNCTION_LINES} lines | {long} |");
    println!(
        "| public items with a doc comment | {} % |",
        100 * documented / items.len()
    );
    assert!(line(50) > 0);
}
