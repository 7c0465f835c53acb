//! Cgroups: from the id of one to its container, pod and unit.
//!
//! * `lookup`: a cgroup's id to its path, cached
//! * `mounts`: where the hierarchies are mounted
//! * `path`: a path to container, pod and unit; pure
//! * `reports`: cgroups that the kernel reported, on their way from the drain thread to the reader
//! * `resolver`: all cgroups of a process to one workload

pub mod lookup;
pub mod mounts;
pub mod path;
pub mod reports;
pub mod resolver;

/// How many cgroups are cached, at most: about 2 MB when all of them are containers.
pub const CACHE_ENTRIES: usize = 4096;
