//! Attaches the loaded programs and reports what they see.

use std::ffi::CStr;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::fields;
use crate::load::coverage::{self, HookCoverage};
use crate::load::functions::{FunctionHooks, FunctionPrograms, no_function_hook};
use crate::load::libbpf_log::with_log;
use crate::load::parallel::ParallelPrograms;
use crate::skel::RawtpSkel;
use crate::sys::bpf::attach_raw;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::fd::copy;
use crate::sys::tracepoint::{attach_event, open_tracepoint};

/// The classic tracepoints of system calls.
const SYS_ENTER: &str = "raw_syscalls/sys_enter";
const SYS_EXIT: &str = "raw_syscalls/sys_exit";

/// The descriptors that keep the programs loaded and attached.
#[derive(Debug, Default)]
pub struct Attached {
    /// The links: first those of entries, then those of exits.
    pub links: Vec<CloseOnForkFd>,
    /// The programs, in the same order. One program can have several links.
    pub programs: Vec<OwnedFd>,
    /// The hooks that see something, and the gaps.
    pub coverage: Vec<HookCoverage>,
}

/// The choice of programs to load.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Whether functions of the kernel's make the events, and no system call is hooked.
    pub by_functions: bool,
    /// Whether to use classic tracepoints instead of raw ones.
    pub classic: bool,
    /// The reason for that choice.
    pub reason: Option<String>,
    /// Whether the programs are preemptible.
    pub is_preemptible: bool,
    /// The reason why the `io_uring` programs are left out, if they are.
    pub without_requests: Option<String>,
    /// The reason why the cgroup programs are left out, if they are.
    pub without_cgroups: Option<String>,
}

impl Attached {
    /// Attaches all programs of the plan. Exits come before entries: an exit without an entry is dropped, while an entry without
    /// an exit would wait for it. `parallel` has the programs that were not loaded by the skeleton.
    ///
    /// # Errors
    ///
    /// Those of the hooks that see calls. A tracer cannot work without them.
    pub fn new(
        skel: &RawtpSkel<'_>,
        parallel: &ParallelPrograms,
        functions: FunctionPrograms,
        config: &Config,
        plan: &Plan,
    ) -> Result<Self> {
        let mut attached = Self::default();
        // First, because it makes a call of its own that no other program may see.
        let by_functions = attached.functions(skel, functions, plan)?;
        let open = |name| open_tracepoint(name).map_err(Error::os("cannot attach to the tracepoints raw_syscalls"));
        let events = if plan.classic { [Some(open(SYS_ENTER)?), Some(open(SYS_EXIT)?)] } else { [None, None] };
        let [enter_event, exit_event] = events.each_ref().map(Option::as_ref);
        let progs = &skel.progs;
        let no_results = (!config.results).then(|| "results=False".to_owned());
        let (enter, exit) = if plan.classic {
            (&progs.trace_sys_enter, &progs.trace_sys_exit)
        } else {
            (&progs.handle_sys_enter, &progs.handle_sys_exit)
        };
        let exit = parallel.exit.as_ref().map_or_else(|| exit.as_fd(), AsFd::as_fd);
        if config.filters.follow() {
            for program in [&progs.handle_process_exit, &progs.handle_fork] {
                attached.keep(program, copy(&with_log(|| program.attach())?)?)?;
            }
        }
        if config.fields.any(&fields::LINEAGE) {
            for program in [&progs.report_exec, &progs.report_fork] {
                attached.keep(program, copy(&with_log(|| program.attach())?)?)?;
            }
        }
        attached.cgroups(skel, plan)?;
        if plan.by_functions {
            attached.coverage.extend(by_functions);
            attached.reverse();
            return Ok(attached);
        }
        if config.wants_ends_of_execs() {
            attached.keep(&progs.handle_thread_exit, copy(&with_log(|| progs.handle_thread_exit.attach())?)?)?;
        }
        let no_completions = plan.without_requests.clone().or_else(|| no_results.clone());
        let completion = no_completions.map_or_else(|| Ok(progs.handle_completion.as_fd()), Err);
        let has_completions = completion.is_ok();
        attached.optional(coverage::IO_URING_RESULTS, completion, &[c"io_uring_complete"])?;
        // A kernel without it, or with other arguments, is no gap: before Linux 5.17 every request completes.
        if let Some(Ok((link, _))) =
            has_completions.then(|| first_of(progs.handle_cancelled.as_fd(), &[c"io_uring_fail_link"]))
        {
            attached.keep(&progs.handle_cancelled.as_fd(), link)?;
        }
        match no_results {
            Some(reason) => attached.coverage.push(HookCoverage::absent(coverage::SYSCALL_RESULTS, reason)),
            None => {
                attached.syscalls(
                    coverage::SYSCALL_RESULTS,
                    exit,
                    None,
                    exit_event,
                    plan,
                    ["tp_btf/sys_exit", SYS_EXIT],
                )?;
            }
        }
        let submissions = [c"io_uring_submit_req", c"io_uring_submit_sqe"];
        let request = || parallel.request.as_ref().map_or_else(|| progs.handle_request.as_fd(), AsFd::as_fd);
        let request = plan.without_requests.clone().map_or_else(|| Ok(request()), Err);
        attached.optional(coverage::IO_URING, request, &submissions)?;
        let (tracepoint, hook) = (Some(c"sys_enter"), ["raw_tp/sys_enter", SYS_ENTER]);
        attached.syscalls(coverage::SYSCALLS, enter.as_fd(), tracepoint, enter_event, plan, hook)?;
        attached.reverse();
        Ok(attached)
    }

