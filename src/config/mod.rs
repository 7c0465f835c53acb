//! A caller's configuration, checked before anything is loaded.
//!
//! * `filter_values`: their values, checked one by one
//! * `filters`: the filters by process, user, command, cgroup and path
//! * `hook`: tracepoints, or functions of the kernel's
//! * `outcome`: the filter by result
//! * `path_filter`: one path or glob of the filter by path
//! * `wanted_places`: the places that the path filters lead to
//! * `when`: when a call that does many things is an event

pub mod filter_values;
pub mod filters;
pub mod hook;
pub mod outcome;
pub mod path_filter;
pub mod wanted_places;
pub mod when;

use crate::config::filters::Filters;
use crate::config::hook::Hook;
use crate::config::outcome::Outcome;
use crate::config::when::When;
use crate::error::{Error, Result};
use crate::fields::{Fields, TRUTH};
use crate::mounts::host_root::HostRoot;
use crate::nearest::suggestion;
use crate::ring::chunk::CHUNK_BYTES;
use crate::sys::mmap::page_bytes;
use crate::syscall::{ALL_CALLS, Action, Call, LOSS, by_name, names, numbers};

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The calls to watch. Each is in at least one of this machine's system call tables.
    pub syscalls: Vec<&'static Call>,
    /// Whether they are all, so that numbers that no table has are watched, too.
    pub are_all: bool,
    /// When those of them that do many things are events.
    pub when: When,
    /// The most bytes of each buffer in `args`.
    pub buffers: u16,
    /// Whether the exit program is attached. It provides `ret`, `errno` and `duration_ns`.
    pub results: bool,
    /// The keys that an event has.
    pub fields: Fields,
    /// The hooks to use.
    pub hook: Hook,
    /// The filters.
    pub filters: Filters,
    /// The directory at which the host's root is mounted.
    pub host_root: HostRoot,
    /// Whether the tracer may learn about the cgroups of the whole host, whoever owns them.
    pub tell_cgroups: bool,
    /// The size of the BPF ring buffer.
    pub ring_bytes: u32,
    /// How many bytes may wait in user space before the drain thread leaves records in the ring.
    pub queue_bytes: usize,
}

/// Says that there is no call of this name, and which is spelled nearly like it.
fn unknown(name: &str) -> String {
    format!("no system call of this machine is named {name:?}{}", suggestion(name, names()))
}

pub(crate) fn check_syscalls(asked: &[String]) -> Result<Vec<&'static Call>> {
    if asked.is_empty() {
        return Err(Error::Value(format!(
            "syscalls is empty: name at least one, such as {}, or say \"{ALL_CALLS}\"",
            LOSS.join(", ")
        )));
    }
    let mut syscalls: Vec<&'static Call> = Vec::new();
    for name in asked {
        let syscall = by_name(name).ok_or_else(|| Error::Value(unknown(name)))?;
        if numbers(syscall).iter().any(Option::is_some) && !syscalls.contains(&syscall) {
            syscalls.push(syscall);
        }
    }
    if syscalls.is_empty() {
        return Err(Error::Value(format!("this machine has none of the syscalls {asked:?}")));
    }
    Ok(syscalls)
}

/// Checks the size of a ring.
///
/// # Errors
///
/// [`Error::Value`].
pub fn check_ring_bytes(value: i64) -> Result<u32> {
    let page = page_bytes();
    let rule = || {
        Error::Value(format!(
            "ring_bytes must be a power of two and a multiple of the page size ({page}), at most {}, not {value}",
            1_u32 << 31
        ))
    };
    let bytes = u32::try_from(value).map_err(|_| rule())?;
    if bytes.is_power_of_two() && bytes as usize >= page { Ok(bytes) } else { Err(rule()) }
}

/// Checks the size of a queue.
///
/// # Errors
///
/// [`Error::Value`].
pub fn check_queue_bytes(value: i64) -> Result<usize> {
    let rule =
        || Error::Value(format!("queue_bytes must be a positive multiple of {CHUNK_BYTES} (64 KiB), not {value}"));
    let bytes = usize::try_from(value).map_err(|_| rule())?;
    if bytes > 0 && bytes.is_multiple_of(CHUNK_BYTES) && bytes <= isize::MAX as usize / 2 {
        Ok(bytes)
    } else {
        Err(rule())
    }
}

