//! The `partita` program.

fn main() {}
