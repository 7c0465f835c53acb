//! The baselines that rawtp's cost is compared with: the programs of `bpf/probes/cost.bpf.c`.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::query::{LinkInfoIter, LinkTypeInfo, PerfEventType, ProgInfoIter};
use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

use crate::cost::{Case, Observed};
use crate::error::{Error, Malformed, Result};
use crate::load::diagnose::diagnose;
use crate::load::libbpf_log::{keep_off_stderr, with_log};
use crate::ring::buffer::{Drained, Ring};
use crate::ring::chunk::Chunk;
use crate::skel::cost::{CostSkelBuilder, OpenCostSkel};
use crate::sys::bpf::attach_raw;
use crate::sys::close_on_fork::CloseOnForkFd;
use crate::sys::fd::copy;
use crate::sys::signals::uninterrupted;
use crate::sys::tracepoint::attach_tracepoint;
use crate::syscall::Abi;

/// The kinds of baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaselineKind {
    /// An empty program on `raw_tp/sys_enter`.
    Empty,
    /// The guide's program on `raw_tp/sys_enter`.
    GuideRawTp,
    /// The guide's program on `tracepoint/syscalls/sys_enter_unlinkat`.
    GuideTracepoint,
}

const RING_BYTES: u32 = 4 << 20;
const TRACEPOINT: &str = "syscalls/sys_enter_unlinkat";

/// A loaded baseline.
#[derive(Debug)]
pub struct Baseline {
    kind: BaselineKind,
    program: OwnedFd,
    ring: Ring,
    chunk: Chunk,
    lost: MapHandle,
    /// The count of lost records when the program was attached.
    lost_before: u64,
    records: u64,
    link: Option<CloseOnForkFd>,
}

impl Baseline {
    /// Loads the program.
    ///
    /// # Errors
    ///
    /// [`Error::Permission`], [`Error::Load`], or [`Error::Os`] when descriptors or memory run out.
    pub fn load(kind: BaselineKind) -> Result<Self> {
        uninterrupted(|| Self::load_once(kind))
    }

    fn load_once(kind: BaselineKind) -> Result<Self> {
        keep_off_stderr();
        let cpus = libbpf_rs::num_possible_cpus().map_err(|error| diagnose(&error, ""))? as u32;
        let mut storage = MaybeUninit::uninit();
        let skel = with_log(|| {
            let mut open = CostSkelBuilder::default().open(&mut storage)?;
            configure(&mut open, kind, cpus)?;
            open.load()
        })?;
        let program = match kind {
            BaselineKind::Empty => &skel.progs.empty,
            BaselineKind::GuideRawTp => &skel.progs.guide_raw_tp,
            BaselineKind::GuideTracepoint => &skel.progs.guide_tracepoint,
        };
        Ok(Self {
            kind,
            program: copy(program)?,
            ring: Ring::new(copy(&skel.maps.deletions)?, RING_BYTES as usize)?,
            chunk: Chunk::default(),
            lost: MapHandle::try_from(&skel.maps.bss).map_err(|error| diagnose(&error, ""))?,
            lost_before: 0,
            records: 0,
            link: None,
        })
    }

    /// Loads the program and attaches it for a moment, to find out whether it can be measured on this machine.
    ///
    /// # Errors
    ///
    /// The reason why it cannot, as one line.
    pub fn try_out(kind: BaselineKind) -> std::result::Result<Self, String> {
        let mut program = Self::load(kind).map_err(|error| error.to_string())?;
        let link = program.open_link().map_err(|error| reason(kind, &error))?;
        drop(link);
        Ok(program)
    }

    fn open_link(&mut self) -> io::Result<OwnedFd> {
        match self.kind {
            BaselineKind::GuideTracepoint => attach_tracepoint(self.program.as_fd(), TRACEPOINT),
            BaselineKind::Empty | BaselineKind::GuideRawTp => attach_raw(self.program.as_fd(), Some(c"sys_enter")),
        }
    }

    fn lost(&self) -> Result<u64> {
        let bytes = self.lost.lookup(&0_u32.to_ne_bytes(), MapFlags::ANY).map_err(|error| diagnose(&error, ""))?;
        let lost = bytes.as_deref().and_then(|bytes| bytes.first_chunk()).copied();
        lost.map(u64::from_ne_bytes).ok_or(Malformed("the programs' own count").into())
    }
}

