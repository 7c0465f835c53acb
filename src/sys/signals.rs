//! Keeps signals away from a thread while the kernel works for it.
//!
//! The verifier gives up with EAGAIN as soon as the loading thread has a signal to handle, and libbpf tries five times only:
//! with a timer of a few milliseconds no load would ever end. A blocked signal goes to another thread, or waits.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};

use crate::error::Error;

/// The kernel kills a process that has blocked one of these when a thread causes it, whatever handles it otherwise: a
/// sandbox's handler of SIGSYS, or `faulthandler`.
const FAULTS: [Signal; 6] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTRAP, Signal::SIGSYS];

/// How often a load is repeated that was interrupted all the same: by SIGSTOP, a debugger or the freezer of a cgroup.
const REPEATS: u32 = 20;

/// The signals that this thread has blocked; those that it blocks meanwhile are unblocked when this is dropped.
#[derive(Debug)]
pub struct Mask {
    /// `None`: it could not be found out, and nothing is to be undone.
    before: Option<SigSet>,
}

impl Mask {
    /// That of now.
    #[must_use]
    pub fn current() -> Self {
        Self { before: SigSet::thread_get_mask().ok() }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It takes what it gave.
            let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(before), None);
        }
    }
}

/// All signals are blocked in this thread, but for those of faults, until it is dropped. Threads that are started meanwhile
/// keep them blocked.
#[derive(Debug)]
pub struct Blocked {
    _mask: Mask,
}

impl Blocked {
    /// From here on.
    #[must_use]
    pub fn new() -> Self {
        let mask = Mask::current();
        let mut all = SigSet::all();
        for fault in FAULTS {
            all.remove(fault);
        }
        // It fails for nothing that is asked of it here.
        let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&all), None);
        Self { _mask: mask }
    }
}

impl Default for Blocked {
    fn default() -> Self {
        Self::new()
    }
}

/// An error that can be that of an interrupted load.
pub trait Interrupted {
    /// Whether it is.
    fn is_interrupted(&self) -> bool;
}

impl Interrupted for io::Error {
    fn is_interrupted(&self) -> bool {
        self.raw_os_error() == Some(libc::EAGAIN)
    }
}

impl Interrupted for Error {
    fn is_interrupted(&self) -> bool {
        matches!(self, Self::Os { source, .. } if source.is_interrupted())
    }
}

/// Runs a load with signals blocked, again and again when it is interrupted all the same.
///
/// # Errors
///
/// Those of `load`.
pub fn uninterrupted<T, E: Interrupted>(mut load: impl FnMut() -> Result<T, E>) -> Result<T, E> {
    let _blocked = Blocked::new();
    for _ in 0..REPEATS {
        match load() {
            Err(error) if error.is_interrupted() => {}
            done => return done,
        }
    }
    load()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocked() -> SigSet {
        SigSet::thread_get_mask().unwrap()
    }

    #[test]
    fn all_but_faults_until_the_end() {
        let before = blocked();
        {
            let _blocked = Blocked::new();
            let now = blocked();
            assert!(
                [Signal::SIGALRM, Signal::SIGINT, Signal::SIGTERM, Signal::SIGXCPU].iter().all(|it| now.contains(*it))
            );
            assert!(FAULTS.iter().all(|fault| now.contains(*fault) == before.contains(*fault)));
            drop(Blocked::new());
            assert_eq!(blocked(), now, "one inside another undoes its own part");
        }
        assert_eq!(blocked(), before);
    }

    fn interrupted() -> Error {
        Error::os("x")(io::Error::from_raw_os_error(libc::EAGAIN))
    }

    #[test]
    fn what_is_interrupted_is_repeated() {
        let mut left = 7;
        let done = uninterrupted(|| {
            left -= 1;
            if left > 0 { Err(interrupted()) } else { Ok("done") }
        });
        assert_eq!((done.unwrap(), left), ("done", 0));
    }

    #[test]
    fn but_not_for_ever_and_nothing_else_is() {
        let count = |error: fn() -> Error| {
            let mut calls = 0;
            let failed = uninterrupted(|| {
                calls += 1;
                Err::<(), _>(error())
            });
            (failed.unwrap_err().to_string(), calls)
        };
        assert_eq!(count(interrupted), ("x: Resource temporarily unavailable (os error 11)".into(), REPEATS + 1));
        assert_eq!(count(|| Error::Value("y".into())), ("y".into(), 1));
    }
}
