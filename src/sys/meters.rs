//! The kernel's texts about programs (`/proc/…/fdinfo`), opened for another process.
//!
//! The kernel looks such a text up by the descriptor's number on every read. A process that was given one could read on
//! after the number had come to mean another tracer's program. So the numbers belong to a thread with a descriptor
//! table of its own, in which nothing else is ever opened. The thread ends with the tracer, and from then on the opened
//! texts tell nothing.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use crate::error::{Error, Result};

/// The minimum stack of Rust's own threads.
const STACK_BYTES: usize = 64 << 10;

/// The opened texts of the programs, and the descriptor that keeps their thread alive.
#[derive(Debug)]
pub struct Meters {
    /// The open fdinfo files, in the order of the programs.
    pub texts: Vec<OwnedFd>,
    /// Once this is closed the texts tell nothing, and the thread no longer holds the programs.
    pub keeper: OwnedFd,
}

impl Meters {
    /// Opens the text of each program.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] where there is no descriptor, no thread or no `/proc`.
    pub fn new(programs: &[BorrowedFd<'_>]) -> Result<Self> {
        let (held, keeper) = io::pipe().map_err(Error::os("cannot make a pipe"))?;
        let (sender, ready) = sync_channel(1);
        let numbers: Vec<RawFd> = programs.iter().map(AsRawFd::as_raw_fd).collect();
        let end = held.as_raw_fd();
        // Python's signal handlers belong to Python's threads and write to descriptors that this thread does not have.
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
            .map_err(Error::os("cannot block signals"))?;
        let builder = thread::Builder::new().name("rawtp-meter".into()).stack_size(STACK_BYTES);
        let thread = builder.spawn({
            let numbers = numbers.clone();
            move || hold(&numbers, end, &sender)
        });
        let unblocked = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
        thread.map_err(Error::os("cannot start a thread that holds programs"))?;
        // Until the thread has answered, the table may still be shared. Nothing is closed or opened before that.
        let thread = ready
            .recv()
            .map_err(|_| io::Error::other("it has ended"))
            .and_then(|id| id)
            .map_err(Error::os("cannot give a thread descriptors of its own"))?;
        unblocked.map_err(Error::os("cannot unblock signals"))?;
        let open = |number| File::open(format!("/proc/self/task/{thread}/fdinfo/{number}")).map(OwnedFd::from);
        let texts = numbers.into_iter().map(open).collect::<io::Result<_>>();
        Ok(Self { texts: texts.map_err(Error::os("cannot open a program's fdinfo"))?, keeper: keeper.into() })
    }
}

/// Runs the thread. It sends its id once its table has nothing but the programs and `end`, a pipe into which nobody
/// writes. Then it waits until the pipe's other end is closed.
fn hold(programs: &[RawFd], end: RawFd, sender: &SyncSender<io::Result<i32>>) {
    let alone = close_all_but(programs, end);
    let is_alone = alone.is_ok();
    let _ = sender.send(alone);
    let mut byte = 0_u8;
    // SAFETY: there is room for one byte. `end` is in this thread's own table, so it stays open until the thread ends.
    while is_alone && unsafe { libc::read(end, (&raw mut byte).cast(), 1) } < 0 {}
}

/// Gives this thread a descriptor table of its own and closes everything else in it. Returns the thread's id.
fn close_all_but(programs: &[RawFd], end: RawFd) -> io::Result<i32> {
    unshare(CloneFlags::CLONE_FILES)?;
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc/thread-self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        others.extend(number.filter(|number| *number != end && !programs.contains(number)));
    }
    for number in others {
        // SAFETY: the table is this thread's own, and nothing here uses the other descriptors. The directory that was
        // read is closed already. Closing its number again fails without harm, because nothing is opened meanwhile.
        unsafe { libc::close(number) };
    }
    // SAFETY: gettid(2) has no preconditions. It is called by number because libc's function is newer than the oldest
    // glibc that the wheels support.
    Ok(unsafe { libc::syscall(libc::SYS_gettid) } as i32)
}
