//! Hooks on the kernel's own functions that remove names and content (`bpf/hooks/truth.bpf.h`). A tracer works without
//! them, so nothing here fails it.
//!
//! No kernel version tells which kind of hook works. Programs of a kind may be refused, an attachment may be, and an
//! attached program may be silent: `kernel.ftrace_enabled=0` and `/sys/kernel/debug/kprobes/enabled` switch programs off
//! without an error. So the kinds are tried in order, and a removal of our own shows whether the program runs.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use libbpf_rs::OpenProgramMut;
use libbpf_sys::{
    BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, BPF_TRACE_KPROBE_MULTI, bpf_prog_load_opts,
    bpf_prog_type,
};

use crate::btf::vmlinux::{REMOVALS, TypeIds, VmlinuxBtf};
use crate::config::Config;
use crate::fields::Key;
use crate::load::program_copy::{Kind, ProgramCopy, btf_fd, take};
use crate::skel::{OpenRawtpSkel, RawtpSkel};
use crate::sys::bpf::{attach_raw, load_as, nothing};
use crate::sys::errno;
use crate::sys::fd::owned;
use crate::sys::fdinfo::is_of_proc;
use crate::sys::kprobe::{attach_kprobe, attach_kprobe_multi, kprobe_type};
use crate::syscall::{Action, Call};

/// A kind of hook on a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HookKind {
    /// One link for several functions, by fprobe.
    KprobeMulti,
    /// A kprobe, by a perf event.
    Kprobe,
    /// A call from the function's beginning.
    Fentry,
}

impl HookKind {
    /// Returns all kinds, the best first. The kernel runs kprobes with preemption off. A preempted fentry program is
    /// skipped for the CPU's other tasks, but on arm64 a kprobe takes almost three times as long.
    fn all(has_preemptible_rcu: bool) -> [Self; 3] {
        if cfg!(target_arch = "aarch64") && !has_preemptible_rcu {
            [Self::KprobeMulti, Self::Fentry, Self::Kprobe]
        } else {
            [Self::KprobeMulti, Self::Kprobe, Self::Fentry]
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::KprobeMulti => "kprobe.multi",
            Self::Kprobe => "kprobe",
            Self::Fentry => "fentry",
        }
    }

    fn program_type(self) -> (bpf_prog_type, u32) {
        match self {
            Self::KprobeMulti => (BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI),
            Self::Kprobe => (BPF_PROG_TYPE_KPROBE, 0),
            Self::Fentry => (BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY),
        }
    }

    /// Checks whether the kernel has this kind and lets us load a program of it, one that does nothing.
    fn check(self, ids: &TypeIds, target: u32) -> Result<(), String> {
        let is_known = match self {
            Self::KprobeMulti => ids.has_kprobe_multi,
            Self::Kprobe => ids.has_perf_link && kprobe_type().is_ok(),
            Self::Fentry => true,
        };
        if !is_known {
            return Err("not in this kernel".into());
        }
        let (kind, expected_attach_type) = self.program_type();
        let attach_btf_id = if self == Self::Fentry { target } else { 0 };
        let options = bpf_prog_load_opts { expected_attach_type, attach_btf_id, ..Default::default() };
        load_as(kind, &nothing(), options).map(drop).map_err(|error| named(&error))
    }
}

/// Returns the name of an error of the kernel's.
fn named(error: &io::Error) -> String {
    error
        .raw_os_error()
        .and_then(|errno| u16::try_from(errno).ok())
        .map_or_else(|| error.to_string(), |errno| errno::name(errno).to_owned())
}

/// The program for one or two functions with the same arguments.
#[derive(Debug, Clone, Copy)]
struct Removal {
    name: &'static CStr,
    /// The indices of its functions in [`REMOVALS`].
    functions: &'static [usize],
    watched: fn(Action) -> bool,
}

/// The index of the program that sees files which are freed. It is left out unless `freed` is asked for, because its
/// function is called for every inode that leaves memory.
const EVICT: usize = 4;

/// The programs, in the order of [`programs`].
const PROGRAMS: [Removal; 5] = [
    Removal { name: c"remove", functions: &[0, 1], watched: |it| matches!(it, Action::Delete | Action::Rmdir) },
    Removal { name: c"rename", functions: &[2], watched: |it| matches!(it, Action::Rename) },
    Removal { name: c"truncate", functions: &[3], watched: |it| matches!(it, Action::Truncate) },
    Removal { name: c"truncate_file", functions: &[4], watched: |it| matches!(it, Action::Truncate) },
    Removal { name: c"evict", functions: &[5], watched: |_| true },
];

