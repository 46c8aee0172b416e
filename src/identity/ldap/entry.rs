//! Entries as the server sends them. The library's own reader panics on a malformed answer, and
//! sorts values into text and binary by chance; this one keeps bytes and refuses what it cannot
//! read.

use ldap3::ResultEntry;
use std::collections::HashMap;

/// An entry: its DN and the values of its attributes, under their names in lower case.
pub(super) struct DirectoryEntry {
    pub(super) dn: String,
    attributes: HashMap<String, Vec<Vec<u8>>>,
    /// Attributes with further values, and the number of the first one that is missing.
    cut: HashMap<String, u32>,
}

impl DirectoryEntry {
    /// Reads an entry; `None`: it is malformed, or no entry but a reference.
    pub(super) fn read(entry: ResultEntry) -> Option<Self> {
        let mut parts = entry.0.match_id(4)?.expect_constructed()?.into_iter();
        let dn = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
        let mut attributes: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
        let mut cut = HashMap::new();
        for attribute in parts.next()?.expect_constructed()? {
            let mut parts = attribute.expect_constructed()?.into_iter();
            let name = String::from_utf8(parts.next()?.expect_primitive()?).ok()?;
            let values = parts.next()?.expect_constructed()?.into_iter();
            let values = values
                .map(|value| value.expect_primitive())
                .collect::<Option<Vec<_>>>()?;
            // Options such as `;binary` and `;range=0-1499` belong to the description of the
            // attribute, not to its name.
            let bare = name.split(';').next().unwrap_or_default().to_ascii_lowercase();
            cut.extend(next_of_range(&name).map(|next| (bare.clone(), next)));
            attributes.entry(bare).or_default().extend(values);
        }
        Some(Self { dn, attributes, cut })
    }

    /// Returns the values of an attribute.
    pub(super) fn values(&self, attribute: &str) -> &[Vec<u8>] {
        let values = self.attributes.get(&attribute.to_ascii_lowercase());
        values.map_or(&[], Vec::as_slice)
    }

    /// Returns the number of the first value that the server left out, counted from 0; `None`: the
    /// values are complete.
    pub(super) fn first_missing(&self, attribute: &str) -> Option<u32> {
        self.cut.get(&attribute.to_ascii_lowercase()).copied()
    }

    /// Returns the first value as text; `None`: there is none, or it is not UTF-8.
    pub(super) fn text(&self, attribute: &str) -> Option<&str> {
        let value = self.values(attribute).first()?;
        std::str::from_utf8(value)
            .ok()
            .map(str::trim)
            .filter(|text| !text.is_empty())
    }

    /// Returns all values that are text.
    pub(super) fn texts(&self, attribute: &str) -> impl Iterator<Item = &str> {
        let values = self.values(attribute).iter();
        values.filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Returns the first value as a whole number.
    pub(super) fn number(&self, attribute: &str) -> Option<i64> {
        self.text(attribute)?.parse().ok()
    }
}

/// Reads the option with which Active Directory says that it sent a part of the values:
/// `member;range=0-1499`. The last part ends with `*` ([MS-ADTS] 3.1.1.3.1.3.3).
fn next_of_range(name: &str) -> Option<u32> {
    let mut options = name.split(';').skip(1);
    let range = options.find_map(|option| option.to_ascii_lowercase().strip_prefix("range=").map(str::to_owned))?;
    let (_, last) = range.split_once('-')?;
    last.parse::<u32>().ok()?.checked_add(1)
}
