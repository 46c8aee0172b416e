//! What lists share: page sizes, places in a list as they stand in an address, links that keep the filter, and the
//! way back after a POST.
use super::part::{Choice, Pager};
use crate::domain::time::Timestamp;
use crate::http::error::PageError;
use url::form_urlencoded;
use uuid::Uuid;

const SIZES: [(&str, &str); 3] = [("25", "25"), ("50", "50"), ("100", "100")];
const USUAL: i64 = 50;

/// Rows on a page: one of the sizes offered.
pub fn limit(asked: &str) -> i64 {
    SIZES
        .iter()
        .find(|(size, _)| *size == asked)
        .and_then(|(size, _)| size.parse().ok())
        .unwrap_or(USUAL)
}

pub fn sizes(asked: &str) -> Vec<Choice> {
    Choice::list(SIZES, &limit(asked).to_string())
}

/// What was typed, or nothing.
pub fn filled(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What of a filter cannot be read, field and sentence: without it the filter would mean more than was meant.
pub type Faults = Vec<(String, String)>;

pub fn faults<const N: usize>(found: [(&str, Option<String>); N]) -> Faults {
    let found = found.into_iter();
    found
        .filter_map(|(field, fault)| Some((field.to_owned(), fault?)))
        .collect()
}

/// That there is no such `what`, when it is none of the choices.
pub fn none_of(choices: &[(&str, &str)], value: &str, what: &str) -> Option<String> {
    let known = choices.iter().any(|(code, _)| *code == value);
    (!known).then(|| none_such(what, value))
}

pub fn none_such(what: &str, value: &str) -> String {
    format!("There is no {what} “{value}”.")
}

/// A list is shown as far as its filter can be read; whoever acts on all that match, or takes them along, asks this first.
pub fn readable(faults: Faults) -> Result<(), PageError> {
    match faults.into_iter().next() {
        Some((_, message)) => Err(PageError::BadRequest(message)),
        None => Ok(()),
    }
}

/// A place in a list ordered by instant and id, as in `after=1795281600000000.0199…`.
pub fn place(at: Timestamp, id: Uuid) -> String {
    format!("{}.{}", at.as_micros(), id.simple())
}

/// Reads [`place`] back; an address that was tampered with is the first page.
pub fn read_place(text: &str) -> Option<(Timestamp, Uuid)> {
    let (micros, id) = text.split_once('.')?;
    Some((Timestamp::from_micros(micros.parse().ok()?), Uuid::parse_str(id).ok()?))
}

/// `path?name=value…`, without the empty ones.
pub fn href<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = query(pairs);
    if query.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{query}")
    }
}

/// A name as one segment of a path.
pub fn segment(name: &str) -> String {
    form_urlencoded::byte_serialize(name.as_bytes()).collect()
}

pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()))
        .finish()
}

/// Links to the neighbours of a page: `filter` is the query without places, `first` and `last` the places of its ends.
pub fn pager(
    path: &str,
    filter: &[(&str, &str)],
    newer: Option<String>,
    older: Option<String>,
    words: (&'static str, &'static str),
) -> Pager {
    let link = |name: &'static str, place: Option<String>| {
        place.map(|place| href(path, filter.iter().copied().chain([(name, place.as_str())])))
    };
    Pager {
        newer: link("before", newer),
        older: link("after", older),
        words,
    }
}

/// Back to a list after a POST: its path, and the query that its form carried. The query is read and written anew, so that
/// nothing but a query can come of it.
pub fn back(path: &str, carried: &str) -> String {
    let pairs: Vec<(String, String)> = form_urlencoded::parse(carried.as_bytes()).into_owned().collect();
    href(path, pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back() {
        let (at, id) = (Timestamp::from_micros(1_795_281_600_250_000), Uuid::from_u128(7));
        assert_eq!(read_place(&place(at, id)), Some((at, id)));
        for odd in [
            "",
            "1",
            "x.y",
            "1.",
            "99999999999999999999.00000000000000000000000000000007",
        ] {
            assert_eq!(read_place(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_way_back_is_always_a_query_of_the_list() {
        assert_eq!(
            back("/admin/sessions", "q=a%0d%0ab&state=ended"),
            "/admin/sessions?q=a%0D%0Ab&state=ended"
        );
        assert_eq!(back("/admin/sessions", "//evil.example#x"), "/admin/sessions");
        assert_eq!(back("/admin/sessions", ""), "/admin/sessions");
    }

    #[test]
    fn only_the_sizes_offered_are_pages() {
        assert_eq!(
            (limit("25"), limit("100"), limit("100000"), limit("")),
            (25, 100, 50, 50)
        );
    }
}
