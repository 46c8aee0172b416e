//! Parses the text of a hue.ini as ConfigObj does, Hue's library: nested `[[sections]]`, quotes,
//! `#` comments. The parser is our own because a fault must name its line: `configparser` reads
//! such sections but keeps no lines and removes no quotes, `rust-ini` fails on `[[`. `hue`
//! interprets the keys.

/// One `key = value` of a file.
#[derive(Debug)]
pub(super) struct IniEntry {
    /// The line where it begins, from 1.
    pub line: usize,
    /// The section in lower case, such as `desktop.auth`; empty before the first section.
    pub section: String,
    /// The key as written.
    pub key: String,
    /// The value without quotes and comment, or why it has none.
    pub value: Result<IniText, &'static str>,
}

/// A value as ConfigObj returns it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IniText {
    /// The text without its quotes; a list as written.
    pub text: String,
    /// Whether a comma outside quotes makes it a list.
    pub list: bool,
}

/// A line that is not a section, an entry or a comment. Its text is not stored, because it may be a
/// password.
#[derive(Debug)]
pub(super) struct BadLine {
    /// The line, from 1.
    pub line: usize,
    /// The problem.
    pub why: &'static str,
}

const UNCLOSED: &str = "the quotes are not closed";

/// Returns all entries and all unreadable lines in order.
pub(super) fn read(text: &str) -> (Vec<IniEntry>, Vec<BadLine>) {
    let mut reader = IniReader::default();
    let mut lines = text.lines().enumerate();
    while let Some((place, content)) = lines.next() {
        let (line, content) = (place + 1, content.trim());
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        if content.starts_with('[') {
            reader.section(line, content);
            continue;
        }
        let Some((key, rest)) = key(content) else {
            reader.add_bad_line(line, "not a [section], not key = value, not a # comment");
            continue;
        };
        let value = match triple(rest) {
            Some((quotes, inner)) => match triple_quoted(quotes, inner, &mut lines) {
                Some(text) => Ok(IniText { text, list: false }),
                None => {
                    // The text that follows is inside the quotes, so the fault is not about one
                    // key.
                    reader.add_bad_line(line, UNCLOSED);
                    continue;
                }
            },
            None => value(rest),
        };
        reader.entries.push(IniEntry {
            line,
            section: reader.sections.join("."),
            key: key.to_owned(),
            value: value.and_then(without_references),
        });
    }
    (reader.entries, reader.bad)
}

#[derive(Default)]
struct IniReader {
    sections: Vec<String>,
    entries: Vec<IniEntry>,
    bad: Vec<BadLine>,
}

impl IniReader {
    fn add_bad_line(&mut self, line: usize, why: &'static str) {
        self.bad.push(BadLine { line, why });
    }

    /// Reads `[desktop]`, `[[auth]]`, `[[ "a name" ]] # and a comment`.
    fn section(&mut self, line: usize, content: &str) {
        let bracket = |c: char, which: char| c == which || c.is_whitespace();
        let inner = content.trim_start_matches(|c| bracket(c, '['));
        let depth = content[..content.len() - inner.len()].matches('[').count();
        let (name, rest) = match inner.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            Some(quote) => inner[1..].split_once(quote).unwrap_or((inner, "")),
            None => inner.split_at(inner.find(']').unwrap_or(inner.len())),
        };
        let after = rest.trim_start_matches(|c| bracket(c, ']'));
        let closed = rest[..rest.len() - after.len()].matches(']').count();
        if name.trim().is_empty() {
            return self.add_bad_line(line, "a section without a name");
        }
        if !after.is_empty() && !after.starts_with('#') {
            return self.add_bad_line(line, "a section must be on its own line");
        }
        if closed != depth {
            self.add_bad_line(line, "a section must be closed by as many brackets as open it");
        } else if depth > self.sections.len() + 1 {
            self.add_bad_line(line, "this section needs a parent section one level above it");
        }
        self.sections.truncate(depth - 1);
        self.sections.push(name.trim().to_lowercase());
    }
}

