//! Committed records are copied unchanged, wherever in the ring they are. No length of a record leads out of the ring.

use std::fs::{File, remove_file};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use _core::memory::aligned::AlignedBytes;
use _core::record::{DISCARDED, record_span};
use _core::ring::buffer::{Drained, Ring, Run, scan};
use _core::ring::chunk::{CHUNK_BYTES, Chunk};
use _core::sys::mmap::page_bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{cases, sound};

const BUSY: u32 = 1 << 31;
const WORDS: usize = 64;

/// A record as the kernel writes it: its flags and its content. The first word of the content is the record's kind.
#[derive(Debug, Clone)]
struct Written {
    flags: u32,
    words: Vec<u32>,
}

impl Written {
    fn header(&self) -> u32 {
        (self.words.len() as u32 * 4) | self.flags
    }

    fn span(&self) -> u64 {
        record_span(self.header()) as u64
    }

    fn is_of(&self, kind: u32) -> u32 {
        u32::from(self.flags == 0 && self.words[0] == kind)
    }

    /// Returns the words in the ring: the header, the kernel's own word, the content, the padding.
    fn framed(&self) -> Vec<u32> {
        let mut words = [&[self.header(), 0x7777], self.words.as_slice()].concat();
        words.resize(self.span() as usize / 4, 0xaaaa);
        words
    }
}

fn written(longest: usize) -> impl Strategy<Value = Written> {
    let flags = prop_oneof![8 => Just(0), 2 => Just(DISCARDED), 1 => Just(BUSY)];
    let words = (1..5_u32, vec(any::<u32>(), 0..longest)).prop_map(|(kind, rest)| [&[kind], rest.as_slice()].concat());
    (flags, words).prop_map(|(flags, words)| Written { flags, words })
}

/// Returns as many of the first records as fit into a ring of `words` words.
fn fitting(records: Vec<Written>, words: usize) -> Vec<Written> {
    let mut left = words as u64 * 4;
    let fits = |record: &Written| {
        let fits = record.span() <= left;
        left -= if fits { record.span() } else { 0 };
        fits
    };
    records.into_iter().take_while(fits).collect()
}

/// Returns the words of a ring in which the records begin at `position`, and the position after the last record.
fn laid(records: &[Written], position: u64, words: usize) -> (Vec<u32>, u64) {
    let mut data = vec![0x5555_5555; words];
    let mut at = position;
    for word in records.iter().flat_map(Written::framed) {
        data[at as usize / 4 % words] = word;
        at += 4;
    }
    (data, at)
}

fn atomics(data: &[u32]) -> Vec<AtomicU32> {
    data.iter().copied().map(AtomicU32::new).collect()
}

/// Makes a file with the layout of a ring buffer's map: the consumer's page, the producer's page, the data.
fn ring_file(consumer: u64, producer: u64, data: &[u32]) -> File {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("rawtp-ring-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    remove_file(path).unwrap();
    let page = page_bytes() as u64;
    file.write_all_at(&consumer.to_ne_bytes(), 0).unwrap();
    file.write_all_at(&producer.to_ne_bytes(), page).unwrap();
    file.write_all_at(&data.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>(), 2 * page).unwrap();
    file
}

proptest! {
    #![proptest_config(cases(5000))]

    #[test]
    fn a_scan_ends_before_what_is_busy_or_too_much(
        records in vec(written(6), 0..12), start in 0..1_000_u64, max_bytes in prop_oneof![0..100_usize, Just(1 << 16)],
    ) {
        let records = fitting(records, WORDS);
        let (data, producer) = laid(&records, start * 8, WORDS);
        let mut expected = Run { end: start * 8, events: 0, reports: 0 };
        for record in records.iter().take_while(|record| record.flags != BUSY) {
            if expected.end + record.span() - start * 8 > max_bytes as u64 {
                break;
            }
            expected.end += record.span();
            expected.events += record.is_of(1);
            expected.reports += record.is_of(4) + record.is_of(8) + record.is_of(9);
        }
        prop_assert_eq!(sound(scan(&atomics(&data), start * 8, producer, max_bytes))?, expected);
    }

    #[test]
    fn no_length_leads_out_of_the_ring(
        data in vec(prop_oneof![4 => 0..40_u32, 1 => any::<u32>(), 1 => (0..40_u32).prop_map(|word| word | BUSY)], WORDS),
        consumer in prop_oneof![0..100_u64, any::<u64>()].prop_map(|position| position / 8 * 8),
        written in prop_oneof![0..WORDS as u64 * 4 + 16, any::<u64>()].prop_map(|bytes| bytes / 8 * 8),
        max_bytes in 0..400_usize,
    ) {
        let producer = consumer.wrapping_add(written);
        match scan(&atomics(&data), consumer, producer, max_bytes) {
            Ok(run) => {
                prop_assert!(written <= WORDS as u64 * 4, "more than the ring holds");
                prop_assert!(run.end - consumer <= written.min(max_bytes as u64));
            }
            Err(error) => prop_assert!(error.to_string().starts_with("malformed record: a "), "{}", error),
        }
    }
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn a_ring_is_drained_across_its_end(
        records in prop_oneof![3 => vec(written(300), 0..60), 1 => vec(written(CHUNK_BYTES / 4 - 2), 0..8)],
        start in 0..1_000_000_u64, page_count in select(vec![1, 4, 32]), room in 0..=CHUNK_BYTES,
    ) {
        let words = page_bytes() * page_count / 4;
        let records = fitting(records, words);
        let (data, producer) = laid(&records, start * 8, words);
        let file = ring_file(start * 8, producer, &data);
        let mut ring = Ring::new(file.try_clone().unwrap().into(), words * 4).unwrap();
        let filler = vec![0x11; CHUNK_BYTES - room];
        let mut chunk = Chunk { bytes: AlignedBytes::copy_of(&filler).unwrap(), ..Chunk::default() };
        let drained = sound(ring.drain(&mut chunk))?;

        let (mut expected, mut events, mut reports) = (filler, 0, 0);
        let mut end = Drained::All;
        for record in records.iter().take_while(|record| record.flags != BUSY) {
            if expected.len() + record.span() as usize > CHUNK_BYTES {
                end = Drained::ChunkFull;
                break;
            }
            expected.extend(record.framed().iter().flat_map(|word| word.to_ne_bytes()));
            events += record.is_of(1);
            reports += record.is_of(4) + record.is_of(8) + record.is_of(9);
        }
        prop_assert_eq!(drained, end);
        prop_assert_eq!((chunk.bytes.len(), chunk.events), (expected.len(), events));
        prop_assert_eq!(chunk.reports, reports);
        prop_assert!(*chunk.bytes == *expected);
        let mut consumer = [0; 8];
        file.read_exact_at(&mut consumer, 0).unwrap();
        let taken = (expected.len() + room - CHUNK_BYTES) as u64;
        prop_assert_eq!(u64::from_ne_bytes(consumer), start * 8 + taken);
    }
}
