//! Open, set rodata, load, attach; and what to say when the kernel refuses.

use std::cell::RefCell;
use std::fs;
use std::mem::{MaybeUninit, offset_of};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Once;

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{ObjectBuilder, PrintLevel, ProgramMut, set_print};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fields::{self, Key};
use crate::fork::Link;
use crate::skel::{GUIDE_REJECTED, OpenRawtpSkel, RawtpSkelBuilder};
use crate::syscalls::numbers;

/// What keeps the programs alive and attached.
#[derive(Debug)]
pub struct Attached {
    /// The entry's, then the exit's.
    pub links: Vec<Link>,
    /// The same order.
    pub programs: Vec<OwnedFd>,
}

/// Descriptors of all that a session needs; libbpf's own copies are gone.
#[derive(Debug)]
pub struct Loaded {
    /// The ring buffer map.
    pub ring: OwnedFd,
    /// The entry program's state.
    pub enter_states: OwnedFd,
    /// The exit program's state.
    pub exit_states: OwnedFd,
    /// How many elements each of the two has.
    pub cpus: usize,
    /// The programs.
    pub attached: Attached,
}

/// A verifier's log can be megabytes; its end tells why.
const LOG_BYTES: usize = 1 << 20;

thread_local! {
    /// What libbpf prints on this thread, while it is wanted.
    static LOG: RefCell<Option<String>> = const { RefCell::new(None) };
}

#[expect(clippy::needless_pass_by_value, reason = "the signature is libbpf-rs's")]
fn capture(_level: PrintLevel, text: String) {
    LOG.with_borrow_mut(|log| {
        if let Some(log) = log.as_mut().filter(|log| log.len() < LOG_BYTES) {
            log.push_str(&text);
        }
    });
}

/// Runs a load with libbpf's messages kept for the error, and off the terminal in any case.
fn logged<T>(load: impl FnOnce() -> libbpf_rs::Result<T>) -> Result<T> {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        set_print(Some((PrintLevel::Info, capture)));
    });
    LOG.set(Some(String::new()));
    let loaded = load();
    let log = LOG.take().unwrap_or_default();
    loaded.map_err(|error| explain(&error, &log))
}

/// The part that the verifier wrote, out of what libbpf printed around it.
fn verifier_log(log: &str) -> &str {
    let begin = "-- BEGIN PROG LOAD LOG --\n";
    log.find(begin).map_or("", |at| {
        let log = &log[at + begin.len()..];
        log.find("-- END PROG LOAD LOG --").map_or(log, |end| log[..end].rsplit_once('\n').map_or("", |(log, _)| log))
    })
}

/// The capabilities that this process lacks, out of `CapEff` of `proc_pid_status(5)`; `capabilities(7)` has the numbers.
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

/// `user_namespaces(7)`: only the initial namespace maps the whole range to itself.
fn in_user_namespace() -> bool {
    fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"])
}

/// libbpf blames the memlock limit for every EPERM; what is really missing can be looked up.
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
        // Kernels before 5.11 charge BPF maps to it. libbpf raises it where CAP_SYS_RESOURCE lets it.
        Ok((limit, _)) if limit != RLIM_INFINITY => format!(
            "{refused}: this process may lock only {} KiB of memory, which older kernels count BPF maps to (raise it: \
             ulimit -l unlimited), or a seccomp filter, a security module or kernel lockdown forbids it",
            limit / 1024
        ),
        _ => format!("{refused}: a seccomp filter, a security module or kernel lockdown forbids it"),
    }
}

