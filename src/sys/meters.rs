//! The kernel's texts about programs (`/proc/…/fdinfo`), opened for another process.
//!
//! Such a text is looked up by the descriptor's number whenever it is read. Who was given one could read on when that
//! number has come to be another tracer's. So the numbers are those of a thread with a table of descriptors of its own,
//! in which nothing else is ever opened. It ends with the tracer, and what was opened of it tells nothing any more.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use crate::error::{Error, Result};

/// The least that Rust's own threads take.
const STACK_BYTES: usize = 64 << 10;

/// What is handed out, and what keeps it so.
#[derive(Debug)]
pub struct Meters {
    /// The texts, opened, in the programs' order.
    pub texts: Vec<OwnedFd>,
    /// Closed, the texts tell nothing any more, and the thread holds the programs no longer.
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
        // Python's signal handlers belong to Python's threads, and write to descriptors that this one has not.
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
        // Until it has answered the table may still be shared: nothing is closed or opened before.
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

/// The thread: tells its id once it holds nothing but the programs and `end`, of a pipe into which nobody writes, and waits
/// until the pipe's other end is closed.
fn hold(programs: &[RawFd], end: RawFd, sender: &SyncSender<io::Result<i32>>) {
    let alone = close_all_but(programs, end);
    let is_alone = alone.is_ok();
    let _ = sender.send(alone);
    let mut byte = 0_u8;
    // SAFETY: room for the one byte. The number is this thread's own where it is alone, and so open until it ends.
    while is_alone && unsafe { libc::read(end, (&raw mut byte).cast(), 1) } < 0 {}
}

/// Makes the table of descriptors this thread's own, and closes all others in it. Gives the thread's id.
fn close_all_but(programs: &[RawFd], end: RawFd) -> io::Result<i32> {
    unshare(CloneFlags::CLONE_FILES)?;
    let mut others = Vec::new();
    for entry in fs::read_dir("/proc/thread-self/fd")? {
        let number = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        others.extend(number.filter(|number| *number != end && !programs.contains(number)));
    }
    for number in others {
        // SAFETY: the table is this thread's own, and of what was copied into it nothing else is used here. The directory
        // that was read is closed already, which is an error that does no harm: nothing is opened meanwhile.
        unsafe { libc::close(number) };
    }
    // SAFETY: gettid(2) has no preconditions; the call by number, since libc's own is younger than what wheels are for.
    Ok(unsafe { libc::syscall(libc::SYS_gettid) } as i32)
}
