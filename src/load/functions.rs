//! Hooks on the kernel's own functions that remove names and content (`bpf/hooks/truth.bpf.h`, `function.bpf.h`). A
//! tracer of system calls works without them, so nothing here fails it. `hook="vfs"` is made of them.
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
use libbpf_sys::BPF_PROG_TYPE_KPROBE;

use crate::btf::vmlinux::{FUNCTIONS, Function, VmlinuxBtf};
use crate::config::Config;
use crate::config::hook::Hook;
use crate::error::Error;
use crate::fields::Key;
use crate::load::function_kind::{HookKind, named};
use crate::load::program_copy::{Kind, ProgramCopy, btf_fd, take};
use crate::skel::{OpenRawtpSkel, RawtpSkel};
use crate::sys::fd::owned;
use crate::sys::fdinfo::is_of_proc;
use crate::sys::kprobe::Point;
use crate::syscall::Work;

/// The purpose of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Sends the result of an event that a function made.
    End,
    /// Tells that the work of such an event begins.
    Begin,
    /// Makes the event of a call.
    Call,
    /// Makes the event of a kernel thread.
    Kernel,
    /// Tells the file of a call whose event was made at its entry.
    Truth,
    /// Sees files that are freed.
    Evict,
}

/// The program for functions with the same arguments.
#[derive(Debug, Clone, Copy)]
struct Program {
    name: &'static CStr,
    purpose: Purpose,
    /// The indices of its functions in [`FUNCTIONS`].
    functions: &'static [usize],
}

const fn program(name: &'static CStr, purpose: Purpose, functions: &'static [usize]) -> Program {
    Program { name, purpose, functions }
}

/// The programs, in the order of [`programs`], in which they are attached: an end comes before what it ends.
const PROGRAMS: [Program; 14] = [
    program(c"end", Purpose::End, &[0, 1, 2, 3, 4, 9, 10, 11, 12]),
    program(c"begin", Purpose::Begin, &[9, 10, 11, 12]),
    program(c"call_remove", Purpose::Call, &[0, 1]),
    program(c"call_rename", Purpose::Call, &[2]),
    program(c"call_truncate", Purpose::Call, &[3]),
    program(c"call_trunc_file", Purpose::Call, &[4]),
    program(c"kernel_remove", Purpose::Kernel, &[5, 6]),
    program(c"kernel_rename", Purpose::Kernel, &[7]),
    program(c"kernel_truncate", Purpose::Kernel, &[SETATTR]),
    program(c"remove", Purpose::Truth, &[0, 1]),
    program(c"rename", Purpose::Truth, &[2]),
    program(c"truncate", Purpose::Truth, &[3]),
    program(c"truncate_file", Purpose::Truth, &[4]),
    // It is left out unless `freed` is asked for, because the function is called for every inode that leaves memory.
    program(c"evict", Purpose::Evict, &[13]),
];

/// The index of `security_inode_setattr` in [`FUNCTIONS`].
const SETATTR: usize = 8;
/// The first of the functions in [`FUNCTIONS`] that do the work, after those for security modules.
const FIRST_AT_WORK: usize = 9;

/// Returns the work of a function of [`FUNCTIONS`]; `None` for the end of an inode, which any work can bring.
fn work_of(function: usize) -> Option<Work> {
    match function {
        0 | 1 | 5 | 6 | 9 | 10 => Some(Work::Remove),
        2 | 7 | 11 => Some(Work::Rename),
        3 | 4 | SETATTR | 12 => Some(Work::Truncate),
        _ => None,
    }
}

/// The most arguments of a function with a program at its end.
const END_ARGUMENTS: usize = 6;

/// All programs of the object: those for kprobes, those for fentry, and in place of the latter's first those for fexit,
/// by the number of arguments from 1 on.
struct OpenPrograms<'a, 'obj> {
    kprobes: [&'a mut OpenProgramMut<'obj>; PROGRAMS.len()],
    fentries: [&'a mut OpenProgramMut<'obj>; PROGRAMS.len() - 1],
    fexits: [&'a mut OpenProgramMut<'obj>; END_ARGUMENTS],
}