/// Splits a line into its key, which may be quoted, and the text after the `=`.
fn key(content: &str) -> Option<(&str, &str)> {
    let (key, rest) = match content.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        Some(quote) => {
            let (key, rest) = content[1..].split_once(quote)?;
            (key, rest.trim_start().strip_prefix('=')?)
        }
        None => content.split_once('=')?,
    };
    let key = key.trim();
    (!key.is_empty()).then(|| (key, rest.trim()))
}

/// Returns whether nothing or a comment follows a value.
fn ends(rest: &str) -> bool {
    let rest = rest.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

fn triple(rest: &str) -> Option<(&'static str, &str)> {
    ["\"\"\"", "'''"]
        .into_iter()
        .find_map(|quotes| rest.strip_prefix(quotes).map(|inner| (quotes, inner)))
}

/// Reads up to the first such quotes that end the value, on this line or a later one.
fn triple_quoted<'t>(quotes: &str, inner: &str, lines: &mut impl Iterator<Item = (usize, &'t str)>) -> Option<String> {
    let mut text = String::new();
    let mut line = inner;
    loop {
        if let Some(end) = positions(line, quotes).find(|end| ends(&line[end + quotes.len()..])) {
            text.push_str(&line[..end]);
            return Some(text);
        }
        text.push_str(line);
        text.push('\n');
        line = lines.next()?.1;
    }
}

/// Returns the positions of `quotes`, including overlapping ones.
fn positions<'t>(text: &'t str, quotes: &'t str) -> impl Iterator<Item = usize> + 't {
    let starts = text.char_indices().map(|(at, _)| at);
    starts.filter(move |at| text[*at..].starts_with(quotes))
}

/// Reads a value on one line.
fn value(rest: &str) -> Result<IniText, &'static str> {
    let rest = rest.trim();
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let inner = &rest[1..];
        let closing = inner
            .match_indices(quote)
            .map(|(end, _)| (&inner[..end], &inner[end + 1..]));
        for (text, after) in closing {
            if after.trim_start().starts_with(',') {
                break;
            }
            if ends(after) {
                return Ok(IniText {
                    text: text.to_owned(),
                    list: false,
                });
            }
        }
    }
    let (text, list) = before_comment(rest)?;
    if quote.is_some() && !list {
        return Err(UNCLOSED);
    }
    Ok(IniText {
        text: text.trim_end().to_owned(),
        list,
    })
}

/// Cuts the text at the first `#` outside quotes, and returns whether a comma is outside quotes
/// before it.
fn before_comment(rest: &str) -> Result<(&str, bool), &'static str> {
    let (mut quote, mut list, mut begins) = (None, false, true);
    for (at, c) in rest.char_indices() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            // Quotes count only at the beginning of an item; later they are ordinary characters.
            (None, '"' | '\'') if begins => quote = Some(c),
            (None, '#') => return Ok((&rest[..at], list)),
            (None, ',') => list = true,
            (None, _) => {}
        }
        begins = c == ',' || (begins && c.is_whitespace());
    }
    if quote.is_some() {
        return Err(UNCLOSED);
    }
    Ok((rest, list))
}

/// Refuses `%(name)s`, which ConfigObj would replace by another key's value.
fn without_references(value: IniText) -> Result<IniText, &'static str> {
    let mut openings = value.text.match_indices("%(");
    let refers = openings.any(|(at, _)| {
        let rest = &value.text[at..];
        rest.find(')').is_some_and(|end| rest[end + 1..].starts_with('s'))
    });
    if refers {
        Err("refers to another key by %(name)s: write the value itself")
    } else {
        Ok(value)
    }
}

/// Quotes a text so that it reads back unchanged; `None`: the format cannot express it.
pub(super) fn quoted(text: &str) -> Option<String> {
    let bare = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let styles = ["\"", "'", "\"\"\"", "'''"].map(|quotes| format!("{quotes}{text}{quotes}"));
    let written = (bare && !text.is_empty())
        .then(|| text.to_owned())
        .into_iter()
        .chain(styles);
    written.into_iter().find(|written| {
        let (entries, bad) = read(&format!("k = {written}"));
        let same = |entry: &IniEntry| {
            entry
                .value
                .as_ref()
                .is_ok_and(|value| value.text == text && !value.list)
        };
        bad.is_empty() && entries.len() == 1 && entries.iter().all(same)
    })
}
