//! What a tracer sees, by which hook, and what it does not see, and why.

/// A part of what can be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCoverage {
    /// What it is.
    pub name: &'static str,
    /// The hook that sees it; `None` when nothing does.
    pub hook: Option<String>,
    /// Why nothing does, or why it is this hook.
    pub reason: Option<String>,
}

impl HookCoverage {
    /// A part that is seen.
    #[must_use]
    pub fn live(name: &'static str, hook: impl Into<String>) -> Self {
        Self { name, hook: Some(hook.into()), reason: None }
    }

    /// A part that is not.
    #[must_use]
    pub fn absent(name: &'static str, reason: impl Into<String>) -> Self {
        Self { name, hook: None, reason: Some(reason.into()) }
    }
}

/// System calls, as they are entered.
pub const SYSCALLS: &str = "syscalls";
/// Their results.
pub const SYSCALL_RESULTS: &str = "syscall_results";
/// Requests of `io_uring`'s, as they are submitted.
pub const IO_URING: &str = "io_uring";
/// Their results.
pub const IO_URING_RESULTS: &str = "io_uring_results";
/// Cgroups, as they are made and left: the paths that containers are told by.
pub const CGROUP_CHANGES: &str = "cgroup_changes";
/// All of them.
pub const ALL: [&str; 5] = [SYSCALLS, SYSCALL_RESULTS, IO_URING, IO_URING_RESULTS, CGROUP_CHANGES];