fn programs<'a, 'obj>(open: &'a mut OpenRawtpSkel<'obj>) -> OpenPrograms<'a, 'obj> {
    let progs = &mut open.progs;
    OpenPrograms {
        kprobes: [
            &mut progs.kprobe_end,
            &mut progs.kprobe_begin,
            &mut progs.kprobe_call_remove,
            &mut progs.kprobe_call_rename,
            &mut progs.kprobe_call_truncate,
            &mut progs.kprobe_call_truncate_file,
            &mut progs.kprobe_kernel_remove,
            &mut progs.kprobe_kernel_rename,
            &mut progs.kprobe_kernel_truncate,
            &mut progs.kprobe_remove,
            &mut progs.kprobe_rename,
            &mut progs.kprobe_truncate,
            &mut progs.kprobe_truncate_file,
            &mut progs.kprobe_evict,
        ],
        fentries: [
            &mut progs.fentry_begin,
            &mut progs.fentry_call_remove,
            &mut progs.fentry_call_rename,
            &mut progs.fentry_call_truncate,
            &mut progs.fentry_call_truncate_file,
            &mut progs.fentry_kernel_remove,
            &mut progs.fentry_kernel_rename,
            &mut progs.fentry_kernel_truncate,
            &mut progs.fentry_remove,
            &mut progs.fentry_rename,
            &mut progs.fentry_truncate,
            &mut progs.fentry_truncate_file,
            &mut progs.fentry_evict,
        ],
        fexits: [
            &mut progs.fexit_end_1,
            &mut progs.fexit_end_2,
            &mut progs.fexit_end_3,
            &mut progs.fexit_end_4,
            &mut progs.fexit_end_5,
            &mut progs.fexit_end_6,
        ],
    }
}

/// The kind that worked in this process the last time, plus one: for hooks that see no returns, and for those that do.
static WORKED: [AtomicU8; 2] = [AtomicU8::new(0), AtomicU8::new(0)];

/// The hooks of one tracer, on their way from the object to the kernel.
#[derive(Debug)]
pub struct FunctionPrograms {
    /// Whether they make the events of calls (`hook="vfs"`).
    by_functions: bool,
    /// The kinds that are left to try, the best first.
    kinds: Vec<HookKind>,
    /// The reasons against the other kinds.
    refusals: Vec<String>,
    /// The functions of each program, by their indices in [`FUNCTIONS`]. A program without any is not loaded.
    functions: [Vec<usize>; PROGRAMS.len()],
    targets: [Option<Function>; FUNCTIONS.len()],
    has_preemptible_rcu: bool,
    kprobes: [Option<ProgramCopy>; PROGRAMS.len()],
    fentries: [Option<ProgramCopy>; PROGRAMS.len()],
    fexits: [Option<ProgramCopy>; END_ARGUMENTS],
    loaded: Option<Vec<LoadedProgram>>,
}

/// A program and the functions to attach it to.
#[derive(Debug)]
struct LoadedProgram {
    program: io::Result<OwnedFd>,
    purpose: Purpose,
    functions: Vec<usize>,
}

/// Hooks that are attached and run.
#[derive(Debug)]
pub struct FunctionHooks {
    /// The kind of the hooks and their functions.
    pub name: String,
    /// The drawback of that kind.
    pub reason: Option<String>,
    /// The hooks that see results, or the reason why there are none.
    pub results: Result<String, String>,
    /// The hooks that see kernel threads, or the reason why there are none.
    pub kernel: Result<String, String>,
    /// The attached programs.
    pub programs: Vec<OwnedFd>,
    /// Their links.
    pub links: Vec<OwnedFd>,
}

