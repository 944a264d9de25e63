//! Operation generators and protocol clients.
