//! A YAML or JSON file, or lines of `name = value`, as a list of values with their paths and lines,
//! which is all that the importers of foreign files need. `ibm` and `bloomreach` interpret the
//! paths.

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{PolicyFault, Scope, import_file::fault_at};

/// Maximum nesting depth; configuration files have about a dozen levels.
const MAX_DEPTH: usize = 64;

/// One value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    /// Names from the outermost; an item of a list is named `-`.
    pub path: Vec<String>,
    /// The value without quotes; empty if there is none.
    pub text: String,
    /// The line, from 1.
    pub line: usize,
}

/// Returns all values in order.
pub(super) fn read(text: &str) -> Result<Vec<Leaf>, Vec<PolicyFault>> {
    if is_assignments(text) {
        assignments(text)
    } else {
        yaml(text)
    }
}

/// Returns the lines with content: not blank and not a comment.
fn meaningful(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(place, line)| (place + 1, line.trim()));
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Returns whether the text is lines of assignments. `/a/b = 5` is not useful YAML, where a name
/// ends in a colon followed by a space or nothing.
fn is_assignments(text: &str) -> bool {
    let first = meaningful(text).next();
    first.is_some_and(|(_, line)| {
        let name = line.split('=').next().unwrap_or_default();
        line.contains('=') && !name.contains(": ") && !line.starts_with(['{', '[', '-', '"', '\''])
    })
}

fn assignments(text: &str) -> Result<Vec<Leaf>, Vec<PolicyFault>> {
    let (mut leaves, mut faults) = (Vec::new(), Vec::new());
    for (line, content) in meaningful(text) {
        match content.split_once('=') {
            Some((name, value)) => leaves.push(Leaf {
                path: vec![name.trim().to_owned()],
                text: unquoted(value.trim()).to_owned(),
                line,
            }),
            None => faults.push(fault_at(line, Scope::Everyone, "", "", "not a line of name = value")),
        }
    }
    if faults.is_empty() { Ok(leaves) } else { Err(faults) }
}

fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

fn yaml(text: &str) -> Result<Vec<Leaf>, Vec<PolicyFault>> {
    let mut walk = LeafCollector::default();
    for event in Parser::new_from_str(text) {
        let refused = match event {
            Ok((event, span)) => walk
                .event(event, span)
                .err()
                .map(|why| (span.start.line(), why.to_owned())),
            Err(error) => Some((error.marker().line(), format!("not YAML: {}", error.info()))),
        };
        if let Some((line, why)) = refused {
            return Err(vec![fault_at(line.max(1), Scope::Everyone, "", "", &why)]);
        }
    }
    Ok(walk.leaves)
}

/// The position of the parser in the file.
#[derive(Default)]
struct LeafCollector {
    open: Vec<Level>,
    leaves: Vec<Leaf>,
}

enum Level {
    List,
    /// The name whose value comes next.
    Object(Option<String>),
}

impl LeafCollector {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, _, _) => {
                self.scalar(text, style, span);
                Ok(())
            }
            Event::Alias(_) => {
                self.scalar(Cow::Borrowed("*alias"), ScalarStyle::Plain, span);
                Ok(())
            }
            Event::MappingStart(..) => self.opens(Level::Object(None)),
            Event::SequenceStart(..) => self.opens(Level::List),
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
                self.value_done();
                Ok(())
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn opens(&mut self, level: Level) -> Result<(), &'static str> {
        if self.open.len() == MAX_DEPTH {
            return Err("nested too deeply for a configuration");
        }
        if let Some(Level::Object(None)) = self.open.last() {
            return Err("a name is a text, not a list or an object");
        }
        self.open.push(level);
        Ok(())
    }

    fn scalar(&mut self, text: Cow<'_, str>, style: ScalarStyle, span: Span) {
        if let Some(Level::Object(name @ None)) = self.open.last_mut() {
            *name = Some(text.into_owned());
            return;
        }
        let nothing = style == ScalarStyle::Plain && matches!(text.as_ref(), "~" | "null" | "Null" | "NULL");
        let path = self.open.iter().map(|level| match level {
            Level::List => "-".to_owned(),
            Level::Object(name) => name.clone().unwrap_or_default(),
        });
        self.leaves.push(Leaf {
            path: path.collect(),
            text: if nothing { String::new() } else { text.trim().to_owned() },
            line: span.start.line(),
        });
        self.value_done();
    }

    fn value_done(&mut self) {
        if let Some(Level::Object(name)) = self.open.last_mut() {
            *name = None;
        }
    }
}