impl FunctionPrograms {
    /// Finds out which kinds of hooks can be loaded for the calls of the configuration. Call it when the kernel's types
    /// are known.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut hooks = Self {
            by_functions: config.hook == Hook::Vfs,
            kinds: Vec::new(),
            refusals: Vec::new(),
            functions: [const { Vec::new() }; PROGRAMS.len()],
            targets: [None; FUNCTIONS.len()],
            has_preemptible_rcu: false,
            kprobes: [const { None }; PROGRAMS.len()],
            fentries: [const { None }; PROGRAMS.len()],
            fexits: [const { None }; END_ARGUMENTS],
            loaded: None,
        };
        if let Err(reason) = hooks.choose(config) {
            hooks.refusals.push(reason);
        }
        hooks
    }

    /// Whether a program is loaded for a function of its list, if the kernel has that.
    fn is_wanted(&self, program: &Program, function: usize, config: &Config) -> bool {
        let is_at_work = function >= FIRST_AT_WORK;
        let is_of_purpose = match program.purpose {
            // What kernel threads truncate has no end of its own.
            Purpose::End => {
                config.results && (self.by_functions || is_at_work && work_of(function) != Some(Work::Truncate))
            }
            Purpose::Begin => config.results && self.by_functions,
            Purpose::Call => self.by_functions,
            Purpose::Kernel => config.wants_places(),
            Purpose::Truth => !self.by_functions,
            Purpose::Evict => !self.by_functions && config.fields.contains(Key::Freed),
        };
        let is_watched =
            || work_of(function).is_none_or(|work| config.syscalls.iter().any(|call| call.work() == Some(work)));
        is_of_purpose && is_watched() && self.targets[function].is_some()
    }

    fn choose(&mut self, config: &Config) -> Result<(), String> {
        if !self.by_functions {
            if !config.wants_places() {
                return Err("fields names no key of the file itself, and there is no filter by path".into());
            }
            if !config.results {
                return Err("results=False".into());
            }
        }
        let ids = VmlinuxBtf::type_ids().ok_or("the kernel's types are not known")?;
        self.targets = ids.functions;
        self.has_preemptible_rcu = ids.has_preemptible_rcu;
        for (at, program) in PROGRAMS.iter().enumerate() {
            let functions = program.functions.iter().copied();
            self.functions[at] = functions.filter(|&function| self.is_wanted(program, function, config)).collect();
        }
        let target = PROGRAMS.iter().zip(&self.functions).find_map(|(program, functions)| {
            functions.first().filter(|_| matches!(program.purpose, Purpose::Call | Purpose::Truth))
        });
        let Some(target) = target.and_then(|&at| self.targets[at]) else {
            self.functions = [const { Vec::new() }; PROGRAMS.len()];
            return Err("the kernel has no function for it: CONFIG_SECURITY_PATH is off".into());
        };
        let kinds = HookKind::all(self.has_preemptible_rcu, self.by_functions);
        if let Some(worked) = kinds.into_iter().find(|&kind| kind as u8 + 1 == self.worked().load(Ordering::Relaxed)) {
            self.kinds.push(worked);
            return Ok(());
        }
        for kind in kinds {
            match kind.check(&ids, target.id) {
                Ok(()) => self.kinds.push(kind),
                Err(reason) => self.refuse(kind, &reason),
            }
        }
        Ok(())
    }

    fn worked(&self) -> &'static AtomicU8 {
        &WORKED[usize::from(self.by_functions)]
    }

    fn refuse(&mut self, kind: HookKind, reason: &str) {
        self.refusals.push(format!("{}: {reason}", kind.as_str(Point::Entry)));
    }

    /// Whether there are hooks to attach.
    #[must_use]
    pub fn has_kinds(&self) -> bool {
        !self.kinds.is_empty()
    }

    /// Whether there are hooks for kernel threads to attach.
    #[must_use]
    pub fn has_kernel(&self) -> bool {
        self.has_kinds() && self.has(Purpose::Kernel)
    }

    /// Returns the position of the dentry among the arguments of `security_inode_setattr`.
    #[must_use]
    pub fn setattr_dentry(&self) -> u32 {
        u32::from(self.targets[SETATTR].is_some_and(|function| function.parameters > 2))
    }

    /// The reasons against the kinds that are not tried.
    #[must_use]
    pub fn refusals(&self) -> String {
        self.refusals.join("; ")
    }

    fn has(&self, purpose: Purpose) -> bool {
        PROGRAMS.iter().zip(&self.functions).any(|(it, functions)| it.purpose == purpose && !functions.is_empty())
    }

    /// Has libbpf prepare the programs of the kinds that are to be tried, and no others.
    pub(super) fn configure(&self, open: &mut OpenRawtpSkel<'_>) {
        let has_kprobes = self.kinds.iter().any(|kind| *kind != HookKind::Fentry);
        let has_fentry = self.kinds.contains(&HookKind::Fentry);
        let OpenPrograms { kprobes, fentries, fexits } = programs(open);
        for (program, functions) in kprobes.into_iter().zip(&self.functions) {
            program.set_autoload(has_kprobes && !functions.is_empty());
        }
        for (program, functions) in fentries.into_iter().zip(&self.functions[1..]) {
            program.set_autoload(has_fentry && !functions.is_empty());
        }
        for (at, program) in fexits.into_iter().enumerate() {
            let is_one = |&&function: &&usize| self.parameters(function) == at + 1;
            program.set_autoload(has_fentry && self.functions[0].iter().any(|function| is_one(&function)));
        }
    }

    fn parameters(&self, function: usize) -> usize {
        self.targets[function].map_or(0, |function| function.parameters)
    }

    /// Takes the programs out of libbpf's load, because libbpf's error would be that of the whole tracer.
    pub(super) fn take(&mut self, open: &mut OpenRawtpSkel<'_>) {
        let btf_fd = btf_fd(open);
        let OpenPrograms { kprobes, fentries, fexits } = programs(open);
        let take =
            |program, name| take(program, Kind { name, program: BPF_PROG_TYPE_KPROBE, attach: 0, target: 0 }, btf_fd);
        for ((program, copy), of) in kprobes.into_iter().zip(&mut self.kprobes).zip(PROGRAMS) {
            *copy = take(program, of.name);
        }
        for ((program, copy), of) in fentries.into_iter().zip(&mut self.fentries[1..]).zip(&PROGRAMS[1..]) {
            *copy = take(program, of.name);
        }
        for (program, copy) in fexits.into_iter().zip(&mut self.fexits) {
            *copy = take(program, PROGRAMS[0].name);
        }
    }

    /// Loads the programs of the best kind. [`attach`](Self::attach) tries the others.
    pub(super) fn load_first(&mut self) {
        self.loaded = self.kinds.first().map(|&kind| self.load(kind));
    }

    fn load(&self, kind: HookKind) -> Vec<LoadedProgram> {
        let mut loaded = Vec::new();
        for (at, (of, functions)) in PROGRAMS.iter().zip(&self.functions).enumerate() {
            let Program { name, purpose, .. } = *of;
            let (program, attach) = kind.program_type(point_of(purpose));
            let load = |copy: Option<&ProgramCopy>, target| {
                let copy = copy.ok_or_else(|| io::Error::other("it has arguments that rawtp does not know"))?;
                copy.load_as(Kind { name, program, attach, target })
            };
            if kind == HookKind::Fentry {
                // Such a program is loaded for one function.
                for &function in functions {
                    let copy = if purpose == Purpose::End {
                        self.parameters(function).checked_sub(1).and_then(|at| self.fexits.get(at)?.as_ref())
                    } else {
                        self.fentries[at].as_ref()
                    };
                    let program = load(copy, self.targets[function].map_or(0, |function| function.id));
                    loaded.push(LoadedProgram { program, purpose, functions: vec![function] });
                }
            } else if !functions.is_empty() {
                let program = load(self.kprobes[at].as_ref(), 0);
                loaded.push(LoadedProgram { program, purpose, functions: functions.clone() });
            }
        }
        loaded
    }

    /// Attaches the hooks of the first kind that works.
    ///
    /// # Errors
    ///
    /// The reasons against every kind.
    pub(super) fn attach(mut self, skel: &RawtpSkel<'_>) -> Result<FunctionHooks, String> {
        for kind in std::mem::take(&mut self.kinds) {
            let loaded = self.loaded.take().unwrap_or_else(|| self.load(kind));
            match self.attach_kind(kind, loaded, skel) {
                Ok(hooks) => {
                    self.worked().store(kind as u8 + 1, Ordering::Relaxed);
                    return Ok(hooks);
                }
                Err(reason) => {
                    self.worked().store(0, Ordering::Relaxed);
                    self.refuse(kind, &reason);
                }
            }
        }
        Err(self.refusals())
    }

    fn attach_kind(
        &self,
        kind: HookKind,
        loaded: Vec<LoadedProgram>,
        skel: &RawtpSkel<'_>,
    ) -> Result<FunctionHooks, String> {
        let switches = Switches::new(skel).ok_or("the programs' memory cannot be mapped")?;
        let is_preempted = kind == HookKind::Fentry && self.has_preemptible_rcu;
        let mut hooks = FunctionHooks {
            name: format!("{}/security_path_*", kind.as_str(Point::Entry)),
            reason: is_preempted.then(|| {
                let refusals = self.refusals();
                format!("the kernel preempts such programs, and skips them meanwhile for other tasks; {refusals}")
            }),
            results: self.absent(Purpose::End, "results=False"),
            kernel: self
                .absent(Purpose::Kernel, "fields names no key of the file itself, and there is no filter by path"),
            programs: Vec::new(),
            links: Vec::new(),
        };
        let mut evict = None;
        // The trial is no event.
        switches.set_closed(self.by_functions);
        for LoadedProgram { program, purpose, functions } in loaded {
            let attached = program.map_err(|error| named(&error)).and_then(|program| {
                let functions: Vec<_> = functions.iter().map(|&at| FUNCTIONS[at]).collect();
                Ok((kind.attach(program.as_fd(), &functions, point_of(purpose))?, program))
            });
            let refusal = match attached {
                Ok((links, program)) => {
                    hooks.links.extend(links);
                    hooks.programs.push(program);
                    None
                }
                Err(reason) => Some(reason),
            };
            match (purpose, refusal) {
                (Purpose::Evict, refusal) => evict = Some(refusal),
                (_, None) => {}
                (Purpose::End | Purpose::Begin, Some(reason)) => hooks.results = Err(reason),
                (Purpose::Kernel, Some(reason)) => hooks.kernel = Err(reason),
                (Purpose::Call | Purpose::Truth, Some(reason)) => return Err(reason),
            }
        }
        let tried = try_work(|work| self.is_hooked(work));
        if !switches.has_run() {
            let tried = tried.map_or_else(|error| named(&error), |()| "0".into());
            let switches = "kernel.ftrace_enabled or debug/kprobes/enabled may be 0";
            return Err(format!("attached, but silent when tried ({tried}): {switches}"));
        }
        if self.by_functions && hooks.results.is_ok() && !switches.has_ended() {
            hooks.results = Err("attached, but silent when tried".into());
        }
        let hides_rmdir = self.by_functions && hooks.results.is_ok() && self.is_hooked(Work::Remove) && {
            switches.forget_begin();
            try_work(|work| work == Work::Remove).is_err() && !switches.has_begun()
        };
        switches.set_hides_rmdir(hides_rmdir);
        for (found, functions) in [(&mut hooks.results, "vfs_*"), (&mut hooks.kernel, "security_inode_*")] {
            let point = if functions == "vfs_*" { Point::Return } else { Point::Entry };
            if let Ok(name) = found {
                *name = format!("{}/{functions}", kind.as_str(point));
            }
        }
        if let Ok(name) = &mut hooks.results
            && hides_rmdir
        {
            name.push_str(", but of no rmdir");
        }
        switches.set_results(hooks.results.is_ok());
        match evict {
            Some(None) => switches.set_freed(),
            Some(Some(error)) => {
                hooks.reason = Some(format!("freed is None, because no hook on evict is possible: {error}"));
            }
            None => {}
        }
        switches.set_closed(false);
        Ok(hooks)
    }

    /// Returns the reason why no program of that purpose is to be attached, if none is.
    fn absent(&self, purpose: Purpose, reason: &str) -> Result<String, String> {
        if self.has(purpose) { Ok(String::new()) } else { Err(reason.to_owned()) }
    }

    /// Whether a program is to be attached to the functions for security modules that do this work.
    fn is_hooked(&self, work: Work) -> bool {
        PROGRAMS.iter().zip(&self.functions).any(|(program, functions)| {
            matches!(program.purpose, Purpose::Call | Purpose::Truth)
                && functions.iter().any(|&function| work_of(function) == Some(work))
        })
    }
}