/// Returns the programs of the object, first those for kprobes and then those for fentry.
fn programs<'a, 'obj>(open: &'a mut OpenRawtpSkel<'obj>) -> [[&'a mut OpenProgramMut<'obj>; PROGRAMS.len()]; 2] {
    let progs = &mut open.progs;
    [
        [
            &mut progs.kprobe_remove,
            &mut progs.kprobe_rename,
            &mut progs.kprobe_truncate,
            &mut progs.kprobe_truncate_file,
            &mut progs.kprobe_evict,
        ],
        [
            &mut progs.fentry_remove,
            &mut progs.fentry_rename,
            &mut progs.fentry_truncate,
            &mut progs.fentry_truncate_file,
            &mut progs.fentry_evict,
        ],
    ]
}

/// The kind that worked in this process the last time, plus one.
static WORKED: AtomicU8 = AtomicU8::new(0);

/// The hooks of one tracer, on their way from the object to the kernel.
#[derive(Debug)]
pub struct TruthPrograms {
    /// The kinds that are left to try, the best first.
    kinds: Vec<HookKind>,
    /// The reasons against the other kinds.
    refusals: Vec<String>,
    is_wanted: [bool; PROGRAMS.len()],
    functions: [Option<u32>; REMOVALS.len()],
    has_preemptible_rcu: bool,
    kprobes: [Option<ProgramCopy>; PROGRAMS.len()],
    fentries: [Option<ProgramCopy>; PROGRAMS.len()],
    loaded: Option<io::Result<Vec<LoadedProgram>>>,
}

/// A program and the functions to attach it to.
#[derive(Debug)]
struct LoadedProgram {
    program: OwnedFd,
    functions: Vec<&'static CStr>,
    sees_freed: bool,
}

/// Hooks that are attached and run.
#[derive(Debug)]
pub struct TruthHooks {
    /// The kind of the hooks and their functions.
    pub name: String,
    /// The drawback of that kind.
    pub reason: Option<String>,
    /// The attached programs.
    pub programs: Vec<OwnedFd>,
    /// Their links.
    pub links: Vec<OwnedFd>,
}