fn configure(open: &mut OpenCostSkel<'_>, kind: BaselineKind, cpus: u32) -> libbpf_rs::Result<()> {
    let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section, which is made with it");
    rodata.cfg_unlinkat = Abi::NATIVE.number("unlinkat").map_or(u64::MAX, u64::from);
    open.progs.empty.set_autoload(kind == BaselineKind::Empty);
    open.progs.guide_raw_tp.set_autoload(kind == BaselineKind::GuideRawTp);
    open.progs.guide_tracepoint.set_autoload(kind == BaselineKind::GuideTracepoint);
    open.maps.scratch.set_max_entries(cpus)?;
    open.maps.deletions.set_max_entries(RING_BYTES)
}

fn reason(kind: BaselineKind, error: &io::Error) -> String {
    let hook = if kind == BaselineKind::GuideTracepoint { TRACEPOINT } else { "sys_enter" };
    let hint = match (kind, error.raw_os_error()) {
        (BaselineKind::GuideTracepoint, Some(libc::ENOENT | libc::ENODEV | libc::EINVAL | libc::ENOSYS)) => {
            ": it needs tracefs, a kernel with CONFIG_FTRACE_SYSCALLS, and Linux 5.15 or later"
        }
        (BaselineKind::GuideTracepoint, Some(libc::EPERM | libc::EACCES)) => {
            ": its number is in tracefs, which this process may neither read nor mount"
        }
        _ => "",
    };
    format!("cannot attach to the tracepoint {hook} ({error}){hint}")
}

impl<E: From<Error>> Case<E> for Baseline {
    fn attach(&mut self) -> std::result::Result<(), E> {
        self.lost_before = self.lost()?;
        self.records = 0;
        let link = self.open_link().map_err(Error::os("cannot attach to a tracepoint"))?;
        self.link = Some(CloseOnForkFd::new(link)?);
        Ok(())
    }

    fn discard(&mut self) -> std::result::Result<(), E> {
        loop {
            let drained = self.ring.drain(&mut self.chunk)?;
            self.records += u64::from(self.chunk.events);
            self.chunk.bytes.clear();
            self.chunk.events = 0;
            if drained == Drained::All {
                return Ok(());
            }
        }
    }

    fn detach(&mut self) -> std::result::Result<Observed, E> {
        drop(self.link.take());
        Case::<E>::discard(self)?;
        Ok(Observed { records: self.records, lost: self.lost()? - self.lost_before })
    }
}

/// Returns the BPF programs that hook system calls on this host now, one line for each. It lists only those attached by
/// links, and none where the kernel does not tell.
#[must_use]
pub fn others() -> Vec<String> {
    let hooked = LinkInfoIter::default().filter_map(|link| {
        let tracepoint = match link.info {
            LinkTypeInfo::RawTracepoint(raw) => raw.name,
            LinkTypeInfo::PerfEvent(event) => match event.event_type {
                PerfEventType::Tracepoint { name: Some(name), .. } => name.to_string_lossy().into_owned(),
                _ => return None,
            },
            _ => return None,
        };
        let hooks_calls = tracepoint.starts_with("sys_enter") || tracepoint.starts_with("sys_exit");
        hooks_calls.then_some((tracepoint, link.prog_id))
    });
    let hooked: Vec<_> = hooked.collect();
    if hooked.is_empty() {
        return Vec::new();
    }
    let programs: Vec<_> = ProgInfoIter::default().map(|program| (program.id, program.name)).collect();
    let line = |(tracepoint, id): (String, u32)| {
        let name = programs.iter().find(|(known, _)| *known == id);
        let name = name.map_or_else(|| "?".into(), |(_, name)| name.to_string_lossy());
        format!("{tracepoint}, by the BPF program {name:?} (id {id})")
    };
    hooked.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_is_missing() {
        let text = |kind, errno| reason(kind, &io::Error::from_raw_os_error(errno));
        assert_eq!(
            text(BaselineKind::GuideTracepoint, libc::ENODEV),
            "cannot attach to the tracepoint syscalls/sys_enter_unlinkat (No such device (os error 19)): it needs \
             tracefs, a kernel with CONFIG_FTRACE_SYSCALLS, and Linux 5.15 or later"
        );
        assert_eq!(
            text(BaselineKind::GuideTracepoint, libc::EACCES),
            "cannot attach to the tracepoint syscalls/sys_enter_unlinkat (Permission denied (os error 13)): its number \
             is in tracefs, which this process may neither read nor mount"
        );
        assert_eq!(
            text(BaselineKind::Empty, libc::EPERM),
            "cannot attach to the tracepoint sys_enter (Operation not permitted (os error 1))"
        );
    }
}
