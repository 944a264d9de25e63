//! What the parts inside say of histories: engines, models and the search for counterexamples against
//! oracles that share nothing with them.

mod append;
mod containers;
mod diagnosis;
mod differential;
mod exhaustive;
mod kinds;
mod lane_files;
#[path = "../../tests/support/lanes.rs"]
mod lanes;
mod limits;
mod maker;
mod objects;
mod registers;
#[path = "../../tests/support/rounds.rs"]
mod rounds;
mod sets;
mod subjects;