impl TruthPrograms {
    /// Finds out which kinds of hooks can be loaded for the calls of the configuration. Call it when the kernel's types
    /// are known.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let none = || [const { None }; PROGRAMS.len()];
        let mut hooks = Self {
            kinds: Vec::new(),
            refusals: Vec::new(),
            is_wanted: [false; PROGRAMS.len()],
            functions: [None; REMOVALS.len()],
            has_preemptible_rcu: false,
            kprobes: none(),
            fentries: none(),
            loaded: None,
        };
        if let Err(reason) = hooks.choose(config) {
            hooks.refusals.push(reason);
        }
        hooks
    }

    fn choose(&mut self, config: &Config) -> Result<(), String> {
        if !config.wants_places() {
            return Err("fields names no key of the file itself, and there is no filter by path".into());
        }
        if !config.results {
            return Err("results=False".into());
        }
        let ids = VmlinuxBtf::type_ids().ok_or("the kernel's types are not known")?;
        self.functions = ids.removals;
        self.has_preemptible_rcu = ids.has_preemptible_rcu;
        let is_watched =
            |watched: fn(Action) -> bool| config.syscalls.iter().any(|Call { action, .. }| watched(*action));
        let exists = |removal: &Removal| removal.functions.iter().all(|&at| ids.removals[at].is_some());
        self.is_wanted = PROGRAMS.map(|removal| is_watched(removal.watched) && exists(&removal));
        self.is_wanted[EVICT] &= config.fields.contains(Key::Freed);
        let target = PROGRAMS[..EVICT].iter().zip(self.is_wanted).find_map(|(removal, is_wanted)| {
            is_wanted.then(|| removal.functions.first().and_then(|&at| ids.removals[at])).flatten()
        });
        let target = target.ok_or("the kernel has no function for it: CONFIG_SECURITY_PATH is off")?;
        let kinds = HookKind::all(self.has_preemptible_rcu);
        if let Some(worked) = kinds.into_iter().find(|&kind| kind as u8 + 1 == WORKED.load(Ordering::Relaxed)) {
            self.kinds.push(worked);
            return Ok(());
        }
        for kind in kinds {
            match kind.check(&ids, target) {
                Ok(()) => self.kinds.push(kind),
                Err(reason) => self.refuse(kind, &reason),
            }
        }
        Ok(())
    }

    fn refuse(&mut self, kind: HookKind, reason: &str) {
        self.refusals.push(format!("{}: {reason}", kind.as_str()));
    }

    /// Whether there are hooks to attach.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// Has libbpf prepare the programs of the kinds that are to be tried, and no others.
    pub(super) fn configure(&self, open: &mut OpenRawtpSkel<'_>) {
        let is_tried =
            [self.kinds.iter().any(|kind| *kind != HookKind::Fentry), self.kinds.contains(&HookKind::Fentry)];
        for (programs, is_tried) in programs(open).into_iter().zip(is_tried) {
            for (program, is_wanted) in programs.into_iter().zip(self.is_wanted) {
                program.set_autoload(is_tried && is_wanted);
            }
        }
    }

    /// Takes the programs out of libbpf's load, because libbpf's error would be that of the whole tracer.
    pub(super) fn take(&mut self, open: &mut OpenRawtpSkel<'_>) {
        let btf_fd = btf_fd(open);
        for (programs, copies) in programs(open).into_iter().zip([&mut self.kprobes, &mut self.fentries]) {
            for ((program, copy), removal) in programs.into_iter().zip(copies).zip(PROGRAMS) {
                let kind = Kind { name: removal.name, program: BPF_PROG_TYPE_KPROBE, attach: 0, target: 0 };
                *copy = take(program, kind, btf_fd);
            }
        }
    }

    /// Loads the programs of the best kind. [`attach`](Self::attach) tries the others.
    pub(super) fn load_first(&mut self) {
        self.loaded = self.kinds.first().map(|&kind| self.load(kind));
    }

    fn load(&self, kind: HookKind) -> io::Result<Vec<LoadedProgram>> {
        let (program, attach) = kind.program_type();
        let copies = if kind == HookKind::Fentry { &self.fentries } else { &self.kprobes };
        let mut loaded = Vec::new();
        for (copy, removal) in copies.iter().zip(PROGRAMS) {
            let Some(copy) = copy else { continue };
            let load = |functions: &[usize], target| -> io::Result<LoadedProgram> {
                let program = copy.load_as(Kind { name: removal.name, program, attach, target })?;
                let sees_freed = removal.functions == PROGRAMS[EVICT].functions;
                Ok(LoadedProgram { program, functions: functions.iter().map(|&at| REMOVALS[at]).collect(), sees_freed })
            };
            if kind == HookKind::Fentry {
                // Such a program is loaded for one function.
                for &at in removal.functions {
                    loaded.push(load(&[at], self.functions[at].unwrap_or_default())?);
                }
            } else {
                loaded.push(load(removal.functions, 0)?);
            }
        }
        Ok(loaded)
    }

    /// Attaches the hooks of the first kind that works.
    ///
    /// # Errors
    ///
    /// The reasons against every kind.
    pub(super) fn attach(mut self, skel: &RawtpSkel<'_>) -> Result<TruthHooks, String> {
        for kind in std::mem::take(&mut self.kinds) {
            let loaded = self.loaded.take().unwrap_or_else(|| self.load(kind));
            match loaded.map_err(|error| named(&error)).and_then(|loaded| self.attach_kind(kind, loaded, skel)) {
                Ok(hooks) => {
                    WORKED.store(kind as u8 + 1, Ordering::Relaxed);
                    return Ok(hooks);
                }
                Err(reason) => {
                    WORKED.store(0, Ordering::Relaxed);
                    self.refuse(kind, &reason);
                }
            }
        }
        Err(self.refusals.join("; "))
    }

    fn attach_kind(
        &self,
        kind: HookKind,
        loaded: Vec<LoadedProgram>,
        skel: &RawtpSkel<'_>,
    ) -> Result<TruthHooks, String> {
        let (runs, sees_freed) = switches(skel).ok_or("the programs' memory cannot be mapped")?;
        // SAFETY: they point into the mapping of the skeleton, and no program runs yet.
        unsafe {
            runs.write_volatile(0);
            sees_freed.write_volatile(0);
        }
        let mut hooks = TruthHooks {
            name: format!("{}/security_path_*", kind.as_str()),
            reason: (kind == HookKind::Fentry && self.has_preemptible_rcu).then(|| {
                let refusals = self.refusals.join("; ");
                format!("the kernel preempts such programs, and skips them meanwhile for other tasks; {refusals}")
            }),
            programs: Vec::new(),
            links: Vec::new(),
        };
        let mut evict = None;
        for LoadedProgram { program, functions, sees_freed } in loaded {
            let fd = program.as_fd();
            let links = match kind {
                HookKind::KprobeMulti => attach_kprobe_multi(fd, &functions).map(|link| vec![link]),
                HookKind::Kprobe => functions.iter().map(|function| attach_kprobe(fd, function)).collect(),
                HookKind::Fentry => attach_raw(fd, None).map(|link| vec![link]),
            };
            match links {
                Ok(links) => {
                    hooks.links.extend(links);
                    hooks.programs.push(program);
                    evict = evict.or(sees_freed.then_some(Ok(())));
                }
                Err(error) if sees_freed => evict = Some(Err(named(&error))),
                Err(error) => return Err(named(&error)),
            }
        }
        let tried = try_removal(self.is_wanted);
        // SAFETY: as above. A program may write it at the same time, and any value but 0 means that it ran.
        if unsafe { runs.read_volatile() } == 0 {
            let tried = tried.map_or_else(|error| named(&error), |()| "0".into());
            let switches = "kernel.ftrace_enabled or debug/kprobes/enabled may be 0";
            return Err(format!("attached, but silent when tried ({tried}): {switches}"));
        }
        match evict {
            // SAFETY: as above. The programs only read it.
            Some(Ok(())) => unsafe { sees_freed.write_volatile(1) },
            Some(Err(error)) => {
                hooks.reason = Some(format!("freed is None, because no hook on evict is possible: {error}"));
            }
            None => {}
        }
        Ok(hooks)
    }
}

