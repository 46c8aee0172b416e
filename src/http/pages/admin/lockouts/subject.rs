//! The subject of a lock or counter.
use crate::flows::lockouts::LockoutView;

/// Returns the subject of a counter: labels and values.
pub(super) fn subject_labels(view: &LockoutView) -> Vec<(&'static str, String)> {
    let key = &view.lockout.key;
    let fields = [("user", &key.account), ("IP", &key.ip), ("agent", &key.user_agent)];
    let known = fields.into_iter();
    known
        .filter_map(|(label, value)| Some((label, value.clone()?)))
        .collect()
}
