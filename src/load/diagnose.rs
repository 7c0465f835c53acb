//! Finds out why the kernel refused to load a program.

use std::fs;
use std::io;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::error::Error;
use crate::memory::{OutOfMemory, probe};
use crate::sys::mmap::probe_mapping;

/// The peak memory of a load besides the ring: it was found to fail with less, and this has some to spare.
pub(crate) const LOAD_BYTES: usize = 4 << 20;
pub(crate) const LOADING: &str = "load the BPF programs";

/// Whether memory ran out. libbpf takes a failed allocation for a missing kernel feature, so its final error need not
/// be `ENOMEM`.
fn is_memory_short(log: &str) -> bool {
    // The log is copied into the error, without its frame.
    probe_mapping(LOAD_BYTES) == Err(OutOfMemory) || probe(2 * log.len() + 4096) == Err(OutOfMemory)
}

/// Cuts the verifier's part out of libbpf's output.
fn verifier_log(log: &str) -> &str {
    let begin = "-- BEGIN PROG LOAD LOG --\n";
    log.find(begin).map_or("", |at| {
        let log = &log[at + begin.len()..];
        log.find("-- END PROG LOAD LOG --").map_or(log, |end| log[..end].rsplit_once('\n').map_or("", |(log, _)| log))
    })
}

/// Returns the line of a verifier's log with the reason: the last one before the statistics.
#[must_use]
pub fn verifier_reason(log: &str) -> Option<&str> {
    // Since Linux 7 an explanation of many lines follows.
    let log = log.find("\nVerification failed: ").map_or(log, |at| &log[..at]);
    log.lines().rfind(|line| !line.is_empty() && !line.starts_with("processed "))
}

/// Returns the capabilities that this process lacks, from `CapEff` of `proc_pid_status(5)`. `capabilities(7)` has their
/// numbers.
fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|value| u64::from_str_radix(value.trim(), 16).ok())
        .unwrap_or(u64::MAX);
    let has = |capability: u32| effective >> capability & 1 == 1;
    if has(21) {
        return Vec::new();
    }
    [("CAP_BPF", 39), ("CAP_PERFMON", 38)]
        .into_iter()
        .filter(|(_, number)| !has(*number))
        .map(|(name, _)| name)
        .collect()
}

/// Whether this process is in a user namespace. Only the initial one maps the whole range to itself
/// (`user_namespaces(7)`).
fn in_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"])
}