fn explain(error: &libbpf_rs::Error, log: &str) -> Error {
    let verifier_log = verifier_log(log);
    if !verifier_log.is_empty() {
        let message = format!("the kernel's verifier rejected a program ({error}); see verifier_log");
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

fn configure(open: &mut OpenRawtpSkel<'_>, config: &Config, cpus: u32) -> libbpf_rs::Result<()> {
    let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section, which is made with it");
    for syscall in &config.syscalls {
        for (table, nr) in numbers(syscall).into_iter().enumerate() {
            let Some(nr) = nr.map(|nr| nr as usize) else { continue };
            rodata.cfg_syscalls[nr / 64] |= 1 << (nr % 64);
            rodata.cfg_calls[table][nr] = syscall.shape;
        }
    }
    rodata.cfg_paths = config.fields.any(&fields::PATHS);
    rodata.cfg_identity = config.fields.any(&fields::IDENTITY);
    rodata.cfg_exe = config.fields.has(Key::Exe);
    rodata.cfg_argv = config.fields.any(&fields::ARGV);
    rodata.cfg_pid = config.pid.unwrap_or(0);
    rodata.cfg_results = config.results;
    let ring_bytes = u64::from(config.ring_bytes);
    rodata.cfg_enter_bytes = if config.results { ring_bytes - ring_bytes / 8 } else { ring_bytes };
    open.maps.events.set_max_entries(config.ring_bytes)?;
    open.maps.enter_states.set_max_entries(cpus)?;
    open.maps.exit_states.set_max_entries(cpus)?;
    open.maps.walks.set_max_entries(cpus)?;
    open.progs.handle_sys_exit.set_autoload(config.results);
    Ok(())
}

fn attach(program: &ProgramMut<'_>, attached: &mut Attached) -> Result<()> {
    let link = logged(|| program.attach())?;
    let copy = |fd: std::os::fd::BorrowedFd<'_>| fd.try_clone_to_owned().map_err(Error::os("cannot copy a descriptor"));
    attached.links.push(Link::new(copy(link.as_fd())?)?);
    attached.programs.push(copy(program.as_fd())?);
    Ok(())
}

/// Descriptors that a load takes at its height, and some to spare.
const DESCRIPTORS: usize = 24;

/// Out of descriptors, libbpf's probing takes every feature for missing, and what fails in the end names anything but the
/// reason.
fn check_descriptors() -> Result<()> {
    let null = fs::File::open("/dev/null").map_err(Error::os("cannot load the BPF programs"))?;
    let spare: std::io::Result<Vec<fs::File>> = (0..DESCRIPTORS).map(|_| null.try_clone()).collect();
    spare.map(drop).map_err(Error::os("cannot load the BPF programs"))
}

/// Loads and attaches what the configuration asks for.
///
/// # Errors
///
/// [`Error::Permission`], [`Error::UnsupportedKernel`], [`Error::Load`], or [`Error::Os`] when descriptors run out.
pub fn load(config: &Config) -> Result<Loaded> {
    let cpus = libbpf_rs::num_possible_cpus().map_err(|error| explain(&error, ""))?;
    check_descriptors()?;
    let mut storage = MaybeUninit::uninit();
    let skel = logged(|| {
        let mut open = RawtpSkelBuilder::default().open(&mut storage)?;
        configure(&mut open, config, cpus as u32)?;
        open.load()
    })?;
    let copy = |map: &dyn AsFd| map.as_fd().try_clone_to_owned().map_err(Error::os("cannot copy a descriptor"));
    let mut attached = Attached { links: Vec::new(), programs: Vec::new() };
    // The exit first: an exit without an enter is dropped, an enter without an exit would wait for it.
    if config.results {
        attach(&skel.progs.handle_sys_exit, &mut attached)?;
    }
    attach(&skel.progs.handle_sys_enter, &mut attached)?;
    attached.links.reverse();
    attached.programs.reverse();
    Ok(Loaded {
        ring: copy(&skel.maps.events)?,
        enter_states: copy(&skel.maps.enter_states)?,
        exit_states: copy(&skel.maps.exit_states)?,
        cpus,
        attached,
    })
}

/// Loads the guide's program that the verifier refuses.
///
/// # Errors
///
/// [`Error::Load`], always, unless the kernel does not let us come that far.
pub fn load_rejected() -> Result<()> {
    logged(|| ObjectBuilder::default().open_memory(GUIDE_REJECTED)?.load().map(drop))
}

/// How often the kernel skipped the programs because one was already running on the CPU (`recursion_misses`).
#[must_use]
pub fn missed(programs: &[OwnedFd]) -> Option<u64> {
    programs.iter().map(missed_one).sum()
}

fn missed_one(program: &OwnedFd) -> Option<u64> {
    // SAFETY: a structure of integers and addresses, all of which may be zero.
    let mut info: libbpf_sys::bpf_prog_info = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut bytes = size_of_val(&info) as u32;
    // SAFETY: the kernel writes at most `bytes` of info, and says in `bytes` how many.
    let failed = unsafe { libbpf_sys::bpf_prog_get_info_by_fd(program.as_raw_fd(), &raw mut info, &raw mut bytes) };
    let end = offset_of!(libbpf_sys::bpf_prog_info, recursion_misses) + size_of_val(&info.recursion_misses);
    (failed == 0 && bytes as usize >= end).then_some(info.recursion_misses)
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
