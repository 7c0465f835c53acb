//! Which hook sees each kind of event, and the reason for each gap.

/// One kind of event, and the hook that sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCoverage {
    /// The name of the kind.
    pub name: &'static str,
    /// The hook, or `None` when no hook sees it.
    pub hook: Option<String>,
    /// The reason why no hook does, or why it is this one.
    pub reason: Option<String>,
}

impl HookCoverage {
    /// A kind that a hook sees.
    #[must_use]
    pub fn live(name: &'static str, hook: impl Into<String>) -> Self {
        Self { name, hook: Some(hook.into()), reason: None }
    }

    /// A kind that no hook sees.
    #[must_use]
    pub fn absent(name: &'static str, reason: impl Into<String>) -> Self {
        Self { name, hook: None, reason: Some(reason.into()) }
    }
}

/// Entries of system calls.
pub const SYSCALLS: &str = "syscalls";
/// Results of system calls.
pub const SYSCALL_RESULTS: &str = "syscall_results";
/// Submissions of `io_uring` requests.
pub const IO_URING: &str = "io_uring";
/// Results of `io_uring` requests.
pub const IO_URING_RESULTS: &str = "io_uring_results";
/// Cgroups that are made or left. Containers are told by the paths of cgroups.
pub const CGROUP_CHANGES: &str = "cgroup_changes";
/// The kernel's own functions that remove, on the way from a call to its file.
pub const TRUTH: &str = "truth";
/// Removals by the kernel's own threads, such as an NFS server's.
pub const KERNEL_THREADS: &str = "kernel_threads";
/// The raw tracepoint of `rawtp.RawTracepoint`, which has no other kind.
pub const RAW_TRACEPOINT: &str = "raw_tracepoint";
/// All kinds.
pub const ALL: [&str; 8] =
    [SYSCALLS, SYSCALL_RESULTS, IO_URING, IO_URING_RESULTS, CGROUP_CHANGES, TRUTH, KERNEL_THREADS, RAW_TRACEPOINT];
