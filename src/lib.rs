//! The command line and the controller of Partita.