impl Config {
    /// Whether the programs tell the places of files: for the keys of what the kernel did, or for a filter by path.
    #[must_use]
    pub fn wants_places(&self) -> bool {
        self.fields.any(&TRUTH) || self.filters.has_paths()
    }

    /// Whether the programs tell the results of calls that begin another program, which end with another number and in
    /// a thread of another id than they began.
    #[must_use]
    pub fn wants_ends_of_execs(&self) -> bool {
        self.results && self.syscalls.iter().any(|call| call.is_exec())
    }

    /// What truncations that lose nothing, or opens that change nothing, are left out for. Only results show them.
    #[must_use]
    pub fn leaves_out(&self) -> Option<When> {
        let truncates = || self.syscalls.iter().any(|call| call.action == Some(Action::Truncate));
        Some(self.when).filter(|when| self.results && *when != When::Always && truncates())
    }

    /// Checks the caller's arguments.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], which names the argument, its value and the rule.
    #[expect(clippy::too_many_arguments, reason = "they are Tracer's")]
    pub fn new(
        syscalls: &[String],
        when: When,
        buffers: u16,
        results: bool,
        fields: Fields,
        hook: Hook,
        filters: Filters,
        ring_bytes: i64,
        queue_bytes: i64,
    ) -> Result<Self> {
        if filters.outcome() != Outcome::Any && !results {
            let asked = filters.outcome().as_str();
            return Err(Error::Value(format!("outcome={asked:?} needs results=True: without them it is not known")));
        }
        let syscalls = check_syscalls(syscalls)?;
        if hook == Hook::Vfs && !syscalls.iter().any(|call| call.is_seen_by_functions()) {
            let names: Vec<_> = syscalls.iter().map(|call| call.name).collect();
            return Err(Error::Value(format!(
                "hook=\"vfs\" sees none of the syscalls {names:?}: the kernel has no function for them"
            )));
        }
        Ok(Self {
            syscalls,
            are_all: false,
            when,
            buffers,
            results,
            fields,
            hook,
            filters,
            host_root: HostRoot::default(),
            tell_cgroups: true,
            ring_bytes: check_ring_bytes(ring_bytes)?,
            queue_bytes: check_queue_bytes(queue_bytes)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(names: &[&str], ring_bytes: i64, queue_bytes: i64) -> Result<Config> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        Config::new(&names, When::Loss, 0, true, Fields::ALL, Hook::Auto, Filters::default(), ring_bytes, queue_bytes)
    }

    fn message(result: Result<Config>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn good_values_pass() {
        let config = config(&["unlinkat", "unlinkat"], 1 << 16, 1 << 16).unwrap();
        assert_eq!(config.syscalls, [by_name("unlinkat").unwrap()]);
        assert_eq!((config.ring_bytes, config.queue_bytes), (65536, 65536));
    }

    #[test]
    fn a_wrong_value_is_named_with_its_rule() {
        for bad in [0, -1, 1, 2048, 12288, i64::from(u32::MAX) + 1, i64::MIN] {
            let text = message(config(&["unlinkat"], bad, 1 << 20));
            assert!(
                text.starts_with("ring_bytes must be a power of two") && text.ends_with(&format!("not {bad}")),
                "{text}"
            );
        }
        for bad in [0, -1, 1, 65535, i64::MAX] {
            let text = message(config(&["unlinkat"], 1 << 20, bad));
            assert!(text.starts_with("queue_bytes must be a positive multiple of 65536"), "{text}");
            assert!(text.ends_with(&format!("not {bad}")), "{text}");
        }
        assert_eq!(
            message(config(&["unlnk"], 1 << 20, 1 << 20)),
            "no system call of this machine is named \"unlnk\": did you mean \"unlink\"?"
        );
        let empty = message(config(&[], 1 << 20, 1 << 20));
        assert!(
            empty.starts_with("syscalls is empty: name at least one, such as unlink, unlinkat, rmdir, "),
            "{empty}"
        );
    }
}
