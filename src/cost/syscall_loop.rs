//! The thread that makes the timed system calls.
#![expect(clippy::cast_precision_loss, reason = "figures of a few digits")]

use std::ffi::CString;
use std::fs;
use std::io;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// The time in which one sample is taken.
const SAMPLE_TIME: Duration = Duration::from_millis(10);
/// By then the work that attaching causes has ended, and the caches are warm.
const WARM_UP: Duration = Duration::from_millis(2);
/// Calls between two readings of the clock. A reading costs about a third of a call.
const BURST: u32 = 256;

/// The nanoseconds that one call takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Samples {
    /// A call of getppid(2), which no tracer of deletions matches.
    pub unmatched: f64,
    /// A call of unlinkat(2).
    pub matched: f64,
}

/// The name to call unlinkat(2) with, and the CPU to run on.
#[derive(Debug, Clone)]
pub struct SyscallLoop {
    name: CString,
    cpu: CpuSet,
}

impl SyscallLoop {
    /// Creates a loop for the CPU that this thread runs on.
    ///
    /// # Errors
    ///
    /// [`Error::Os`], also when the directory exists that must not.
    pub fn new() -> Result<Self> {
        let directory = format!("/nonexistent-rawtp-{}", std::process::id());
        match fs::symlink_metadata(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::os("cannot look for a directory that does not exist")(error)),
            Ok(_) => {
                let exists = io::Error::from_raw_os_error(libc::EEXIST);
                return Err(Error::os("cannot measure on a name that must not exist")(exists));
            }
        }
        let name = CString::new(directory + "/name").map_err(Error::os("cannot make a name"))?;
        let mut cpu = CpuSet::new();
        sched_getcpu().and_then(|at| cpu.set(at)).map_err(Error::os("cannot choose a CPU"))?;
        Ok(Self { name, cpu })
    }

    /// Starts a thread that measures both calls once. Only that thread is bound to the CPU, so nothing has to be
    /// undone.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when no thread can be started. The thread itself fails when it cannot be bound, or when a call
    /// with a missing name gives anything but ENOENT.
    pub fn start(&self) -> Result<JoinHandle<Result<Samples>>> {
        let Self { name, cpu } = self.clone();
        let measure = move || {
            // Python's signal handlers belong to Python's threads.
            SigSet::all().thread_block().map_err(Error::os("cannot block signals"))?;
            sched_setaffinity(Pid::from_raw(0), &cpu).map_err(Error::os("cannot bind a thread to a CPU"))?;
            let getppid = || {
                // SAFETY: it takes nothing and cannot fail.
                unsafe { libc::syscall(libc::SYS_getppid) };
            };
            let unlinkat = || {
                // SAFETY: a C string that outlives the call.
                unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, name.as_ptr(), 0) }
            };
            let result = unlinkat();
            let error = io::Error::last_os_error();
            if result != -1 || error.raw_os_error() != Some(libc::ENOENT) {
                return Err(Error::os("cannot measure: unlinkat of a name that is not there did not say so")(error));
            }
            let unlinkat = || {
                unlinkat();
            };
            Ok(Samples { unmatched: sample(getppid), matched: sample(unlinkat) })
        };
        thread::Builder::new().name("rawtp-cost".into()).spawn(measure).map_err(Error::os("cannot start a thread"))
    }
}

/// Returns the nanoseconds of one call.
fn sample(call: impl Fn()) -> f64 {
    timed(WARM_UP, &call);
    timed(SAMPLE_TIME, &call)
}

/// Measures in the thread's own CPU time, because waiting for a CPU that others use is no cost of the call.
fn timed(at_least: Duration, call: impl Fn()) -> f64 {
    let start = Instant::now();
    let start_ns = own_ns();
    let mut calls = 0_u32;
    loop {
        for _ in 0..BURST {
            call();
        }
        calls += BURST;
        if start.elapsed() >= at_least {
            return (own_ns() - start_ns) / f64::from(calls);
        }
    }
}

fn own_ns() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a clock that every kernel has, and room for its time.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use nix::sched::sched_getaffinity;

    use super::*;

    #[test]
    fn one_call_takes_its_part_of_the_time() {
        let calls = Cell::new(0_u64);
        let start = Instant::now();
        let ns = timed(Duration::from_millis(1), || calls.set(calls.get() + 1));
        let all_ns = start.elapsed().as_secs_f64() * 1e9;
        assert!(calls.get() >= u64::from(BURST) && calls.get().is_multiple_of(u64::from(BURST)));
        let total = ns * calls.get() as f64;
        assert!(total > 0.0 && total <= all_ns, "{total} of {all_ns}");
    }

    #[test]
    fn only_its_own_thread_is_bound() {
        let allowed = || sched_getaffinity(Pid::from_raw(0)).unwrap();
        let before = allowed();
        let syscall_loop = SyscallLoop::new().unwrap();
        let samples = syscall_loop.start().unwrap().join().unwrap().unwrap();
        assert!([samples.unmatched, samples.matched].iter().all(|ns| ns.is_finite() && *ns > 0.0), "{samples:?}");
        assert_eq!(allowed(), before);
    }
}
