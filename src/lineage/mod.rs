//! The processes above an event's, with their arguments, also of those that have ended.
//!
//! * `chain`: the ancestors of one process
//! * `processes`: the table of what processes run

pub mod chain;
pub mod processes;
