//! Paths: what a call named, and what a caller asked for.
//!
//! * `glob`: a glob as steps
//! * `glob_states`: matches paths against a glob in linear time
//! * `lookup`: what the file system says of a path
//! * `resolve`: a name and the walk from its directory to an absolute path

pub mod glob;
pub mod glob_states;
pub(crate) mod lookup;
pub mod resolve;