    /// Puts entries first.
    fn reverse(&mut self) {
        self.links.reverse();
        self.programs.reverse();
        self.coverage.reverse();
    }

    /// Attaches a program to system calls, by a raw tracepoint or by the classic one. A `tp_btf` program knows the name
    /// of its raw tracepoint itself.
    fn syscalls(
        &mut self,
        name: &'static str,
        program: BorrowedFd<'_>,
        tracepoint: Option<&CStr>,
        event: Option<&OwnedFd>,
        plan: &Plan,
        [raw, classic]: [&'static str; 2],
    ) -> Result<()> {
        let link = match event {
            Some(event) => {
                attach_event(program, event).map_err(Error::os("cannot attach to the tracepoints raw_syscalls"))
            }
            None => attach_raw(program, tracepoint)
                .map_err(Error::os("cannot attach to the raw tracepoints of system calls")),
        };
        self.keep(&program, link?)?;
        let hook = if event.is_some() { format!("tracepoint/{classic}") } else { raw.to_owned() };
        self.coverage.push(HookCoverage { name, hook: Some(hook), reason: plan.reason.clone() });
        Ok(())
    }

    /// Attaches a program that a kernel may lack a tracepoint for, to the first of the tracepoints that exists. Without
    /// one, or given a reason instead of a program, it records the gap.
    fn optional(
        &mut self,
        name: &'static str,
        program: std::result::Result<BorrowedFd<'_>, String>,
        tracepoints: &[&'static CStr],
    ) -> Result<()> {
        let attached = program.and_then(|program| Ok((program, first_of(program, tracepoints)?)));
        let coverage = match attached {
            Ok((program, (link, tracepoint))) => {
                self.keep(&program, link)?;
                HookCoverage::live(name, format!("raw_tp/{tracepoint}"))
            }
            Err(reason) => HookCoverage::absent(name, reason),
        };
        self.coverage.push(coverage);
        Ok(())
    }

    /// Attaches both cgroup programs or none. One without the other would silently leave containers out.
    fn cgroups(&mut self, skel: &RawtpSkel<'_>, plan: &Plan) -> Result<()> {
        let (made, left) = (skel.progs.handle_cgroup_made.as_fd(), skel.progs.handle_cgroup_left.as_fd());
        let attach = || Ok((first_of(made, &[c"cgroup_mkdir"])?, first_of(left, &[c"cgroup_notify_populated"])?));
        let coverage = match plan.without_cgroups.clone().map_or_else(attach, Err) {
            Ok(((made_link, name), (left_link, _))) => {
                self.keep(&made, made_link)?;
                self.keep(&left, left_link)?;
                HookCoverage::live(coverage::CGROUP_CHANGES, format!("raw_tp/{name}"))
            }
            Err(reason) => HookCoverage::absent(coverage::CGROUP_CHANGES, reason),
        };
        self.coverage.push(coverage);
        Ok(())
    }

    /// Attaches the hooks on functions. No event of a system call's hook needs them. Returns what they see of calls by
    /// themselves.
    fn functions(
        &mut self,
        skel: &RawtpSkel<'_>,
        functions: FunctionPrograms,
        plan: &Plan,
    ) -> Result<[HookCoverage; 4]> {
        let (name, reason, results) = match functions.attach(skel) {
            Ok(FunctionHooks { name, reason, results, kernel, programs, links }) => {
                let links: Result<Vec<_>> = links.into_iter().map(CloseOnForkFd::new).collect();
                self.links.extend(links?);
                self.programs.extend(programs);
                self.coverage.push(covered(coverage::KERNEL_THREADS, kernel));
                (Some(name), reason, results)
            }
            Err(refusals) if plan.by_functions => return Err(no_function_hook(&refusals)),
            Err(refusals) => {
                self.coverage.push(HookCoverage::absent(coverage::KERNEL_THREADS, refusals.clone()));
                (None, Some(refusals.clone()), Err(refusals))
            }
        };
        let seen = |name_of_part, seen: &str| HookCoverage {
            name: name_of_part,
            hook: name.clone(),
            reason: Some(reason.as_ref().map_or_else(|| seen.to_owned(), |reason| format!("{seen}; {reason}"))),
        };
        let by_functions = [
            covered(coverage::IO_URING_RESULTS, results.clone()),
            covered(coverage::SYSCALL_RESULTS, results),
            seen(coverage::IO_URING, REQUESTS_BY_FUNCTIONS),
            seen(coverage::SYSCALLS, CALLS_BY_FUNCTIONS),
        ];
        self.coverage.push(HookCoverage { name: coverage::TRUTH, hook: name, reason });
        Ok(by_functions)
    }

    fn keep(&mut self, program: &impl AsFd, link: OwnedFd) -> Result<()> {
        self.links.push(CloseOnForkFd::new(link)?);
        self.programs.push(copy(program)?);
        Ok(())
    }
}

/// The gaps of calls that are seen by functions alone.
const CALLS_BY_FUNCTIONS: &str = "only what reaches the file: not what fails before, such as ENOENT; nor fallocate, \
                                  ioctl and mq_unlink";
/// The gaps of requests that are seen by functions alone.
const REQUESTS_BY_FUNCTIONS: &str = "only what reaches the file, and without the names that were passed";

fn covered(name: &'static str, hook: std::result::Result<String, String>) -> HookCoverage {
    match hook {
        Ok(hook) => HookCoverage::live(name, hook),
        Err(reason) => HookCoverage::absent(name, reason),
    }
}

/// Links the program to the first tracepoint that exists. Otherwise returns the reason why none is attached.
fn first_of(
    program: BorrowedFd<'_>,
    tracepoints: &[&'static CStr],
) -> std::result::Result<(OwnedFd, &'static str), String> {
    let names: Vec<&str> = tracepoints.iter().filter_map(|tracepoint| tracepoint.to_str().ok()).collect();
    for (tracepoint, name) in tracepoints.iter().zip(&names) {
        match attach_raw(program, Some(tracepoint)) {
            Ok(link) => return Ok((link, name)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // The kernel refuses a program that knows none of the arguments: it reads beyond them (UNKNOWN_ARGUMENTS).
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(format!("this kernel's tracepoint {name} has arguments that rawtp does not know"));
            }
            Err(error) => return Err(format!("cannot attach to the tracepoint {name}: {error}")),
        }
    }
    Err(format!("this kernel has no tracepoint {}", names.join(" or ")))
}
