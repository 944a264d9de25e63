//! How much random tests do.

/// How many histories to draw: as many as usual, times `PARTITA_SOAK` if that is set.
pub(crate) fn rounds(usual: u64) -> u64 {
    let factor = std::env::var("PARTITA_SOAK").map_or(1, |factor| {
        factor.parse().unwrap_or_else(|_| panic!("PARTITA_SOAK: expected a number, not {factor}"))
    });
    usual * factor
}
