//! The pruning rules, each of which can be switched off in tests.

/// Which rules a sweep keeps to. The module documentation of [`super`] argues for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rules {
    /// Operations that change nothing where they are legal are ordered at once.
    pub silent: bool,
    /// Blind writes hide what is ordered just before them.
    pub burial: bool,
    /// A write is ordered before its return only where somebody looks; needs `burial`.
    pub useful: bool,
    /// Of equal operations the one that returns first is used.
    pub interchange: bool,
    /// Configurations that can do no more than another one are dropped.
    pub dominance: bool,
    /// States and unknown operations that nothing will observe are forgotten.
    pub forget: bool,
}

impl Rules {
    pub(super) const ALL: Self = Self {
        silent: true,
        burial: true,
        useful: true,
        interchange: true,
        dominance: true,
        forget: true,
    };
}
