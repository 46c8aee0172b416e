//! Shared parts of lists: the query of a list, page sizes, positions in addresses, links that keep
//! the filter, and the return after a POST.
use super::part::{Choice, Pager};
use crate::{
    domain::{
        duration,
        source::LOCAL,
        time::{Span, Timestamp},
    },
    http::error::PageError,
    live::sources::Sources,
};
use url::form_urlencoded;
use uuid::Uuid;

const SIZES: [(&str, &str); 3] = [("25", "25"), ("50", "50"), ("100", "100")];
const USUAL: i64 = 50;

/// The query of one list, as its address spells it.
///
/// The page, its export and the actions on all matches read the same query, so that they cannot
/// disagree about its meaning.
pub trait ListQuery {
    /// Path of the list's page.
    const PATH: &'static str;

    /// Returns name and value of every filter field, including empty ones.
    fn fields(&self) -> Vec<(&'static str, &str)>;

    /// Returns the requested page of the list.
    fn place(&self) -> PageQuery<'_>;

    /// Returns the fields that cannot be parsed, each with a message.
    fn faults(&self) -> FormFaults;

    /// Returns whether any filter narrows the list.
    fn is_filtered(&self) -> bool {
        self.fields().iter().any(|(_, value)| !value.trim().is_empty())
    }

    /// Returns the address of `path` with this filter and page size, from the first row on.
    fn href(&self, path: &str) -> String {
        href(path, self.pairs())
    }

    /// Returns the addresses of the export of everything that matches.
    fn export_links(&self, path: &str) -> ExportLinks {
        let link = |format| href(path, self.fields().into_iter().chain([("format", format)]));
        ExportLinks {
            csv: link("csv"),
            json: link("json"),
        }
    }

    /// Returns filter and page size as a query string.
    fn filter_query(&self) -> String {
        query(self.pairs())
    }

    /// Returns the whole query string: a form sends it so that its response leads back to the same
    /// page of the list.
    fn back_query(&self) -> String {
        let PageQuery { after, before, .. } = self.place();
        query(self.pairs().into_iter().chain([("after", after), ("before", before)]))
    }

    /// Returns the links to the neighboring pages.
    fn pager(&self, ends: PageEnds, labels: (&'static str, &'static str)) -> Pager {
        let link = |name: &'static str, place: Option<String>| {
            place.map(|place| href(Self::PATH, self.pairs().into_iter().chain([(name, place.as_str())])))
        };
        Pager {
            newer: link("before", ends.newer),
            older: link("after", ends.older),
            labels,
        }
    }

    /// Returns filter fields and page size.
    fn pairs(&self) -> Vec<(&'static str, &str)> {
        let mut pairs = self.fields();
        pairs.push(("limit", self.place().limit));
        pairs
    }

    /// Refuses a query with a field that cannot be parsed.
    ///
    /// A page shows a list with the valid part of its filter; an action on all matches, or an
    /// export, must not.
    ///
    /// # Errors
    ///
    /// [`PageError::BadRequest`] with the first fault's message.
    fn check(&self) -> Result<(), PageError> {
        match self.faults().into_iter().next() {
            Some((_, message)) => Err(PageError::BadRequest(message)),
            None => Ok(()),
        }
    }
}

/// The requested page of a list, and its number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery<'a> {
    pub after: &'a str,
    pub before: &'a str,
    pub limit: &'a str,
}

/// The positions of a page's first and last row, if there are more rows beyond them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageEnds {
    pub newer: Option<String>,
    pub older: Option<String>,
}

impl PageEnds {
    /// Returns the ends of a page of `items`; `newer` and `older` say whether there is more on that
    /// side.
    pub fn from_items<T>(items: &[T], newer: bool, older: bool, place: impl Fn(&T) -> String) -> Self {
        Self {
            newer: items.first().filter(|_| newer).map(&place),
            older: items.last().filter(|_| older).map(&place),
        }
    }
}

/// The addresses of a list's export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportLinks {
    pub csv: String,
    pub json: String,
}

