//! Tests whether a ring may be shared with an untrusted process. See `bpf/probes/cve_2024_41009.bpf.c`.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use libbpf_rs::{MapCore, ObjectBuilder, ProgramInput};

use crate::error::{Error, Result};
use crate::load::diagnose::diagnose;
use crate::load::libbpf_log::with_log;
use crate::skel::CVE_2024_41009;
use crate::sys::mmap::{Mapping, page_bytes};
use crate::sys::signals::uninterrupted;

const RECORD_BYTES: u64 = (256 << 10) / 4 * 3;

/// Whether this kernel has CVE-2024-41009.
///
/// # Errors
///
/// Those of a load, and [`Error::UnsupportedKernel`] when the test has no result.
pub fn is_vulnerable() -> Result<bool> {
    let object = uninterrupted(|| with_log(|| ObjectBuilder::default().open_memory(CVE_2024_41009)?.load()))?;
    let (mut maps, mut programs) = (object.maps(), object.progs_mut());
    let unknown = |why: &str| Error::UnsupportedKernel(format!("cannot try whether its rings are safe: {why}"));
    let ring = maps.find(|map| map.name() == "ring").ok_or_else(|| unknown("no ring"))?;
    let program = programs.next().ok_or_else(|| unknown("no program"))?;
    let consumer = Mapping::new(ring.as_fd(), page_bytes(), 0, true)?;
    // SAFETY: the kernel keeps an aligned unsigned long at the start of the page.
    unsafe { AtomicU64::from_ptr(consumer.at::<u64>(0).as_ptr()) }.store(RECORD_BYTES, Ordering::Release);
    match program.test_run(ProgramInput::default()).map_err(|error| diagnose(&error, ""))?.return_value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(unknown("it has no room in an empty ring")),
    }
}
