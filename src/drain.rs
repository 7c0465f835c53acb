//! The drain thread: from the ring into the queue, with no lock of Python's and no look inside the records.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use crate::clock::Clock;
use crate::connection::Connection;
use crate::error::{Error, Result};
use crate::queue::{Chunk, Queue};
use crate::ring::{Drained, Ring};

/// How long records gather once they come in a stream. A wake-up costs the traced process five times what an event does.
const GATHER: Duration = Duration::from_millis(1);
const GATHER_MS: u8 = 1;
/// Wake-ups in a row, each within [`GATHER`] of the one before, that make a stream.
const STREAK: u32 = 4;

/// What both sides of the thread's life hold.
#[derive(Debug)]
struct Stop {
    asked: AtomicBool,
    wake: EventFd,
}

/// The running thread.
#[derive(Debug)]
pub struct Drain {
    stop: Arc<Stop>,
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

impl Drain {
    /// Starts it. With a connection, the end of that is its end, too.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when there is no descriptor or no thread to be had.
    pub fn start(ring: Ring, queue: Arc<Queue>, connection: Option<Connection>) -> Result<Self> {
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)
            .map_err(Error::os("cannot make an eventfd"))?;
        let stop = Arc::new(Stop { asked: AtomicBool::new(false), wake });
        let worker =
            Worker { ring, queue: Arc::clone(&queue), stop: Arc::clone(&stop), clock: Clock::new(), connection };
        // Python's signal handlers belong to Python's threads. The new thread inherits the mask, so that there is no moment
        // in which it could take one.
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
            .map_err(Error::os("cannot block signals"))?;
        let thread = thread::Builder::new().name("rawtp-drain".into()).spawn(move || worker.run());
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None).map_err(Error::os("cannot unblock signals"))?;
        Ok(Self { stop, queue, thread: thread.map_err(Error::os("cannot start the drain thread"))? })
    }

    /// Empties the ring, closes the queue and ends the thread. The programs must have ended: what comes into the ring
    /// later is seen by nobody.
    pub fn finish(self) {
        self.stop.asked.store(true, Ordering::Release);
        // A write of one to a counter at zero neither blocks nor fails.
        let _ = self.stop.wake.write(1);
        self.queue.wake_producer();
        // It catches what panics, and says so in the queue.
        let _ = self.thread.join();
    }
}

struct Worker {
    ring: Ring,
    queue: Arc<Queue>,
    stop: Arc<Stop>,
    clock: Clock,
    connection: Option<Connection>,
}

impl Worker {
    fn run(mut self) {
        let mut rest = Vec::new();
        // Whatever happens here, the queue must be closed: somebody may be waiting for it.
        let done = catch_unwind(AssertUnwindSafe(|| {
            self.stream(&mut rest)?;
            self.empty(&mut rest)
        }));
        let failure = match done {
            Ok(done) => done.err().map(|error| error.to_string()),
            Err(_) => Some("it panicked, which is a defect of rawtp".into()),
        };
        self.queue.close(rest, failure);
    }

    /// Until the stop. What was copied but found no place in the queue by then goes to `rest`.
    fn stream(&mut self, rest: &mut Vec<Chunk>) -> Result<()> {
        let mut streak = 0;
        let mut last: Option<Instant> = None;
        loop {
            if self.wait()? {
                return Ok(());
            }
            let now = Instant::now();
            streak = if last.is_some_and(|last| now - last < GATHER) { streak + 1 } else { 0 };
            let mut moved = self.drain(rest)?;
            // The descriptor is readable for a record that is still being written, too: then there is nothing to do but
            // to let it be.
            if streak >= STREAK || !moved {
                loop {
                    self.sleep()?;
                    if self.is_stopped() {
                        break;
                    }
                    moved = self.drain(rest)?;
                    if !moved {
                        break;
                    }
                }
                streak = 0;
            }
            if self.is_stopped() {
                return Ok(());
            }
            last = Some(now);
        }
    }

    fn is_stopped(&self) -> bool {
        self.stop.asked.load(Ordering::Acquire)
    }

    /// Until there is a record, or the stop; true when the connection is over.
    fn wait(&self) -> Result<bool> {
        let ready = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let (ring, stop) = (ready(self.ring.as_fd()), ready(self.stop.wake.as_fd()));
        let connection = self.connection.as_ref();
        let mut fds = [ring, stop, ready(connection.map_or(self.stop.wake.as_fd(), AsFd::as_fd))];
        // All signals are blocked: EINTR cannot come, and any other error would make a busy loop of this.
        poll(&mut fds, PollTimeout::NONE).map_err(Error::os("cannot wait for the ring"))?;
        let [_, _, over] = fds.map(|fd| fd.any().unwrap_or(true));
        let Some(connection) = connection.filter(|_| over) else { return Ok(false) };
        connection.finish();
        Ok(true)
    }

    /// For [`GATHER`], or until the stop.
    fn sleep(&self) -> Result<()> {
        let mut fds = [PollFd::new(self.stop.wake.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::from(GATHER_MS)).map(drop).map_err(Error::os("cannot wait"))
    }

    /// Moves what is in the ring into the queue. True when there was anything.
    fn drain(&mut self, rest: &mut Vec<Chunk>) -> Result<bool> {
        let mut moved = false;
        loop {
            let (chunk, drained) = self.fill()?;
            if let Some(chunk) = chunk {
                moved = true;
                if let Err(chunk) = self.queue.push(chunk, || self.is_stopped()) {
                    rest.push(chunk);
                    return Ok(true);
                }
            }
            if drained == Drained::All || self.is_stopped() {
                return Ok(moved);
            }
        }
    }

    fn fill(&mut self) -> Result<(Option<Chunk>, Drained)> {
        let mut chunk = self.queue.take_spare();
        chunk.offset_ns = self.clock.offset_ns();
        let drained = self.ring.drain(&mut chunk)?;
        if chunk.bytes.is_empty() {
            self.queue.give_spare(chunk);
            return Ok((None, drained));
        }
        Ok((Some(chunk), drained))
    }

    /// Takes what is left: nothing more is written to the ring.
    fn empty(&mut self, rest: &mut Vec<Chunk>) -> Result<()> {
        while let (Some(chunk), _) = self.fill()? {
            rest.push(chunk);
        }
        Ok(())
    }
}
