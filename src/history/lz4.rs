//! LZ4 frames, decompressed: what the buffers of a log are compressed with.
//!
//! The columns of a log repeat, so most of what is decompressed is a value of at most eight bytes again and again.
//! `lz4_flex` copies such a run byte by byte, which was a quarter of the CPU time of the sealing. Here each copy is twice as
//! long as the one before.
//!
//! The format is that of <https://github.com/lz4/lz4/tree/dev/doc>: `lz4_Frame_format.md` and `lz4_Block_format.md`. The
//! checksums of a frame are not looked at: the message around it has one.

/// The first bytes of a frame.
const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// The bits of a frame's flags.
const VERSION: u8 = 0b1100_0000;
const VERSION_1: u8 = 0b0100_0000;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const DICTIONARY: u8 = 1;

/// The bit of a block's size that says that the block is not compressed.
const PLAIN: u32 = 1 << 31;

/// The bytes that a short copy moves at once, whatever its length.
const WORD: usize = 16;

/// The bytes of the shortest match.
const MATCH: usize = 4;

/// A frame has less than this many times as many bytes as it takes.
pub(crate) const MOST: usize = 256;

/// Decompresses a frame into the first `size` bytes of `out`. What is behind them can be overwritten. `None` for a frame
/// that is damaged, has another size, or needs a dictionary.
pub(crate) fn decompress(frame: &[u8], out: &mut [u8], size: usize) -> Option<()> {
    let (flags, frame) = frame.strip_prefix(&MAGIC)?.split_first()?;
    if flags & VERSION != VERSION_1 || flags & DICTIONARY != 0 || size > out.len() {
        return None;
    }
    let has = |flag| usize::from(flags & flag != 0);
    // The largest size of a block, the size of the content, and the header's checksum.
    let mut frame = frame.get(1 + 8 * has(CONTENT_SIZE) + 1..)?;
    let mut at = 0;
    loop {
        let (header, rest) = frame.split_first_chunk()?;
        let header = u32::from_le_bytes(*header);
        if header == 0 {
            return (at == size).then_some(());
        }
        let (content, rest) = rest.split_at_checked((header & !PLAIN) as usize)?;
        if header & PLAIN == 0 {
            at = block(content, out, at, size)?;
        } else {
            let end = at.checked_add(content.len()).filter(|end| *end <= size)?;
            out[at..end].copy_from_slice(content);
            at = end;
        }
        frame = rest.get(4 * has(BLOCK_CHECKSUMS)..)?;
    }
}

/// Decompresses a block to `out[at..]`, at most to `end`. Returns where it ends.
fn block(mut content: &[u8], out: &mut [u8], mut at: usize, end: usize) -> Option<usize> {
    loop {
        let (token, rest) = content.split_first()?;
        content = rest;
        let literals = length(token >> 4, &mut content)?;
        if literals > content.len() || literals > end - at {
            return None;
        }
        match (content.first_chunk::<WORD>(), out[at..].first_chunk_mut::<WORD>()) {
            (Some(from), Some(to)) if literals <= WORD => *to = *from,
            _ => out[at..at + literals].copy_from_slice(&content[..literals]),
        }
        (at, content) = (at + literals, &content[literals..]);
        // The last sequence has no match.
        if content.is_empty() {
            return Some(at);
        }
        let (offset, rest) = content.split_first_chunk()?;
        content = rest;
        let offset = usize::from(u16::from_le_bytes(*offset));
        let matched = MATCH + length(token & 0xf, &mut content)?;
        if offset == 0 || offset > at || matched > end - at {
            return None;
        }
        repeat(out, at, offset, matched);
        at += matched;
    }
}

/// Reads a length, of which the token has the beginning.
fn length(nibble: u8, content: &mut &[u8]) -> Option<usize> {
    let mut length = usize::from(nibble);
    if nibble == 0xf {
        loop {
            let (byte, rest) = content.split_first()?;
            *content = rest;
            length += usize::from(*byte);
            if *byte < u8::MAX {
                break;
            }
        }
    }
    Some(length)
}

