//! Instants and spans of whole microseconds, UTC. No clock in here: `now` always comes in from outside.
//! All arithmetic saturates: a clock that jumps, or a limit of ten years, must never wrap or panic.

const MICROS_PER_SEC: i64 = 1_000_000;

/// An instant: microseconds since 1970-01-01T00:00:00Z (both databases keep no finer).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// A length of time in microseconds; may be negative where two instants are subtracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span(i64);

impl Timestamp {
    /// The instant `micros` microseconds after the epoch (before it, when negative).
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// RFC 3339, UTC, `Z`; fraction only when there is one.
    /// Instants outside the years -9999 to 9999 are written as the nearest end of that range.
    pub fn to_rfc3339(self) -> String {
        let end = if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        };
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(end).to_string()
    }

    /// Reads RFC 3339 with any offset; finer than a microsecond is cut off. `None`: not such an instant.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let instant: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Self(instant.as_microsecond()))
    }

    /// What a date field or a person writes, as UTC: `2026-11-21T17:20`, `2026-11-21 17:20:00`, `2026-11-21`, RFC 3339.
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

    /// This instant moved by `span`, clamped to the representable range.
    pub const fn saturating_add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// This instant moved back by `span`, clamped to the representable range.
    pub const fn saturating_sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }

    /// Its minute, counted since the epoch.
    pub const fn minute(self) -> i64 {
        self.0.div_euclid(60 * MICROS_PER_SEC)
    }

    /// `self - earlier`; negative when `earlier` is later.
    pub const fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of `micros` microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// A span of `secs` seconds, clamped to the representable range (about 292,000 years).
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(MICROS_PER_SEC))
    }

    /// Microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded up (for `Retry-After` and `Max-Age`: never too early); 0 when negative.
    pub const fn as_secs_ceil(self) -> i64 {
        if self.0 <= 0 {
            return 0;
        }
        self.0 / MICROS_PER_SEC + (self.0 % MICROS_PER_SEC != 0) as i64
    }

    /// Whole seconds, rounded down (towards the past when negative).
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(MICROS_PER_SEC)
    }
}
