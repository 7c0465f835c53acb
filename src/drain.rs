//! The drain thread: from the ring into the queue, with no lock of Python's and no look inside the records.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::clock::Clock;
use crate::connection::Connection;
use crate::control::Control;
use crate::error::{Error, Result};
use crate::queue::{Chunk, Queue};
use crate::ring::{Drained, Ring};
use crate::signals::Blocked;

/// How long records gather once they come in a stream. A wake-up costs the traced process five times what an event does.
const GATHER: Duration = Duration::from_millis(1);
const GATHER_MS: u8 = 1;
/// Wake-ups in a row, each within [`GATHER`] of the one before, that make a stream.
const STREAK: u32 = 4;
/// How long a reader waits for a record that some CPU has begun and not ended. A program takes microseconds, unless it is
/// preempted, or the machine itself is.
const STUCK: Duration = Duration::from_secs(1);

/// The running thread.
#[derive(Debug)]
pub struct Drain {
    control: Arc<Control>,
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
        let control = Arc::new(Control::new(ring.written())?);
        let worker = Worker {
            ring,
            queue: Arc::clone(&queue),
            control: Arc::clone(&control),
            clock: Clock::new(),
            connection,
            behind: None,
        };
        // Python's signal handlers belong to Python's threads. The new thread inherits the mask, so that there is no moment
        // in which it could take one.
        let blocked = Blocked::new();
        let thread = thread::Builder::new().name("rawtp-drain".into()).spawn(move || worker.run());
        drop(blocked);
        Ok(Self { control, queue, thread: thread.map_err(Error::os("cannot start the drain thread"))? })
    }

    /// Controls it.
    #[must_use]
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Empties the ring, closes the queue and ends the thread. The programs must have ended: what comes into the ring
    /// later is seen by nobody.
    pub fn finish(self) {
        self.control.stop();
        self.queue.wake_producer();
        // It catches what panics, and says so in the queue.
        let _ = self.thread.join();
        self.control.release();
    }
}

struct Worker {
    ring: Ring,
    queue: Arc<Queue>,
    control: Arc<Control>,
    clock: Clock,
    connection: Option<Connection>,
    /// Since when a reader waits for what lies behind a record that is still being written.
    behind: Option<Instant>,
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
        self.control.is_stopped()
    }

    /// Until there is a record, or a request; true when the connection is over.
    fn wait(&self) -> Result<bool> {
        let ready = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let wakeups = self.control.wakeups().as_fd();
        let connection = self.connection.as_ref();
        let mut fds = [ready(self.ring.as_fd()), ready(wakeups), ready(connection.map_or(wakeups, AsFd::as_fd))];
        // All signals are blocked: EINTR cannot come, and any other error would make a busy loop of this.
        poll(&mut fds, PollTimeout::NONE).map_err(Error::os("cannot wait for the ring"))?;
        let [_, woken, over] = fds.map(|fd| fd.any().unwrap_or(true));
        if woken {
            self.control.clear();
        }
        let Some(connection) = connection.filter(|_| over) else { return Ok(false) };
        connection.finish();
        Ok(true)
    }

    /// For [`GATHER`], or until a request.
    fn sleep(&self) -> Result<()> {
        let mut fds = [PollFd::new(self.control.wakeups().as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(GATHER_MS)).map_err(Error::os("cannot wait"))? > 0 {
            self.control.clear();
        }
        Ok(())
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
                self.queue.reach(self.ring.drained());
            }
            if drained == Drained::All || self.is_stopped() {
                self.release_readers();
                return Ok(moved);
            }
        }
    }

    /// Lets a reader go on that has waited too long for a record that is still being written.
    fn release_readers(&mut self) {
        let position = self.control.flushed();
        if self.queue.has(position) {
            self.behind = None;
        } else if self.behind.get_or_insert_with(Instant::now).elapsed() > STUCK {
            self.queue.reach(position);
            self.behind = None;
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