/// The error of `hook="vfs"` where the kernel lets no hook be attached to its functions.
pub(super) fn no_function_hook(refusals: &str) -> Error {
    Error::NoHook(format!(
        "hook=\"vfs\" needs hooks on the kernel's functions, and none is possible here ({refusals}); hook=\"auto\" needs \
         none. A kernel has them with CONFIG_KPROBES, CONFIG_FPROBE or CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, where no \
         security module or hypervisor forbids them"
    ))
}

fn point_of(purpose: Purpose) -> Point {
    if purpose == Purpose::End { Point::Return } else { Point::Entry }
}

/// The addresses of the variables that the programs set, or that tell them what is attached.
struct Switches {
    runs: *mut u32,
    result_runs: *mut u32,
    sees_results: *mut u32,
    work_begins: *mut u32,
    hides_rmdir: *mut u32,
    sees_freed: *mut u32,
    is_closed: *mut u32,
}

impl Switches {
    /// Finds the variables, and resets them. `None` where they are not mapped.
    fn new(skel: &RawtpSkel<'_>) -> Option<Self> {
        let bss = skel.maps.bss_data.as_deref()?;
        let address = |variable: &u32| ptr::from_ref(variable).cast_mut();
        let switches = Self {
            runs: address(&bss.truth_runs),
            result_runs: address(&bss.result_runs),
            sees_results: address(&bss.sees_results),
            work_begins: address(&bss.work_begins),
            hides_rmdir: address(&bss.hides_rmdir),
            sees_freed: address(&bss.sees_freed),
            is_closed: address(&skel.maps.data_live_data.as_deref()?.live.is_closed),
        };
        for variable in [switches.runs, switches.result_runs, switches.sees_results, switches.sees_freed] {
            Self::set(variable, 0);
        }
        Some(switches)
    }

