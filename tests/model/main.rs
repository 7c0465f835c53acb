//! Tries every order in which the drain thread, readers and a close can run. It includes the crate's own sources of the
//! queue and of the drain thread's control.
//!
//! In each order no wake-up is missed, and no chunk is lost or delivered twice. The end comes last. A reader gets
//! everything that was in the ring at its call. A wait that nobody ends is a deadlock, which loom reports as a failure.
#![allow(missing_docs, reason = "a test")]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "only a part of the crate's modules is used here")]

#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/memory/mod.rs"]
mod memory;
#[path = "."]
mod ring {
    pub mod buffer;
    #[path = "../../src/ring/chunk.rs"]
    pub mod chunk;
    #[path = "../../src/ring/control.rs"]
    pub mod control;
    #[path = "../../src/ring/queue.rs"]
    pub mod queue;
    pub mod sync;
}

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use ring::buffer::Written;
use ring::chunk::{CHUNK_BYTES, Chunk};
use ring::control::Control;
use ring::queue::Queue;
use ring::sync;

/// The most involuntary switches between threads in an order that is tried. Faults seldom need more.
const PREEMPTIONS: usize = 3;

fn chunk(mark: u8) -> Chunk {
    Chunk {
        bytes: memory::aligned::AlignedBytes::copy_of(&vec![mark; CHUNK_BYTES]).unwrap(),
        events: 1,
        ..Chunk::default()
    }
}

fn every_order(run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(PREEMPTIONS);
    model.check(run);
}

/// Reads to the end as `Tracer.__next__` does. It waits for the descriptor when the queue is empty.
fn read_to_end(queue: &Queue, signal: &sync::Signal) -> Vec<u8> {
    let mut marks = Vec::new();
    loop {
        let closed = queue.is_closed();
        let before = marks.len();
        while let Some(chunk) = queue.pop() {
            marks.push(chunk.bytes[0]);
        }
        if closed {
            return marks;
        }
        if marks.len() == before {
            signal.poll();
        }
    }
}

/// Pushes chunks as the drain thread does. The chunk that finds no room before the stop, and all chunks after it, are
/// the rest that it hands over at the close.
fn drain(queue: &Queue, chunks: u8, stop: &AtomicBool) {
    let mut rest = Vec::new();
    for mark in 1..=chunks {
        if rest.is_empty() {
            if let Err(chunk) = queue.push(chunk(mark), || stop.load(Ordering::Acquire)) {
                rest.push(chunk);
            }
        } else {
            rest.push(chunk(mark));
        }
    }
    queue.close(rest, None);
}

/// A timeout that never ends a wait. Loom has no timers, so a wait ends only when its condition holds.
const LONG: Duration = Duration::from_secs(3600);

/// The drain thread's only chunk, which is free or with a reader.
struct Free(loom::sync::Mutex<bool>, loom::sync::Condvar);

impl Free {
    fn new() -> Arc<Self> {
        Arc::new(Self(loom::sync::Mutex::new(true), loom::sync::Condvar::new()))
    }

    fn take(&self) -> bool {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn wait(&self) {
        let mut is_free = self.0.lock().unwrap();
        while !std::mem::take(&mut *is_free) {
            is_free = self.1.wait(is_free).unwrap();
        }
    }

    fn give(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_one();
    }
}

/// The state that a reader and the drain thread share. Here a ring's position is a number of chunks, not of bytes.
struct Tracer {
    queue: Arc<Queue>,
    control: Control,
    written: Written,
    wakeups: std::sync::Arc<sync::Signal>,
}

impl Tracer {
    fn new(written: u64) -> Arc<Self> {
        let (queue, _) = small();
        let written = Written::new(written);
        let control = Control::new(written.clone()).unwrap();
        Arc::new(Self { queue, control, written, wakeups: sync::made() })
    }

    /// Drains as a drain thread that collects records does. It looks at the ring only when another thread asks it to.
    fn drain(&self) {
        let (mut drained, mut rest) = (0, Vec::new());
        while rest.is_empty() && !self.control.is_stopped() {
            self.wakeups.poll();
            self.control.clear();
            while rest.is_empty() && drained < self.written.position() {
                drained += 1;
                match self.queue.push(chunk(drained as u8), || self.control.is_stopped()) {
                    Ok(()) => self.queue.reach(drained),
                    Err(chunk) => rest.push(chunk),
                }
            }
        }
        rest.extend((drained + 1..=self.written.position()).map(|mark| chunk(mark as u8)));
        self.queue.close(rest, None);
    }

