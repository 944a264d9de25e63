//! A Raft key/value server.
