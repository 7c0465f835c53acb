//! The drain thread. It moves records from the ring into the queue without Python's lock and without parsing them.

use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cgroup::reports::CgroupReports;
use crate::error::{Error, Result};
use crate::lineage::processes::Processes;
use crate::memory::{reserve, touch_thread_locals, with_capacity};
use crate::mounts::snapshots::Snapshots;
use crate::ring::broker_lease::BrokerLease;
use crate::ring::buffer::{Drained, Ring};
use crate::ring::chunk::Chunk;
use crate::ring::clock::Clock;
use crate::ring::control::Control;
use crate::ring::queue::Queue;
use crate::sys::mmap::probe_mapping;
use crate::sys::signals::Blocked;

/// How long records gather once they come in a stream. A wake-up costs the traced process five times as much as an
/// event does.
const GATHER: Duration = Duration::from_millis(1);
const GATHER_MS: u8 = 1;
/// The default stack of a thread in the standard library. `RUST_MIN_STACK` can change it.
const STACK_BYTES: usize = 2 << 20;
/// How long the drain thread waits for memory, or for a reader to return a chunk.
const NO_CHUNK_MS: u8 = 20;
/// The number of consecutive wake-ups, each within [`GATHER`] of the one before, that make a stream.
const STREAK: u32 = 4;
/// How long a reader waits for a record that a CPU has reserved but not committed. A program takes microseconds, unless
/// it or the whole machine is preempted.
const STUCK: Duration = Duration::from_secs(1);

/// Those who take the records that belong to no call.
#[derive(Debug, Default)]
pub struct Reports {
    /// Takes the paths of cgroups.
    pub cgroups: Arc<CgroupReports>,
    /// Takes mount namespaces.
    pub mounts: Arc<Snapshots>,
    /// Takes forks and execs.
    pub processes: Option<Arc<Processes>>,
}

impl Reports {
    /// Hands out the reports among a run's records. Returns true when the run has no others.
    fn keep(&self, run: &[u8]) -> bool {
        if let Some(processes) = &self.processes {
            processes.keep(run);
        }
        self.mounts.keep(run);
        self.cgroups.keep(run)
    }
}

/// A running drain thread.
#[derive(Debug)]
pub struct Drain {
    control: Arc<Control>,
    queue: Arc<Queue>,
    thread: JoinHandle<()>,
}

impl Drain {
    /// Starts the thread. Records that belong to no call go to `reports`. If a broker's `lease` ends, the thread ends too.
    ///
    /// # Errors
    ///
    /// [`Error::Os`] when no descriptor or thread is left.
    pub fn start(ring: Ring, queue: Arc<Queue>, reports: Reports, lease: Option<BrokerLease>) -> Result<Self> {
        let control = Arc::new(Control::new(ring.written())?);
        let worker = Worker {
            ring,
            queue: Arc::clone(&queue),
            reports,
            control: Arc::clone(&control),
            clock: Clock::new(),
            lease,
            behind: None,
            rest: with_capacity(1)?,
        };
        // Python's signal handlers belong to Python's threads. The new thread inherits the mask, so at no moment can it
        // take a signal.
        let blocked = Blocked::new();
        let begun = Arc::new(Barrier::new(2));
        let begins = Arc::clone(&begun);
        let thread = thread::Builder::new().name("rawtp-drain".into()).spawn(move || {
            touch_thread_locals();
            begins.wait();
            worker.run();
        });
        drop(blocked);
        let thread = thread.map_err(no_thread)?;
        // glibc ends the process if it has no memory for a thread's thread-locals. From here on the thread has them.
        begun.wait();
        Ok(Self { control, queue, thread })
    }

    /// The controls of this thread.
    #[must_use]
    pub fn control(&self) -> &Arc<Control> {
        &self.control
    }

    /// Empties the ring, closes the queue and ends the thread. The programs must have ended, because nobody sees what
    /// comes into the ring later.
    pub fn finish(self) {
        self.control.stop();
        self.queue.wake_producer();
        // The thread catches its own panics and reports them in the queue.
        let _ = self.thread.join();
        self.control.release();
    }
}

/// Explains why no thread could be started. The kernel says `EAGAIN` for any of three limits, and also when the stack
/// finds no room below `RLIMIT_AS`.
fn no_thread(error: io::Error) -> Error {
    if error.raw_os_error() == Some(libc::EAGAIN) && probe_mapping(STACK_BYTES).is_err() {
        return Error::Memory("start the drain thread");
    }
    Error::os("cannot start the drain thread: too many threads (RLIMIT_NPROC, pids.max), or too little memory")(error)
}

