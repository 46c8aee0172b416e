//! One page of a list that is walked by the key of its rows: no page costs more than the first one, and none is skipped or shown
//! twice because of what came in between. What the key is, and the filter, are each table's own.

use super::StoreError;

/// One page of a list, newest (or alphabetically first) item first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// There are items before the first one.
    pub newer: bool,
    /// There are items after the last one.
    pub older: bool,
    /// A text search looked at a bounded number of rows and there were more.
    pub truncated: bool,
}

impl<T> Page<T> {
    /// The same page with other items.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        let Page {
            items,
            newer,
            older,
            truncated,
        } = self;
        Page {
            items: items.into_iter().map(f).collect(),
            newer,
            older,
            truncated,
        }
    }
}

/// Which rows, and in which order.
#[derive(Clone, Copy)]
pub(super) enum Walk<K> {
    /// From the beginning of the list.
    FromTop,
    /// What follows this key, in the list's order.
    Older(K),
    /// What comes before this key, in the reverse order.
    Newer(K),
}

/// The page after or before a key, or the first one. `read` gives so many rows of a walk at most.
pub(super) fn page<T, K: Clone>(
    (after, before): (Option<K>, Option<K>),
    limit: i64,
    key: impl Fn(&T) -> Result<K, StoreError>,
    mut read: impl FnMut(Walk<K>, i64) -> Result<Vec<T>, StoreError>,
) -> Result<Page<T>, StoreError> {
    let limit = limit.max(0);
    let walk = match (after, before) {
        (Some(key), _) => Walk::Older(key),
        (None, Some(key)) => Walk::Newer(key),
        (None, None) => Walk::FromTop,
    };
    let mut items = read(walk.clone(), limit + 1)?;
    let more = items.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    // The side that was not read: is there anything beyond the item at that end (or beyond the cursor itself)?
    let mut beyond = |walk: Walk<K>| Ok::<_, StoreError>(!read(walk, 1)?.is_empty());
    let (newer, older) = match walk {
        Walk::FromTop => (false, more),
        Walk::Older(cursor) => {
            let edge = items.first().map_or(Ok(cursor), key)?;
            (beyond(Walk::Newer(edge))?, more)
        }
        Walk::Newer(cursor) => {
            items.reverse();
            let edge = items.last().map_or(Ok(cursor), key)?;
            (more, beyond(Walk::Older(edge))?)
        }
    };
    Ok(Page {
        items,
        newer,
        older,
        truncated: false,
    })
}
