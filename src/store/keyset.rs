//! Pages of a list that is read by the key of its rows: every page costs as much as the first, and
//! rows added in between cause no gaps or repetitions. Each table defines its key and its filter.

use super::StoreError;
use crate::domain::list::Page;

/// The rows of a page, and their order.
#[derive(Clone, Copy)]
pub(super) enum PageDirection<K> {
    /// The beginning of the list.
    FromTop,
    /// The rows after this key, in the list's order.
    Older(K),
    /// The rows before this key, in the reverse order.
    Newer(K),
}

/// Returns the page after or before a key, or the first one. `read` returns at most the given
/// number of rows of a walk.
pub(super) fn page<T, K: Clone>(
    (after, before): (Option<K>, Option<K>),
    limit: i64,
    key: impl Fn(&T) -> Result<K, StoreError>,
    mut read: impl FnMut(PageDirection<K>, i64) -> Result<Vec<T>, StoreError>,
) -> Result<Page<T>, StoreError> {
    let limit = limit.max(0);
    let walk = match (after, before) {
        (Some(key), _) => PageDirection::Older(key),
        (None, Some(key)) => PageDirection::Newer(key),
        (None, None) => PageDirection::FromTop,
    };
    let mut items = read(walk.clone(), limit + 1)?;
    let more = items.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    // Checks the other side: whether there is anything beyond the item at that end (or beyond the
    // cursor itself).
    let mut beyond = |walk: PageDirection<K>| Ok::<_, StoreError>(!read(walk, 1)?.is_empty());
    let (newer, older) = match walk {
        PageDirection::FromTop => (false, more),
        PageDirection::Older(cursor) => {
            let edge = items.first().map_or(Ok(cursor), key)?;
            (beyond(PageDirection::Newer(edge))?, more)
        }
        PageDirection::Newer(cursor) => {
            items.reverse();
            let edge = items.last().map_or(Ok(cursor), key)?;
            (more, beyond(PageDirection::Older(edge))?)
        }
    };
    Ok(Page {
        items,
        newer,
        older,
        truncated: false,
    })
}