/// Returns the sources as options of a filter; empty: every account is local.
pub fn source_choices(known: &Sources, chosen: &str) -> Vec<Choice> {
    let named: Vec<(&str, &str)> = known
        .all()
        .map(|live| (live.source.name.as_str(), live.source.title.as_str()))
        .collect();
    if named.is_empty() && chosen.is_empty() {
        return Vec::new();
    }
    Choice::list([("", "Any"), (LOCAL, "Local")].into_iter().chain(named), chosen)
}

/// Returns the rows on a page: one of the sizes offered.
pub fn limit(text: &str) -> i64 {
    SIZES
        .iter()
        .find(|(size, _)| *size == text)
        .and_then(|(size, _)| size.parse().ok())
        .unwrap_or(USUAL)
}

/// Returns the page sizes as options, with the one of `text` selected.
pub fn sizes(text: &str) -> Vec<Choice> {
    Choice::list(SIZES, &limit(text).to_string())
}

/// Returns the trimmed text, or nothing if it is empty.
pub fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Returns the instant that a duration before `now` means, such as `2h` for two hours ago. `None`:
/// the text is not a duration.
pub fn read_ago(text: &str, now: Timestamp) -> Option<Timestamp> {
    let secs = duration::parse(text).ok().filter(|secs| *secs > 0)?;
    Some(now.saturating_sub(Span::from_secs(secs)))
}

/// Returns the last instant of a range as a person typed it: of a day or a second, its last
/// instant. `None`: the text is not an instant.
pub fn read_until(text: &str) -> Option<Timestamp> {
    const DAY: usize = "2026-11-21".len();
    const SECOND: usize = "2026-11-21 17:20:05".len();
    let at = Timestamp::parse_written(text)?;
    let whole = match text.trim().trim_end_matches(['Z', 'z']).len() {
        DAY => Span::from_secs(86_400),
        SECOND => Span::from_secs(1),
        _ => return Some(at),
    };
    Some(at.saturating_add(whole).saturating_sub(Span::from_micros(1)))
}

/// Fields of a form or filter that cannot be parsed, each with a message. Without it a filter would
/// match more than intended.
pub type FormFaults = Vec<(String, String)>;

/// Returns the faults among `found`.
pub fn faults<const N: usize>(found: [(&str, Option<String>); N]) -> FormFaults {
    let found = found.into_iter();
    found
        .filter_map(|(field, fault)| Some((field.to_owned(), fault?)))
        .collect()
}

/// Returns the fault of a value that is not one of the choices.
pub fn unknown_choice(choices: &[(&str, &str)], value: &str, noun: &str) -> Option<String> {
    let known = choices.iter().any(|(code, _)| *code == value);
    (!known).then(|| unknown(noun, value))
}

/// Returns the message about a `noun` that does not exist.
pub fn unknown(noun: &str, value: &str) -> String {
    format!("There is no {noun} “{value}”.")
}

/// Formats a position in a list ordered by instant and ID, as in `after=1795281600000000.0199…`.
pub fn write_place(at: Timestamp, id: Uuid) -> String {
    format!("{}.{}", at.as_micros(), id.simple())
}

/// Parses a position from [`write_place`]; an invalid one means the first page.
pub fn read_place(text: &str) -> Option<(Timestamp, Uuid)> {
    let (micros, id) = text.split_once('.')?;
    Some((Timestamp::from_micros(micros.parse().ok()?), Uuid::parse_str(id).ok()?))
}

/// Returns `path?name=value…`, without empty values.
pub fn href<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = query(pairs);
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// Returns a name as one segment of a path.
pub fn segment(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect()
}

/// Returns the pairs as a query string, without empty values.
pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()))
        .finish()
}

/// Returns the address of a list after a POST: its path, and the query that its form sent.
///
/// The query is parsed and formatted again, so that the result can only be a query.
pub fn return_address(path: &str, carried: &str) -> String {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(carried.as_bytes()).into_owned().collect();
    href(path, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

#[cfg(test)]
mod tests;