struct Worker {
    ring: Ring,
    queue: Arc<Queue>,
    control: Arc<Control>,
    reports: Reports,
    clock: Clock,
    lease: Option<BrokerLease>,
    /// The time since which a reader has waited for records behind one that is still being written, or for which there
    /// is no chunk.
    behind: Option<Instant>,
    /// Room for the one chunk that may be on its way into the queue when the stop comes.
    rest: Vec<Chunk>,
}

impl Worker {
    fn run(mut self) {
        let mut rest = mem::take(&mut self.rest);
        // The queue must be closed whatever happens here, because somebody may be waiting for it.
        let done = catch_unwind(AssertUnwindSafe(|| {
            self.stream(&mut rest)?;
            // The stop can come before this thread has seen that the broker is gone.
            if let Some(lease) = self.lease.as_ref().filter(|lease| self.is_stopped() && lease.is_over()) {
                lease.finish();
            }
            self.empty(&mut rest)
        }));
        let failure = match done {
            Ok(done) => done.err().map(|error| error.to_string()),
            Err(_) => Some("it panicked, which is a defect of rawtp".into()),
        };
        self.queue.close(rest, failure);
    }

    /// Moves records until the stop. A chunk that was copied but found no room in the queue by then goes to `rest`.
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
            // The descriptor is also readable for a record that is still being written. Then the thread sleeps instead
            // of polling it in a busy loop.
            if streak >= STREAK || !moved {
                loop {
                    self.sleep(GATHER_MS)?;
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

    /// Waits for a record or a request. Returns true when the broker's lease has ended.
    fn wait(&self) -> Result<bool> {
        let ready = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let wakeups = self.control.wakeups().as_fd();
        let lease = self.lease.as_ref();
        let mut fds = [ready(self.ring.as_fd()), ready(wakeups), ready(lease.map_or(wakeups, AsFd::as_fd))];
        // All signals are blocked, so EINTR cannot come. Any other error would turn this into a busy loop.
        poll(&mut fds, PollTimeout::NONE).map_err(Error::os("cannot wait for the ring"))?;
        let [_, woken, over] = fds.map(|fd| fd.any().unwrap_or(true));
        if woken {
            self.control.clear();
        }
        let Some(lease) = lease.filter(|_| over) else { return Ok(false) };
        lease.finish();
        Ok(true)
    }

    /// Sleeps for `ms` milliseconds, or until a request.
    fn sleep(&self, ms: u8) -> Result<()> {
        let mut fds = [PollFd::new(self.control.wakeups().as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(ms)).map_err(Error::os("cannot wait"))? > 0 {
            self.control.clear();
        }
        Ok(())
    }

    /// Moves the records in the ring into the queue. Returns true if there were any.
    fn drain(&mut self, rest: &mut Vec<Chunk>) -> Result<bool> {
        let mut moved = false;
        loop {
            let Some((chunk, drained)) = self.fill()? else {
                // The readers hold all chunks and return them as they read. The kernel counts what finds no room in the
                // ring meanwhile.
                self.queue.starve();
                self.release_readers();
                self.sleep(NO_CHUNK_MS)?;
                return Ok(moved);
            };
            if let Some(chunk) = chunk {
                moved = true;
                if let Some(chunk) = self.report(chunk)
                    && let Err(chunk) = self.queue.push(chunk, || self.is_stopped())
                {
                    // `start` made room for it.
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

    /// Releases a reader that has waited too long for a record that is still being written, or for memory.
    fn release_readers(&mut self) {
        let position = self.control.flushed();
        if self.queue.has_reached(position) {
            self.behind = None;
        } else if self.behind.get_or_insert_with(Instant::now).elapsed() > STUCK {
            self.queue.reach(position);
            self.behind = None;
        }
    }

    /// Fills a chunk from the ring. `None` when there is no memory for a chunk and no spare one. The records then stay
    /// in the ring.
    fn fill(&mut self) -> Result<Option<(Option<Chunk>, Drained)>> {
        let Ok(mut chunk) = self.queue.take_spare() else { return Ok(None) };
        chunk.offset_ns = self.clock.offset_ns();
        let drained = self.ring.drain(&mut chunk)?;
        if chunk.bytes.is_empty() {
            self.queue.give_spare(chunk);
            return Ok(Some((None, drained)));
        }
        Ok(Some((Some(chunk), drained)))
    }

    /// Takes the reports out of the chunk. `None` when it has no other records, so that no reader wakes for it.
    fn report(&self, chunk: Chunk) -> Option<Chunk> {
        if chunk.reports > 0 && self.reports.keep(&chunk.bytes) {
            self.queue.give_spare(chunk);
            return None;
        }
        Some(chunk)
    }

    /// Takes the rest of the ring, into which nothing more is written. Records without memory for a chunk stay there
    /// and are counted as discarded.
    fn empty(&mut self, rest: &mut Vec<Chunk>) -> Result<()> {
        while reserve(rest, 1).is_ok()
            && let Some((Some(chunk), _)) = self.fill()?
        {
            rest.extend(self.report(chunk));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::FromRawFd;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

    use super::*;
    use crate::record::testing::{enter, framed, named};
    use crate::skel::types::name_status;
    use crate::sys::mmap::{Mapping, page_bytes};

    const BUSY: u32 = 1 << 31;
    const RING_BYTES: usize = 64 << 10;
    const LONG: Duration = Duration::from_secs(60);

    /// A ring in a file: the pages of the positions, and the data.
    struct Written {
        file: File,
        producer: Mapping,
        data: Mapping,
    }

    impl Written {
        /// Writes two records, the first of which is still being written.
        fn new() -> (Self, u64) {
            let page = page_bytes();
            // SAFETY: a C string and a flag; the descriptor is nobody else's.
            let file = unsafe { File::from_raw_fd(libc::memfd_create(c"ring".as_ptr(), libc::MFD_CLOEXEC)) };
            file.set_len((2 * page + RING_BYTES) as u64).unwrap();
            let producer = Mapping::new(&file, page, page, true).unwrap();
            let data = Mapping::new(&file, RING_BYTES, 2 * page, true).unwrap();
            let ring = Self { file, producer, data };
            let record = framed(&named(enter(1, 263, 1), name_status::NAME_OK, b"x"), 0);
            let end = 2 * record.len() as u64;
            for (at, byte) in [record.clone(), record].concat().into_iter().enumerate() {
                // SAFETY: inside the data, which the drain thread does not look at yet.
                unsafe { ring.data.at::<u8>(at).write(byte) };
            }
            ring.header().fetch_or(BUSY, Ordering::Release);
            // SAFETY: aligned, and inside the page.
            unsafe { AtomicU64::from_ptr(ring.producer.at(0).as_ptr()) }.store(end, Ordering::Release);
            (ring, end)
        }

        fn header(&self) -> &AtomicU32 {
            // SAFETY: as above.
            unsafe { AtomicU32::from_ptr(self.data.at(0).as_ptr()) }
        }

        fn drain(&self) -> (Drain, Arc<Queue>) {
            let queue = Arc::new(Queue::new(1 << 20).unwrap());
            let ring = Ring::new(self.file.try_clone().unwrap().into(), RING_BYTES).unwrap();
            (Drain::start(ring, Arc::clone(&queue), Reports::default(), None).unwrap(), queue)
        }
    }

    #[test]
    fn a_reader_waits_for_a_record_that_is_being_written() {
        let (ring, end) = Written::new();
        let (drain, queue) = ring.drain();
        let position = drain.control().written();
        assert_eq!(position, end);
        drain.control().flush(position);
        assert!(!queue.wait_for(position, STUCK / 10, || false));
        assert!(queue.pop().is_none());
        ring.header().fetch_and(!BUSY, Ordering::Release);
        assert!(queue.wait_for(position, LONG, || false));
        assert_eq!(queue.pop().map(|chunk| (chunk.bytes.len() as u64, chunk.events)), Some((end, 2)));
        drain.finish();
        assert!(queue.is_closed());
    }

    #[test]
    fn a_reader_does_not_wait_for_ever() {
        let (ring, end) = Written::new();
        let (drain, queue) = ring.drain();
        let start = Instant::now();
        drain.control().flush(end);
        assert!(queue.wait_for(end, LONG, || false));
        assert!(start.elapsed() >= STUCK);
        assert!(queue.pop().is_none() && !queue.is_closed());
        // The record still comes once it is written.
        ring.header().fetch_and(!BUSY, Ordering::Release);
        drain.finish();
        let chunks: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|chunk| chunk.events).collect();
        assert_eq!(chunks.iter().sum::<u32>(), 2);
        assert_eq!(queue.take_failure(), None);
    }

    #[test]
    fn a_closed_tracer_lets_go_of_the_ring() {
        let (ring, end) = Written::new();
        let (drain, _queue) = ring.drain();
        let control = Arc::clone(drain.control());
        assert_eq!(control.written(), end);
        drain.finish();
        assert_eq!(control.written(), 0);
    }
}