/// Writes `length` bytes to `out[at..]`, each of which is the one `offset` bytes before it.
fn repeat(out: &mut [u8], at: usize, offset: usize, length: usize) {
    let from = at - offset;
    if length <= WORD {
        if offset >= WORD && at + WORD <= out.len() {
            let (before, behind) = out.split_at_mut(at);
            behind[..WORD].copy_from_slice(&before[from..from + WORD]);
            return;
        }
        for at in at..at + length {
            out[at] = out[at - offset];
        }
        return;
    }
    let mut done = 0;
    while done < length {
        // All before it is whole repetitions.
        let more = (offset + done).min(length - done);
        out.copy_within(from..from + more, at + done);
        done += more;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn compressed(content: &[u8], info: FrameInfo) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// What comes back where nothing is behind the output, and where something is.
    fn back(frame: &[u8], size: usize) -> [Option<Vec<u8>>; 2] {
        [0, 3 * WORD].map(|behind| {
            let mut out = vec![0xa5; size + behind];
            decompress(frame, &mut out, size)?;
            out.truncate(size);
            Some(out)
        })
    }

    /// Bytes as columns have them: runs of short values, some of them cut, and texts between.
    fn column() -> impl Strategy<Value = Vec<u8>> {
        let run = (vec(any::<u8>(), 1..40), 1_usize..300).prop_map(|(value, times)| value.repeat(times));
        let part = prop_oneof![run, vec(any::<u8>(), 0..60), vec(prop_oneof![Just(0), Just(b'/')], 0..600)];
        vec(part, 0..30).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

        #[test]
        fn what_was_compressed_comes_back(content in column(), linked: bool, sums: bool, sized: bool) {
            let info = FrameInfo::new()
                .block_mode(if linked { BlockMode::Linked } else { BlockMode::Independent })
                .block_checksums(sums)
                .content_checksum(sums)
                .content_size(sized.then_some(content.len() as u64));
            let frame = compressed(&content, info);
            prop_assert_eq!(back(&frame, content.len()), [Some(content.clone()), Some(content.clone())]);
            prop_assert_eq!(back(&frame, content.len() + 1), [None, None]);
            if !content.is_empty() {
                prop_assert_eq!(back(&frame, content.len() - 1), [None, None]);
            }
        }

        #[test]
        fn no_bytes_are_more_than_refused(mut frame in vec(any::<u8>(), 0..200), flags in 0x40_u8..0x7f, size in 0_usize..400) {
            frame.splice(..0, [&MAGIC[..], &[flags & !DICTIONARY, 0x40, 0]].concat());
            let _ = back(&frame, size);
        }

        #[test]
        fn a_frame_that_has_changed_is_no_more_than_wrong(content in column(), at: prop::sample::Index, bits in 1_u8..) {
            let mut frame = compressed(&content, FrameInfo::new());
            let cut = at.index(frame.len());
            prop_assert_eq!(back(&frame[..cut], content.len()), [None, None]);
            frame[cut] ^= bits;
            let _ = back(&frame, content.len());
        }
    }

    #[test]
    fn blocks_of_every_size_come_back() {
        for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max1MB] {
            for mode in [BlockMode::Linked, BlockMode::Independent] {
                let content: Vec<u8> = (0..700_000_u32).flat_map(|at| (at / 7 % 1000).to_le_bytes()).collect();
                let frame = compressed(&content, FrameInfo::new().block_size(size).block_mode(mode));
                assert!(
                    back(&frame, content.len()).iter().all(|back| back.as_ref() == Some(&content)),
                    "{size:?} {mode:?}"
                );
            }
        }
    }

    #[test]
    fn a_frame_of_another_kind_is_refused() {
        let frame = compressed(b"/srv/mail/new", FrameInfo::new());
        assert_eq!(back(&frame, 13), [Some(b"/srv/mail/new".to_vec()), Some(b"/srv/mail/new".to_vec())]);
        let with = |at: usize, byte: u8| {
            let mut frame = frame.clone();
            frame[at] = byte;
            back(&frame, 13)
        };
        let flags = frame[MAGIC.len()];
        assert_eq!(with(0, 0x05), [None, None]);
        assert_eq!(with(MAGIC.len(), flags | DICTIONARY), [None, None]);
        assert_eq!(with(MAGIC.len(), flags ^ VERSION_1), [None, None]);
        assert_eq!(with(MAGIC.len(), flags), back(&frame, 13));
        assert_eq!(decompress(&frame, &mut [0; 12], 13), None);
    }
}
