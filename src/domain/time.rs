//! Instants and spans of whole microseconds in UTC. There is no clock here: the caller passes
//! `now`. All arithmetic saturates, because a clock that jumps or a limit of ten years must never
//! wrap or panic.

const MICROS_PER_SEC: i64 = 1_000_000;

/// An instant: microseconds since 1970-01-01T00:00:00Z, the finest unit that both databases store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A length of time in microseconds; negative if a later instant is subtracted from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Timestamp {
    /// Creates the instant `micros` microseconds after the epoch (before it, if negative).
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Returns the microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Formats RFC 3339 in UTC with `Z`, and a fraction only if there is one. Instants outside the
    /// years -9999 to 9999 are written as the nearest end of that range.
    pub fn to_rfc3339(self) -> String {
        let end = if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(end).to_string()
    }

    /// Parses RFC 3339 with any offset; digits finer than a microsecond are cut off. `None`:
    /// invalid.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let instant: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self(instant.as_microsecond()))
    }

    /// Parses the value of a date field, as UTC: `2026-11-21T17:20`, `2026-11-21 17:20:00`,
    /// `2026-11-21`, RFC 3339.
    pub fn parse_written(text: &str) -> Option<Self> {
        let text = text.trim().replace(' ', "T");
        let whole = match text.len() {
            10 => format!("{text}T00:00:00Z"),
            16 => format!("{text}:00Z"),
            19 => format!("{text}Z"),
            _ => text,
        };
        Self::parse_rfc3339(&whole)
    }

    /// Adds `span`, clamped to the representable range.
    pub const fn saturating_add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// Subtracts `span`, clamped to the representable range.
    pub const fn saturating_sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// Returns the number of its minute since the epoch.
    pub const fn minute(self) -> i64 {
        self.0.div_euclid(60 * MICROS_PER_SEC)
    }

    /// Returns `self - earlier`; negative if `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// The empty span.
    pub const ZERO: Span = Span(0);

    /// Creates a span of `micros` microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Creates a span of `secs` seconds, clamped to the representable range (about 292,000 years).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(MICROS_PER_SEC))
    }

    /// Returns the microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns whole seconds, rounded up (for `Retry-After` and `Max-Age`: never too early); 0 if
    /// negative.
    pub const fn as_secs_ceil(self) -> i64 {
        if self.0 <= 0 {
            return 0;
        }
        self.0 / MICROS_PER_SEC + (self.0 % MICROS_PER_SEC != 0) as i64
    }

    /// Returns whole seconds, rounded down (towards the past if negative).
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SEC)
    }
}