/// Explains an EPERM. libbpf always blames the memlock limit, but the real reason can be looked up.
fn explain_permission() -> String {
    let missing = missing_capabilities(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    if !missing.is_empty() {
        return format!(
            "loading BPF programs needs CAP_BPF and CAP_PERFMON (root has both); this process lacks {}",
            missing.join(" and ")
        );
    }
    if in_user_namespace() {
        return "loading BPF programs needs CAP_BPF and CAP_PERFMON in the initial user namespace; this process is in \
                another one (a rootless container, or unshare -U), where they count for nothing"
            .into();
    }
    let refused = "the kernel refuses to load BPF programs although this process has the capabilities for it";
    match getrlimit(Resource::RLIMIT_MEMLOCK) {
        // Kernels before 5.11 charge BPF maps to this limit. libbpf raises it where CAP_SYS_RESOURCE allows that.
        Ok((limit, _)) if limit != RLIM_INFINITY => format!(
            "{refused}: this process may lock only {} KiB of memory, which older kernels count BPF maps to (raise it: \
             ulimit -l unlimited), or a seccomp filter, a security module or kernel lockdown forbids it",
            limit / 1024
        ),
        _ => format!("{refused}: a seccomp filter, a security module or kernel lockdown forbids it"),
    }
}

/// Whether the log shows kernel lockdown. `LOCKDOWN_BPF_READ_KERNEL` removes the helpers that read kernel memory.
/// libbpf falls back to the helper of older kernels, which lockdown removes too. The verifier then prints the first of
/// these texts before Linux 6.9, and the second since.
fn is_locked_down(verifier_log: &str) -> bool {
    verifier_reason(verifier_log).is_some_and(|reason| {
        ["unknown func bpf_probe_read", "program of this type cannot use helper bpf_probe_read"]
            .iter()
            .any(|refused| reason.starts_with(refused))
    })
}

const INTERRUPTED: &str =
    "loading the BPF programs was interrupted again and again (SIGSTOP, a debugger, a cgroup's freezer): try it again";

/// Makes the error from libbpf's error and output.
#[must_use]
pub fn diagnose(error: &libbpf_rs::Error, log: &str) -> Error {
    if error.kind() == libbpf_rs::ErrorKind::WouldBlock {
        // The verifier stops at a signal. Its log up to there says nothing.
        return Error::os(INTERRUPTED)(io::Error::from_raw_os_error(libc::EAGAIN));
    }
    if is_memory_short(log) {
        return Error::Memory(LOADING);
    }
    if error.kind() == libbpf_rs::ErrorKind::OutOfMemory {
        // This process has memory left, so the kernel ran out of it, or this cgroup reached its limit.
        return Error::os("cannot load the BPF programs")(io::Error::from_raw_os_error(libc::ENOMEM));
    }
    let verifier_log = verifier_log(log);
    if is_locked_down(verifier_log) {
        return Error::Permission(
            "this kernel is locked down to confidentiality: no BPF program may read its memory, and rawtp's read who calls \
             and where (boot it with lockdown=integrity at the most)"
                .into(),
        );
    }
    if !verifier_log.is_empty() {
        let message = format!("the kernel's verifier rejected a program ({error})");
        return Error::Load { message, verifier_log: verifier_log.into() };
    }
    if error.kind() == libbpf_rs::ErrorKind::PermissionDenied {
        return Error::Permission(explain_permission());
    }
    if fs::metadata("/sys/kernel/btf/vmlinux").is_err() {
        return Error::UnsupportedKernel(
            "this kernel has no type information at /sys/kernel/btf/vmlinux: rawtp needs a kernel built with \
             CONFIG_DEBUG_INFO_BTF=y, 5.10 or later (all current distributions' are; in a container, mount /sys)"
                .into(),
        );
    }
    let last = log.lines().last().unwrap_or_default().trim_start_matches("libbpf: ");
    Error::Load { message: format!("cannot load the BPF programs: {error:#} ({last})"), verifier_log: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifiers_part_is_cut_out() {
        let log = "libbpf: prog 'p': BPF program load failed: EACCES\nlibbpf: prog 'p': -- BEGIN PROG LOAD LOG --\n\
                   0: R1=ctx()\nR1 invalid mem access 'scalar'\nlibbpf: -- END PROG LOAD LOG --\nlibbpf: failed\n";
        // libbpf puts its own prefix before the end's mark.
        assert_eq!(
            verifier_log(&log.replace("libbpf: -- END", "-- END")),
            "0: R1=ctx()\nR1 invalid mem access 'scalar'"
        );
        assert_eq!(verifier_log(log), "0: R1=ctx()\nR1 invalid mem access 'scalar'");
        assert_eq!(verifier_log("libbpf: nothing of it"), "");
        let log = "0: R1=ctx()\nR1 invalid mem access 'scalar'\nprocessed 1 insns (limit 1000000)\n\n";
        assert_eq!(verifier_reason(log), Some("R1 invalid mem access 'scalar'"));
        assert_eq!(verifier_reason(""), None);
        let log = "1: (85) call bpf_probe_read#4\nprogram of this type cannot use helper bpf_probe_read#4\n\n\
                   Verification failed: Policy: Operation is not allowed\n\nSuggestion:\n  Use another.\n\n\
                   processed 158 insns (limit 1000000)\n";
        assert_eq!(verifier_reason(log), Some("program of this type cannot use helper bpf_probe_read#4"));
    }

    #[test]
    fn an_interrupted_load_was_not_rejected() {
        let log = "libbpf: -- BEGIN PROG LOAD LOG --\n0: R1=ctx()\n-- END PROG LOAD LOG --\n";
        let error = diagnose(&libbpf_rs::Error::from_raw_os_error(libc::EAGAIN), log);
        assert!(matches!(&error, Error::Os { source, .. } if source.raw_os_error() == Some(libc::EAGAIN)), "{error:?}");
        assert_eq!(
            error.to_string(),
            "loading the BPF programs was interrupted again and again (SIGSTOP, a debugger, a cgroup's freezer): \
             try it again: Resource temporarily unavailable (os error 11)"
        );
    }

    #[test]
    fn lockdown_is_told_by_the_helper_that_it_takes_away() {
        for reason in
            ["unknown func bpf_probe_read_kernel#113", "program of this type cannot use helper bpf_probe_read#4"]
        {
            let log = format!(
                "libbpf: -- BEGIN PROG LOAD LOG --\n9: (85) call bpf_probe_read_kernel#113\n{reason}\n-- END PROG LOAD LOG --\n"
            );
            let error = diagnose(&libbpf_rs::Error::from_raw_os_error(libc::EINVAL), &log);
            assert!(matches!(&error, Error::Permission(text) if text.contains("confidentiality")), "{error:?}");
        }
        assert!(!is_locked_down("9: (85) call bpf_probe_read_kernel#113\nR1 invalid mem access 'scalar'"));
    }

    #[test]
    fn capabilities_are_read_from_the_effective_set() {
        let status = |bits: u64| format!("CapPrm:\tffffffffffffffff\nCapEff:\t{bits:016x}\n");
        assert_eq!(missing_capabilities(&status(0)), ["CAP_BPF", "CAP_PERFMON"]);
        assert_eq!(missing_capabilities(&status(1 << 39)), ["CAP_PERFMON"]);
        assert_eq!(missing_capabilities(&status(1 << 38)), ["CAP_BPF"]);
        assert!(missing_capabilities(&status(1 << 38 | 1 << 39)).is_empty());
        assert!(missing_capabilities(&status(1 << 21)).is_empty());
        assert!(missing_capabilities("").is_empty());
    }
}
