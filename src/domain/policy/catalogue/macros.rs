//! The notation of the catalogue: from a row for each setting to [`Key`](super::Key) and the table
//! behind it.

/// A default value as the catalogue writes it.
macro_rules! default_value {
    (flag $on:literal) => {
        || Value::Flag($on)
    };
    (number $number:literal) => {
        || Value::Number($number)
    };
    (text $text:literal) => {
        || Value::Text(String::from($text))
    };
    (list) => {
        || Value::List(Vec::new())
    };
}

/// The scopes besides everyone that a setting of the catalogue allows: (administrators,
/// applications).
macro_rules! overridable {
    (all, $which:ident) => {
        true
    };
    (everyone, $which:ident) => {
        false
    };
    (administrators, administrators) => {
        true
    };
    (administrators, applications) => {
        false
    };
    (applications, administrators) => {
        false
    };
    (applications, applications) => {
        true
    };
}

/// Declares every setting once and defines [`Key`] and the table behind [`Key::setting`].
macro_rules! catalogue {
    ($($group:ident { $(
        $key:ident $name:literal $label:literal [$kind:expr] = $default_kind:ident $($default:literal)?,
            for $scopes:ident $(, words $words:expr)?;
            $effect:literal
            synonyms [$($synonym:literal),*] from $source:literal;
    )+ })+) => {
        /// The identity of a setting, such as `auth.idle_session_timeout`; ordered as the editor
        /// shows them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Key { $($( #[doc = concat!("`", $name, "`: ", $effect)] $key, )+)+ }

        /// In the order of [`Key`], whose discriminants are the indices.
        static SETTINGS: &[Setting] = &[$($(
            Setting {
                key: Key::$key,
                name: $name,
                group: Group::$group,
                label: $label,
                kind: $kind,
                default: default_value!($default_kind $($default)?),
                words: {
                    const WORDS: &[(i64, &str)] = {
                        #[allow(unused)]
                        let words: &[(i64, &str)] = &[];
                        $(let words = $words;)?
                        words
                    };
                    WORDS
                },
                administrators: overridable!($scopes, administrators),
                applications: overridable!($scopes, applications),
                effect: $effect,
                synonyms: &[$($synonym),*],
                source: $source,
            },
        )+)+];

        impl Key {
            /// Every setting, in the order of the editor.
            pub const ALL: &[Key] = &[$($(Key::$key,)+)+];

            /// Parses a name; `None` for an unknown one.
            pub fn parse(name: &str) -> Option<Key> {
                match name { $($($name => Some(Key::$key),)+)+ _ => None }
            }
        }
    };
}