    /// Drains as the drain thread does when it can get no more memory. It has one chunk, which each reader returns.
    fn drain_with_one_chunk(&self, free: &Free) {
        for mark in 1..=self.written.position() {
            if !free.take() {
                self.queue.starve();
                // The real thread sleeps for some milliseconds and tries again. Until a reader returns the chunk,
                // nothing changes, so waiting for that is the same.
                free.wait();
            }
            assert!(self.queue.push(chunk(mark as u8), || false).is_ok());
            self.queue.reach(mark);
        }
    }

    fn start(tracer: &Arc<Self>) -> thread::JoinHandle<()> {
        let tracer = Arc::clone(tracer);
        thread::spawn(move || tracer.drain())
    }

    fn stop(&self, drain: thread::JoinHandle<()>) {
        self.control.stop();
        self.queue.wake_producer();
        drain.join().unwrap();
    }

    /// Reads as `Feed::take_up_to` does. Returns the ring's position at the call, and the chunks it read.
    fn read(&self, wait: impl Fn(u64)) -> (u64, Vec<u8>) {
        let position = self.control.written();
        let mut marks = Vec::new();
        loop {
            if !self.queue.has_reached(position) {
                wait(position);
            }
            let done = self.queue.is_closed() || self.queue.has_reached(position);
            while let Some(chunk) = self.queue.pop() {
                marks.push(chunk.bytes[0]);
            }
            if done {
                return (position, marks);
            }
        }
    }

    fn flush(&self) -> (u64, Vec<u8>) {
        self.read(|position| {
            self.control.flush(position);
            assert!(self.queue.wait_for(position, LONG, || false));
        })
    }

    /// Flushes as an event loop does, which waits for a descriptor.
    fn flush_by_descriptor(&self) -> (u64, Vec<u8>) {
        self.read(|position| {
            let announced = self.queue.announce(position).unwrap();
            self.control.flush(position);
            if let Some(announced) = announced {
                announced.signal().poll();
            }
        })
    }
}

/// Returns a queue with room for one chunk next to the one being filled, and the eventfd that wakes its readers.
fn small() -> (Arc<Queue>, std::sync::Arc<sync::Signal>) {
    let queue = Arc::new(Queue::new(CHUNK_BYTES).unwrap());
    (queue, sync::made())
}

fn main() {
    // A reader gets everything in order and then the end, although the producer has to wait for room. There is no stop.
    every_order(|| {
        let (queue, signal) = small();
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || drain(&queue, 3, &AtomicBool::new(false)))
        };
        assert_eq!(read_to_end(&queue, &signal), [1, 2, 3]);
        producer.join().unwrap();
        assert!(signal.is_readable(), "a reader that comes after the end must not wait");
        assert_eq!(queue.events(), 3);
    });

    // A close ends a producer that waits for room which no reader makes. Afterwards every chunk can still be read.
    every_order(|| {
        let (queue, signal) = small();
        let stop = Arc::new(AtomicBool::new(false));
        let producer = {
            let (queue, stop) = (Arc::clone(&queue), Arc::clone(&stop));
            thread::spawn(move || drain(&queue, 3, &stop))
        };
        stop.store(true, Ordering::Release);
        queue.wake_producer();
        producer.join().unwrap();
        assert_eq!(read_to_end(&queue, &signal), [1, 2, 3]);
        assert_eq!(queue.events(), 3);
    });

    // A close while a reader reads.
    every_order(|| {
        let (queue, signal) = small();
        let stop = Arc::new(AtomicBool::new(false));
        let producer = {
            let (queue, stop) = (Arc::clone(&queue), Arc::clone(&stop));
            thread::spawn(move || drain(&queue, 3, &stop))
        };
        let reader = {
            let (queue, signal) = (Arc::clone(&queue), std::sync::Arc::clone(&signal));
            thread::spawn(move || read_to_end(&queue, &signal))
        };
        stop.store(true, Ordering::Release);
        queue.wake_producer();
        assert_eq!(reader.join().unwrap(), [1, 2, 3]);
        producer.join().unwrap();
    });

    // With two readers each chunk goes to one of them, and both see the end.
    every_order(|| {
        let (queue, signal) = small();
        let reader = {
            let (queue, signal) = (Arc::clone(&queue), std::sync::Arc::clone(&signal));
            thread::spawn(move || read_to_end(&queue, &signal))
        };
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || drain(&queue, 2, &AtomicBool::new(false)))
        };
        let mut marks = read_to_end(&queue, &signal);
        marks.extend(reader.join().unwrap());
        producer.join().unwrap();
        marks.sort_unstable();
        assert_eq!(marks, [1, 2]);
    });

    flushes();
    starves();
}

