//! Mounts: which file system a path of a mount namespace leads to, and the other way round.
//!
//! * `snapshots`: the mounts of the namespaces in which events happened
//! * `table`: the mounts of one namespace

pub mod snapshots;
pub mod table;
