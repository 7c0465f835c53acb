//! Every order in which the drain thread, readers and a close can run, tried on the sources of the queue and of the drain
//! thread's control: no wake-up is missed, nothing is lost or comes twice, the end comes last, and a reader gets what was in
//! the ring at its call. A wait that nobody ends is a deadlock to loom, and fails.
#![allow(missing_docs, reason = "a test")]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "modules of the crate's, of which a part is used here")]

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

/// Orders with more involuntary switches than this are not tried: faults need few.
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

/// As `Tracer.__next__` reads: to the end, waiting for the descriptor in between.
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

/// As the drain thread does: what finds no room when the stop comes, and what is left in the ring, is the rest.
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

/// No timer ends a wait in loom: only what is waited for does.
const LONG: Duration = Duration::from_secs(3600);

/// Whether the only chunk is free.
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

/// What a reader and a drain thread have in common. The ring's position counts chunks.
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

    /// As the drain thread does that gathers: it looks at the ring when it is asked to, and at no other time.
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

    /// As the drain thread does when memory is refused: it has one chunk, and gets it back from a reader.
    fn drain_with_one_chunk(&self, free: &Free) {
        for mark in 1..=self.written.position() {
            if !free.take() {
                self.queue.starve();
                // It sleeps for some milliseconds and tries again: nothing changes before a reader gives the chunk back.
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

    /// As `Tracer::take_up_to` reads. The position at the call, and what it got.
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

    /// As an event loop does.
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

/// A queue with room for one chunk beside the one that fills, and what wakes its readers.
fn small() -> (Arc<Queue>, std::sync::Arc<sync::Signal>) {
    let queue = Arc::new(Queue::new(CHUNK_BYTES).unwrap());
    (queue, sync::made())
}

fn main() {
    // A reader gets everything in order and then the end, while the producer waits for room. Nobody stops it.
    every_order(|| {
        let (queue, signal) = small();
        let producer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || drain(&queue, 3, &AtomicBool::new(false)))
        };
        assert_eq!(read_to_end(&queue, &signal), [1, 2, 3]);
        producer.join().unwrap();
        assert!(signal.is_readable(), "whoever comes late must not wait");
        assert_eq!(queue.events(), 3);
    });

    // A close while the producer waits for room that nobody makes: it ends, and all is still there.
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

    // A close while somebody reads.
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

    // Two readers: each chunk goes to one of them, and both see the end.
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

/// A reader gets all that the ring had from a drain thread that has one chunk: neither waits for the other for ever.
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
    // A reader gets all that the ring had, although there is room for two at a time.
    every_order(|| {
        let tracer = Tracer::new(3);
        let drain = Tracer::start(&tracer);
        assert_eq!(tracer.flush(), (3, vec![1, 2, 3]));
        assert_eq!(tracer.flush(), (3, vec![]));
        tracer.stop(drain);
    });

    // What comes meanwhile may be part of it, or come next.
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

    // Two readers: each chunk goes to one of them, and neither waits for ever.
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

    // A close while a reader waits.
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

    // By a descriptor; and what an earlier wait left there does not end a later one too soon.
    every_order(|| {
        let tracer = Tracer::new(3);
        let drain = Tracer::start(&tracer);
        let _ = tracer.queue.announce(1).unwrap();
        tracer.control.flush(1);
        assert_eq!(tracer.flush_by_descriptor(), (3, vec![1, 2, 3]));
        tracer.stop(drain);
    });

    // By a descriptor, with a close in between.
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
