//! Attaching what was loaded, and saying what is seen by it.

use std::ffi::CStr;
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::load::coverage::{self, HookCoverage};
use crate::load::libbpf_log::with_log;
use crate::load::parallel::ParallelPrograms;
use crate::skel::RawtpSkel;
use crate::sys::bpf::attach_raw;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::fd::copy;
use crate::sys::tracepoint::attach_tracepoint;

/// What keeps the programs alive and attached.
#[derive(Debug, Default)]
pub struct Attached {
    /// Those of entries, then those of what ends.
    pub links: Vec<CloseOnForkFd>,
    /// The same order.
    pub programs: Vec<OwnedFd>,
    /// What they see.
    pub coverage: Vec<HookCoverage>,
}

/// What was loaded, out of what there is to choose from.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Classic tracepoints instead of raw ones.
    pub classic: bool,
    /// Why.
    pub reason: Option<String>,
    /// Why nothing for `io_uring`, if nothing was.
    pub without_requests: Option<String>,
    /// Why nothing for cgroups, if nothing was.
    pub without_cgroups: Option<String>,
}

impl Attached {
    /// Attaches all programs of the plan: the ends first, since an end without a beginning is dropped, while a beginning
    /// without an end would wait for it. `beside` are the programs that are not the skeleton's.
    ///
    /// # Errors
    ///
    /// Those of what a tracer cannot do without: the system calls.
    pub fn new(skel: &RawtpSkel<'_>, beside: &ParallelPrograms, config: &Config, plan: &Plan) -> Result<Self> {
        let mut attached = Self::default();
        let progs = &skel.progs;
        let no_results = (!config.results).then(|| "results=False".to_owned());
        let (enter, exit) = if plan.classic {
            (&progs.trace_sys_enter, &progs.trace_sys_exit)
        } else {
            (&progs.handle_sys_enter, &progs.handle_sys_exit)
        };
        let exit = beside.exit.as_ref().map_or_else(|| exit.as_fd(), AsFd::as_fd);
        if config.filters.follow() {
            for program in [&progs.handle_process_exit, &progs.handle_fork] {
                attached.keep(program, copy(&with_log(|| program.attach())?)?)?;
            }
        }
        attached.cgroups(skel, plan)?;
        let no_completions = plan.without_requests.clone().or_else(|| no_results.clone());
        let completion = no_completions.map_or_else(|| Ok(progs.handle_completion.as_fd()), Err);
        attached.optional(coverage::IO_URING_RESULTS, completion, &[c"io_uring_complete"])?;
        match no_results {
            Some(reason) => attached.coverage.push(HookCoverage::absent(coverage::SYSCALL_RESULTS, reason)),
            None => {
                attached.syscalls(
                    coverage::SYSCALL_RESULTS,
                    exit,
                    None,
                    plan,
                    ["tp_btf/sys_exit", "raw_syscalls/sys_exit"],
                )?;
            }
        }
        let submissions = [c"io_uring_submit_req", c"io_uring_submit_sqe"];
        let request = || beside.request.as_ref().map_or_else(|| progs.handle_request.as_fd(), AsFd::as_fd);
        let request = plan.without_requests.clone().map_or_else(|| Ok(request()), Err);
        attached.optional(coverage::IO_URING, request, &submissions)?;
        let (enter, tracepoint) = (enter.as_fd(), Some(c"sys_enter"));
        attached.syscalls(
            coverage::SYSCALLS,
            enter,
            tracepoint,
            plan,
            ["raw_tp/sys_enter", "raw_syscalls/sys_enter"],
        )?;
        attached.links.reverse();
        attached.programs.reverse();
        attached.coverage.reverse();
        Ok(attached)
    }

    /// By its raw tracepoint, of which a `tp_btf` program knows the name itself, or by the classic one.
    fn syscalls(
        &mut self,
        name: &'static str,
        program: BorrowedFd<'_>,
        tracepoint: Option<&CStr>,
        plan: &Plan,
        [raw, classic]: [&'static str; 2],
    ) -> Result<()> {
        let link = if plan.classic {
            attach_tracepoint(program, classic).map_err(Error::os("cannot attach to the tracepoints raw_syscalls"))
        } else {
            attach_raw(program, tracepoint).map_err(Error::os("cannot attach to the raw tracepoints of system calls"))
        };
        self.keep(&program, link?)?;
        let hook = if plan.classic { format!("tracepoint/{classic}") } else { raw.to_owned() };
        self.coverage.push(HookCoverage { name, hook: Some(hook), reason: plan.reason.clone() });
        Ok(())
    }

    /// What a kernel may do without: the first of the tracepoints that is there; or the reason for doing without.
    fn optional(
        &mut self,
        name: &'static str,
        program: std::result::Result<BorrowedFd<'_>, String>,
        tracepoints: &[&'static CStr],
    ) -> Result<()> {
        let attached = program.and_then(|program| Ok((program, first_of(program, tracepoints)?)));
        let part = match attached {
            Ok((program, (link, tracepoint))) => {
                self.keep(&program, link)?;
                HookCoverage::live(name, format!("raw_tp/{tracepoint}"))
            }
            Err(reason) => HookCoverage::absent(name, reason),
        };
        self.coverage.push(part);
        Ok(())
    }

    /// Both programs, or none: one without the other would leave containers out without a word.
    fn cgroups(&mut self, skel: &RawtpSkel<'_>, plan: &Plan) -> Result<()> {
        let (made, left) = (skel.progs.handle_cgroup_made.as_fd(), skel.progs.handle_cgroup_left.as_fd());
        let attach = || Ok((first_of(made, &[c"cgroup_mkdir"])?, first_of(left, &[c"cgroup_notify_populated"])?));
        let part = match plan.without_cgroups.clone().map_or_else(attach, Err) {
            Ok(((made_link, name), (left_link, _))) => {
                self.keep(&made, made_link)?;
                self.keep(&left, left_link)?;
                HookCoverage::live(coverage::CGROUP_CHANGES, format!("raw_tp/{name}"))
            }
            Err(reason) => HookCoverage::absent(coverage::CGROUP_CHANGES, reason),
        };
        self.coverage.push(part);
        Ok(())
    }

    fn keep(&mut self, program: &impl AsFd, link: OwnedFd) -> Result<()> {
        self.links.push(CloseOnForkFd::new(link)?);
        self.programs.push(copy(program)?);
        Ok(())
    }
}

/// The link to the first tracepoint that is there; else the reason why none is attached.
fn first_of(
    program: BorrowedFd<'_>,
    tracepoints: &[&'static CStr],
) -> std::result::Result<(OwnedFd, &'static str), String> {
    let names: Vec<&str> = tracepoints.iter().filter_map(|tracepoint| tracepoint.to_str().ok()).collect();
    for (tracepoint, name) in tracepoints.iter().zip(&names) {
        match attach_raw(program, Some(tracepoint)) {
            Ok(link) => return Ok((link, name)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // What the program does where it knows none of the arguments (UNKNOWN_ARGUMENTS).
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(format!("this kernel's tracepoint {name} has arguments that rawtp does not know"));
            }
            Err(error) => return Err(format!("cannot attach to the tracepoint {name}: {error}")),
        }
    }
    Err(format!("this kernel has no tracepoint {}", names.join(" or ")))
}