/// Returns the addresses of the variable that the programs set, and of the one that makes exits say what was freed.
fn switches(skel: &RawtpSkel<'_>) -> Option<(*mut u32, *mut u32)> {
    let bss = skel.maps.bss_data.as_deref()?;
    Some((ptr::from_ref(&bss.truth_runs).cast_mut(), ptr::from_ref(&bss.sees_freed).cast_mut()))
}

/// Makes a call that reaches one of the functions and removes nothing: it empties an empty file in memory, removes a
/// symbolic link as a directory, or renames it to itself. The link is one of procfs, which allows neither. Returns the
/// call's error, which most of these calls have to give.
fn try_removal(is_wanted: [bool; PROGRAMS.len()]) -> io::Result<()> {
    if is_wanted[2] || is_wanted[3] {
        // SAFETY: a name that outlives the call.
        let file = owned(unsafe { libc::memfd_create(c"rawtp".as_ptr(), libc::MFD_CLOEXEC) }.into())?;
        return File::from(file).set_len(0);
    }
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let process = File::options().read(true).custom_flags(flags).open("/proc/self")?;
    if !is_of_proc(&process) {
        return Err(io::Error::other("/proc is not procfs"));
    }
    let (fd, exe) = (process.as_raw_fd(), c"exe".as_ptr());
    // SAFETY: descriptors and names that outlive the calls.
    let result = unsafe {
        if is_wanted[0] { libc::unlinkat(fd, exe, libc::AT_REMOVEDIR) } else { libc::renameat(fd, exe, fd, exe) }
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_removes_nothing() {
        for is_wanted in
            [[true, false, false, false, false], [false, true, false, false, false], [false, false, true, true, true]]
        {
            let errno = try_removal(is_wanted).map_or_else(|error| error.raw_os_error(), |()| Some(0));
            assert!([Some(0), Some(libc::EPERM), Some(libc::ENOTDIR)].contains(&errno), "{errno:?}");
        }
        assert!(std::fs::read_link("/proc/self/exe").unwrap().exists());
    }

    #[test]
    fn every_function_has_one_program() {
        let mut functions: Vec<usize> = PROGRAMS.iter().flat_map(|removal| removal.functions).copied().collect();
        functions.sort_unstable();
        assert_eq!(functions, (0..REMOVALS.len()).collect::<Vec<_>>());
        for action in [Action::Delete, Action::Rmdir, Action::Rename, Action::Truncate] {
            assert!(PROGRAMS.iter().any(|removal| (removal.watched)(action)), "{action:?}");
        }
    }

    #[test]
    fn preemptible_fentry_comes_last() {
        assert_eq!(HookKind::all(true).map(HookKind::as_str), ["kprobe.multi", "kprobe", "fentry"]);
        assert_eq!(HookKind::all(false)[0], HookKind::KprobeMulti);
    }
}
