//! Mounts: which file system a path of a mount namespace leads to, and the other way round.
//!
//! * `host_mounts`: this process's own mounts, as far as they show the host
//! * `host_root`: the directory at which the host's root is mounted
//! * `list`: lists of mounts in `/proc`
//! * `own_mounts`: this process's own mounts, read again when they may have changed
//! * `snapshots`: the mounts of the namespaces in which events happened
//! * `table`: the mounts of one namespace

pub mod host_mounts;
pub mod host_root;
mod list;
pub mod own_mounts;
pub mod snapshots;
pub mod table;
