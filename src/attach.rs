//! Attaching what was loaded, and saying what is seen by it.

use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::{ErrorKind, ProgramMut};

use crate::config::Config;
use crate::coverage::{self, Part};
use crate::error::{Error, Result};
use crate::fork::Link;
use crate::hook::attach_tracepoint;
use crate::messages::{logged, quietly};
use crate::skel::RawtpSkel;

/// What keeps the programs alive and attached.
#[derive(Debug, Default)]
pub struct Attached {
    /// Those of entries, then those of what ends.
    pub links: Vec<Link>,
    /// The same order.
    pub programs: Vec<OwnedFd>,
    /// What they see.
    pub coverage: Vec<Part>,
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
}

impl Attached {
    /// Attaches all programs of the plan: the ends first, since an end without a beginning is dropped, while a beginning
    /// without an end would wait for it.
    ///
    /// # Errors
    ///
    /// Those of what a tracer cannot do without: the system calls.
    pub fn new(skel: &RawtpSkel<'_>, config: &Config, plan: &Plan) -> Result<Self> {
        let mut attached = Self::default();
        let progs = &skel.progs;
        let no_results = (!config.results).then(|| "results=False".to_owned());
        let (enter, exit) = if plan.classic {
            (&progs.trace_sys_enter, &progs.trace_sys_exit)
        } else {
            (&progs.handle_sys_enter, &progs.handle_sys_exit)
        };
        if config.filters.follow() {
            for program in [&progs.handle_process_exit, &progs.handle_fork] {
                attached.keep(program, copy(&logged(|| program.attach())?)?)?;
            }
        }
        let no_completions = plan.without_requests.clone().or_else(|| no_results.clone());
        attached.optional(
            coverage::IO_URING_RESULTS,
            no_completions,
            &progs.handle_completion,
            &["io_uring_complete"],
        )?;
        match no_results {
            Some(reason) => attached.coverage.push(Part::absent(coverage::SYSCALL_RESULTS, reason)),
            None => {
                attached.syscalls(coverage::SYSCALL_RESULTS, exit, plan, "tp_btf/sys_exit", "raw_syscalls/sys_exit")?;
            }
        }
        let submissions = ["io_uring_submit_req", "io_uring_submit_sqe"];
        attached.optional(coverage::IO_URING, plan.without_requests.clone(), &progs.handle_request, &submissions)?;
        attached.syscalls(coverage::SYSCALLS, enter, plan, "raw_tp/sys_enter", "raw_syscalls/sys_enter")?;
        attached.links.reverse();
        attached.programs.reverse();
        attached.coverage.reverse();
        Ok(attached)
    }

    fn syscalls(
        &mut self,
        name: &'static str,
        program: &ProgramMut<'_>,
        plan: &Plan,
        raw: &'static str,
        classic: &'static str,
    ) -> Result<()> {
        if plan.classic {
            let link = attach_tracepoint(program.as_fd(), classic);
            self.keep(program, link.map_err(Error::os("cannot attach to the tracepoints raw_syscalls"))?)?;
        } else {
            self.keep(program, copy(&logged(|| program.attach())?)?)?;
        }
        let hook = if plan.classic { format!("tracepoint/{classic}") } else { raw.to_owned() };
        self.coverage.push(Part { name, hook: Some(hook), reason: plan.reason.clone() });
        Ok(())
    }

    /// What a kernel may do without: the first of the tracepoints that is there.
    fn optional(
        &mut self,
        name: &'static str,
        without: Option<String>,
        program: &ProgramMut<'_>,
        tracepoints: &[&'static str],
    ) -> Result<()> {
        let attached = match without {
            Some(reason) => Err(reason),
            None => first_of(program, tracepoints),
        };
        let part = match attached {
            Ok((link, tracepoint)) => {
                self.keep(program, copy(&link)?)?;
                Part::live(name, format!("raw_tp/{tracepoint}"))
            }
            Err(reason) => Part::absent(name, reason),
        };
        self.coverage.push(part);
        Ok(())
    }

    fn keep(&mut self, program: &ProgramMut<'_>, link: OwnedFd) -> Result<()> {
        self.links.push(Link::new(link)?);
        self.programs.push(copy(program)?);
        Ok(())
    }
}

fn copy(of: &impl AsFd) -> Result<OwnedFd> {
    of.as_fd().try_clone_to_owned().map_err(Error::os("cannot copy a descriptor"))
}

/// The link to the first tracepoint that is there; else the reason why none is attached.
fn first_of(
    program: &ProgramMut<'_>,
    tracepoints: &[&'static str],
) -> std::result::Result<(libbpf_rs::Link, &'static str), String> {
    for tracepoint in tracepoints {
        match quietly(|| program.attach_raw_tracepoint(tracepoint)) {
            Ok(link) => return Ok((link, tracepoint)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            // What the program does where it knows none of the arguments (UNKNOWN_ARGUMENTS).
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                return Err(format!("this kernel's tracepoint {tracepoint} has arguments that rawtp does not know"));
            }
            Err(error) => return Err(format!("cannot attach to the tracepoint {tracepoint}: {error}")),
        }
    }
    Err(format!("this kernel has no tracepoint {}", tracepoints.join(" or ")))
}
