//! One page of a list that is read by the key of its items.

/// One page of a list, newest (or alphabetically first) item first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Whether there are items before the first one.
    pub newer: bool,
    /// Whether there are items after the last one.
    pub older: bool,
    /// Whether a text search stopped at its bound although there are more items.
    pub truncated: bool,
}

impl<T> Page<T> {
    /// Returns the same page with other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(f).collect(),
            newer: self.newer,
            older: self.older,
            truncated: self.truncated,
        }
    }
}
