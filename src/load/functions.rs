//! Hooks on the kernel's own functions that remove names and content (`bpf/hooks/truth.bpf.h`, `function*.bpf.h`). A
//! tracer of system calls works without them, so nothing here fails it. `hook="vfs"` is made of them.
//!
//! No kernel version tells which kind of hook works. Programs of a kind may be refused, an attachment may be, and an
//! attached program may be silent: `kernel.ftrace_enabled=0` and `/sys/kernel/debug/kprobes/enabled` switch programs off
//! without an error. So the kinds are tried in order, and a removal of our own shows whether the program runs.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use libbpf_sys::BPF_PROG_TYPE_KPROBE;

use crate::btf::vmlinux::{FUNCTIONS, Function, VmlinuxBtf};
use crate::config::Config;
use crate::config::hook::Hook;
use crate::error::Error;
use crate::fields::Key;
use crate::load::function_kind::{HookKind, named};
use crate::load::function_programs::{
    END_ARGUMENTS, FIRST_AT_WORK, OpenPrograms, PROGRAMS, Program, Purpose, SETATTR, programs, work_of,
};
use crate::load::function_switches::Switches;
use crate::load::function_trial::try_work;
use crate::load::program_copy::{Kind, ProgramCopy, btf_fd, take};
use crate::skel::{OpenRawtpSkel, RawtpSkel};
use crate::sys::kprobe::Point;
use crate::syscall::Work;

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
            let (program, attach) = kind.program_type(purpose.point());
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
                Ok((kind.attach(program.as_fd(), &functions, purpose.point())?, program))
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
