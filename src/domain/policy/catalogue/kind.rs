//! The kinds of settings: type and bounds.

/// Type and bounds of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole seconds from `min` to ten years; -1 (never) only if allowed.
    Duration {
        /// The minimum, in seconds.
        min: i64,
        /// Whether -1 is allowed.
        never: bool,
    },
    /// On or off.
    Flag,
    /// On, off, or whole seconds.
    FlagOrDuration,
    /// A whole number within bounds.
    Number {
        /// The minimum.
        min: i64,
        /// The maximum.
        max: i64,
    },
    /// -1 (unlimited), or 0…max.
    Count {
        /// The maximum.
        max: i64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// One of these numbers (8, 16, 24, 32).
    NumberChoice(&'static [i64]),
    /// One line of free text.
    Text {
        /// Whether it must be a regular expression.
        regex: bool,
    },
    /// Path patterns: `*` matches any characters, `?` one.
    Globs,
    /// Addresses and networks.
    Cidrs,
    /// Network groups: one per line, its addresses and networks separated by commas.
    NetworkGroups,
}
