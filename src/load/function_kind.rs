//! The kinds of hooks on the kernel's functions.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use libbpf_sys::{
    BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, BPF_TRACE_FEXIT, BPF_TRACE_KPROBE_MULTI,
    bpf_prog_load_opts, bpf_prog_type,
};

use crate::btf::vmlinux::TypeIds;
use crate::sys::bpf::{attach_raw, load_as, nothing};
use crate::sys::errno;
use crate::sys::kprobe::{Point, attach_kprobe, attach_kprobe_multi, kprobe_type};

/// A kind of hook on a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HookKind {
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
    ///
    /// With `returns`, the hooks see returns too. Of kprobes the kernel watches only so many returns at a time, and
    /// skips the others. A call from the function's end misses none.
    pub(super) fn all(has_preemptible_rcu: bool, returns: bool) -> [Self; 3] {
        match () {
            () if has_preemptible_rcu => [Self::KprobeMulti, Self::Kprobe, Self::Fentry],
            () if returns => [Self::Fentry, Self::KprobeMulti, Self::Kprobe],
            () if cfg!(target_arch = "aarch64") => [Self::KprobeMulti, Self::Fentry, Self::Kprobe],
            () => [Self::KprobeMulti, Self::Kprobe, Self::Fentry],
        }
    }

    pub(super) fn as_str(self, point: Point) -> &'static str {
        match (self, point) {
            (Self::KprobeMulti, Point::Entry) => "kprobe.multi",
            (Self::KprobeMulti, Point::Return) => "kretprobe.multi",
            (Self::Kprobe, Point::Entry) => "kprobe",
            (Self::Kprobe, Point::Return) => "kretprobe",
            (Self::Fentry, Point::Entry) => "fentry",
            (Self::Fentry, Point::Return) => "fexit",
        }
    }

    /// Returns the type of such a program, and what it expects to be attached to.
    pub(super) fn program_type(self, point: Point) -> (bpf_prog_type, u32) {
        match (self, point) {
            (Self::KprobeMulti, _) => (BPF_PROG_TYPE_KPROBE, BPF_TRACE_KPROBE_MULTI),
            (Self::Kprobe, _) => (BPF_PROG_TYPE_KPROBE, 0),
            (Self::Fentry, Point::Entry) => (BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY),
            (Self::Fentry, Point::Return) => (BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT),
        }
    }

    /// Checks whether the kernel has this kind and lets us load a program of it, one that does nothing.
    pub(super) fn check(self, ids: &TypeIds, target: u32) -> Result<(), String> {
        let is_known = match self {
            Self::KprobeMulti => ids.has_kprobe_multi,
            Self::Kprobe => ids.has_perf_link && kprobe_type().is_ok(),
            Self::Fentry => true,
        };
        if !is_known {
            return Err("not in this kernel".into());
        }
        let (kind, expected_attach_type) = self.program_type(Point::Entry);
        let attach_btf_id = if self == Self::Fentry { target } else { 0 };
        let options = bpf_prog_load_opts { expected_attach_type, attach_btf_id, ..Default::default() };
        load_as(kind, &nothing(), options).map(drop).map_err(|error| named(&error))
    }

    /// Attaches a program to all of the functions. One of fentry's was loaded for its function.
    pub(super) fn attach(
        self,
        program: BorrowedFd<'_>,
        functions: &[&CStr],
        point: Point,
    ) -> Result<Vec<OwnedFd>, String> {
        let links = match self {
            Self::KprobeMulti => attach_kprobe_multi(program, functions, point).map(|link| vec![link]),
            Self::Kprobe => functions.iter().map(|function| attach_kprobe(program, function, point)).collect(),
            Self::Fentry => attach_raw(program, None).map(|link| vec![link]),
        };
        links.map_err(|error| named(&error))
    }
}

/// Returns the name of an error of the kernel's.
pub(super) fn named(error: &io::Error) -> String {
    error
        .raw_os_error()
        .and_then(|errno| u16::try_from(errno).ok())
        .map_or_else(|| error.to_string(), |errno| errno::name(errno).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preemptible_fentry_comes_last() {
        for returns in [false, true] {
            let names = HookKind::all(true, returns).map(|kind| kind.as_str(Point::Entry));
            assert_eq!(names, ["kprobe.multi", "kprobe", "fentry"]);
        }
        assert_eq!(HookKind::all(false, false)[0], HookKind::KprobeMulti);
        assert_eq!(HookKind::all(false, true)[0].as_str(Point::Return), "fexit");
    }
}