/// A reader gets everything that was in the ring from a drain thread with a single chunk. Neither waits for ever.
fn starves() {
    every_order(|| {
        let tracer = Tracer::new(2);
        let free = Free::new();
        let drain = {
            let (tracer, free) = (Arc::clone(&tracer), Arc::clone(&free));
            thread::spawn(move || tracer.drain_with_one_chunk(&free))
        };
        let mut marks = Vec::new();
        while !tracer.queue.has_reached(2) || marks.len() < 2 {
            assert!(tracer.queue.wait_for(2, LONG, || false));
            while let Some(chunk) = tracer.queue.pop() {
                marks.push(chunk.bytes[0]);
                free.give();
            }
        }
        assert_eq!(marks, [1, 2]);
        drain.join().unwrap();
    });
}

fn flushes() {
    // A reader gets everything that was in the ring, although the queue has room for two chunks at a time.
    every_order(|| {
        let tracer = Tracer::new(3);
        let drain = Tracer::start(&tracer);
        assert_eq!(tracer.flush(), (3, vec![1, 2, 3]));
        assert_eq!(tracer.flush(), (3, vec![]));
        tracer.stop(drain);
    });

    // A chunk that is written during a flush belongs to that flush or to the next one.
    every_order(|| {
        let tracer = Tracer::new(1);
        let drain = Tracer::start(&tracer);
        let producer = {
            let written = tracer.written.clone();
            thread::spawn(move || written.set(2))
        };
        let (position, mut marks) = tracer.flush();
        assert!(marks.len() as u64 >= position && !marks.is_empty(), "{position} {marks:?}");
        producer.join().unwrap();
        marks.extend(tracer.flush().1);
        assert_eq!(marks, [1, 2]);
        tracer.stop(drain);
    });

    // With two readers each chunk goes to one of them, and neither waits for ever.
    every_order(|| {
        let tracer = Tracer::new(2);
        let drain = Tracer::start(&tracer);
        let reader = {
            let tracer = Arc::clone(&tracer);
            thread::spawn(move || tracer.flush().1)
        };
        let mut marks = tracer.flush().1;
        marks.extend(reader.join().unwrap());
        marks.sort_unstable();
        assert_eq!(marks, [1, 2]);
        tracer.stop(drain);
    });

    // A close ends the wait of a reader, which gets all chunks.
    every_order(|| {
        let tracer = Tracer::new(3);
        let drain = Tracer::start(&tracer);
        let reader = {
            let tracer = Arc::clone(&tracer);
            thread::spawn(move || tracer.flush().1)
        };
        tracer.stop(drain);
        assert_eq!(reader.join().unwrap(), [1, 2, 3]);
    });

    // A reader waits by descriptor. What an earlier wait left in the descriptor does not end a later one too soon.
    every_order(|| {
        let tracer = Tracer::new(3);
        let drain = Tracer::start(&tracer);
        let _ = tracer.queue.announce(1).unwrap();
        tracer.control.flush(1);
        assert_eq!(tracer.flush_by_descriptor(), (3, vec![1, 2, 3]));
        tracer.stop(drain);
    });

    // A close ends the wait of a reader that waits by descriptor.
    every_order(|| {
        let tracer = Tracer::new(2);
        let drain = Tracer::start(&tracer);
        let reader = {
            let tracer = Arc::clone(&tracer);
            thread::spawn(move || tracer.flush_by_descriptor().1)
        };
        tracer.stop(drain);
        assert_eq!(reader.join().unwrap(), [1, 2]);
    });
}
