//! Keeps signals away from a thread while the kernel works for it.
//!
//! The verifier gives up with EAGAIN as soon as the loading thread has a pending signal, and libbpf retries only five
//! times. With a timer of a few milliseconds no load would ever finish. A blocked signal goes to another thread, or
//! waits.

use std::io;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};

use crate::error::Error;

/// Signals that stay unblocked. When a thread causes one of them while it is blocked, the kernel kills the process and
/// ignores its handler, such as a sandbox's handler of SIGSYS or `faulthandler`.
const FAULTS: [Signal; 6] =
    [Signal::SIGSEGV, Signal::SIGBUS, Signal::SIGILL, Signal::SIGFPE, Signal::SIGTRAP, Signal::SIGSYS];

/// How often to repeat a load that was interrupted despite blocked signals: by SIGSTOP, a debugger or the cgroup
/// freezer.
const REPEATS: u32 = 20;

/// A guard that restores the thread's signal mask on drop.
#[derive(Debug)]
pub struct Mask {
    /// `None` when the mask could not be read. Then the drop restores nothing.
    before: Option<SigSet>,
}

impl Mask {
    /// Saves the mask that the thread has now.
    #[must_use]
    pub fn current() -> Self {
        Self { before: SigSet::thread_get_mask().ok() }
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // It cannot fail: the kernel gave this mask.
            let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(before), None);
        }
    }
}

/// A guard that blocks all signals in this thread, except those of faults, until it is dropped. Threads started meanwhile
/// keep them blocked.
#[derive(Debug)]
pub struct Blocked {
    _mask: Mask,
}

impl Blocked {
    /// Blocks the signals from here on.
    #[must_use]
    pub fn new() -> Self {
        let mask = Mask::current();
        let mut all = SigSet::all();
        for fault in FAULTS {
            all.remove(fault);
        }
        // It cannot fail for these arguments.
        let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&all), None);
        Self { _mask: mask }
    }
}

impl Default for Blocked {
    fn default() -> Self {
        Self::new()
    }
}

/// An error that may come from an interrupted load.
pub trait Interrupted {
    /// Whether the load was interrupted.
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

/// Runs a load with signals blocked, and repeats it when it was interrupted all the same.
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
    fn all_but_faults_are_blocked_until_the_drop() {
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
    fn an_interrupted_load_is_repeated() {
        let mut left = 7;
        let done = uninterrupted(|| {
            left -= 1;
            if left > 0 { Err(interrupted()) } else { Ok("done") }
        });
        assert_eq!((done.unwrap(), left), ("done", 0));
    }

    #[test]
    fn repeats_end_and_other_errors_are_not_repeated() {
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
