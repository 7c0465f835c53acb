//! Every order in which the drain thread, readers and a close can run, tried on the queue's own source: no wake-up is
//! missed, nothing is lost or comes twice, and the end comes last. A wait that nobody ends is a deadlock to loom, and fails.
#![allow(missing_docs, reason = "a test")]
#![allow(dead_code, unreachable_pub, unused_imports, reason = "modules of the crate's, of which a part is used here")]

#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/queue.rs"]
mod queue;
mod sync;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

use queue::{CHUNK_BYTES, Chunk, Queue};

/// Orders with more involuntary switches than this are not tried: faults need few.
const PREEMPTIONS: usize = 3;

fn chunk(mark: u8) -> Chunk {
    Chunk { bytes: vec![mark; CHUNK_BYTES], events: 1, offset_ns: 0 }
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
}
