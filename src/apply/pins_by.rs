//! Who makes pins on a node, heals and removes them.

/// Who does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinsBy {
    /// The daemon, and any interposers beside it.
    Daemon,
    /// Interposers alone. The daemon needs no privilege then: it gives members the pins that stand, and marks in the
    /// records what is to go, for the next interposer or `berth gc`.
    Interposers,
}

impl PinsBy {
    /// All there are.
    pub const ALL: &[Self] = &[Self::Daemon, Self::Interposers];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Daemon => "daemon",
            Self::Interposers => "interposers",
        }
    }
}
