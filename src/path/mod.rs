//! Paths: names that calls passed, and paths that a caller asked for.
//!
//! * `glob`: parses a glob into steps
//! * `glob_states`: matches paths against a glob in linear time
//! * `lexical`: `.`, `..` and `//` taken out of a path
//! * `lookup`: looks up a path in the file system
//! * `resolve`: makes an absolute path of a name and the walk from its directory

pub mod glob;
pub mod glob_states;
pub mod lexical;
pub(crate) mod lookup;
pub mod resolve;