    fn set(variable: *mut u32, value: u32) {
        // SAFETY: it points into the mapping of the skeleton, which outlives the attachment. The programs read and write
        // whole words.
        unsafe { variable.write_volatile(value) };
    }

    fn is_set(variable: *mut u32) -> bool {
        // SAFETY: as above. A program may write it at the same time, and any value but 0 means that it ran.
        unsafe { variable.read_volatile() != 0 }
    }

    fn has_run(&self) -> bool {
        Self::is_set(self.runs)
    }

    fn has_ended(&self) -> bool {
        Self::is_set(self.result_runs)
    }

    fn forget_begin(&self) {
        Self::set(self.work_begins, 0);
    }

    fn has_begun(&self) -> bool {
        Self::is_set(self.work_begins)
    }

    fn set_hides_rmdir(&self, hides: bool) {
        Self::set(self.hides_rmdir, hides.into());
    }

    fn set_results(&self, sees: bool) {
        Self::set(self.sees_results, sees.into());
    }

    fn set_freed(&self) {
        Self::set(self.sees_freed, 1);
    }

    fn set_closed(&self, is_closed: bool) {
        Self::set(self.is_closed, is_closed.into());
    }
}

/// Makes a call that reaches one of the functions and removes nothing: it empties an empty file in memory, removes a
/// symbolic link as a directory, or renames it to itself. The link is one of procfs, which allows neither. Returns the
/// call's error, which most of these calls have to give.
fn try_work(is_hooked: impl Fn(Work) -> bool) -> io::Result<()> {
    if is_hooked(Work::Truncate) {
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
        if is_hooked(Work::Remove) {
            libc::unlinkat(fd, exe, libc::AT_REMOVEDIR)
        } else {
            libc::renameat(fd, exe, fd, exe)
        }
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trial_removes_nothing() {
        for work in Work::ALL {
            let errno = try_work(|hooked| hooked == work).map_or_else(|error| error.raw_os_error(), |()| Some(0));
            assert!([Some(0), Some(libc::EPERM), Some(libc::ENOTDIR)].contains(&errno), "{errno:?}");
        }
        assert!(std::fs::read_link("/proc/self/exe").unwrap().exists());
    }

    #[test]
    fn every_function_has_its_programs() {
        for (at, function) in FUNCTIONS.iter().enumerate() {
            let function = function.to_str().unwrap();
            let of = PROGRAMS.iter().filter(|program| program.functions.contains(&at)).map(|program| program.purpose);
            let purposes: Vec<_> = of.collect();
            let expected: &[Purpose] = match () {
                () if function.starts_with("security_inode_") => &[Purpose::Kernel],
                () if function.starts_with("security_") => &[Purpose::End, Purpose::Call, Purpose::Truth],
                () if function == "evict" => &[Purpose::Evict],
                () => &[Purpose::End, Purpose::Begin],
            };
            assert_eq!(purposes, expected, "{function}");
            let work = work_of(at);
            assert_eq!(work == Some(Work::Rename), function.ends_with("rename"), "{function}");
            assert_eq!(work == Some(Work::Truncate), function.contains("trunc") || at == SETATTR, "{function}");
            assert_eq!(work.is_none(), function == "evict");
            assert_eq!(at >= FIRST_AT_WORK, !function.starts_with("security_"), "{function}");
        }
    }
}
