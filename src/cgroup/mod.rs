//! Cgroups: resolves a cgroup's id to its container, pod and unit.
//!
//! * `lookup`: a cache from a cgroup's id to its workload
//! * `mounts`: mount points of the hierarchies
//! * `path`: parses a path into container, pod and unit; pure
//! * `reports`: cgroups that the kernel reported, on their way from the drain thread to the reader
//! * `resolver`: combines all cgroups of a process into one workload

pub mod lookup;
pub mod mounts;
pub mod path;
pub mod reports;
pub mod resolver;

/// The most cgroups that are cached. They take about 2 MB if all are containers.
pub const CACHE_ENTRIES: usize = 4096;
