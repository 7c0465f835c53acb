//! Parquet's hybrid encoding of small numbers: runs of one number, and groups of eight that are packed bit by bit.

/// The shortest run that is written as one. Shorter ones cost as much as packed numbers.
const RUN: usize = 16;

/// The numbers of a group.
const GROUP: usize = 8;

/// The numbers that are compared at once.
const LANES: usize = 32;

/// The bits that numbers up to `most` take.
pub(super) fn width(most: u32) -> u32 {
    u32::BITS - most.leading_zeros()
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn pack<T: Copy + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let groups = values.len().div_ceil(GROUP);
    varint((groups as u64) << 1 | 1, out);
    let (mut bits, mut filled) = (0_u64, 0);
    for value in values {
        bits |= u64::from((*value).into()) << filled;
        filled += width;
        if filled >= u32::BITS {
            out.extend_from_slice(&(bits as u32).to_le_bytes());
            bits >>= u32::BITS;
            filled -= u32::BITS;
        }
    }
    // The last group is filled up with zeros.
    let missing = (groups * GROUP - values.len()) as u32 * width;
    let mut rest = filled + missing;
    while rest > 0 {
        out.push(bits as u8);
        bits >>= 8;
        rest = rest.saturating_sub(8);
    }
}

/// The length of the run that numbers begin with.
fn run<T: Copy + PartialEq>(values: &[T], value: T) -> usize {
    let is_same = |other: &&T| **other == value;
    let begun = values.iter().take(RUN).take_while(is_same).count();
    if begun < RUN {
        return begun;
    }
    // An exit after each would have them compared one by one.
    let chunks = values.chunks_exact(LANES);
    let same = chunks.take_while(|chunk| chunk.iter().filter(|other| **other != value).count() == 0);
    let same = same.count() * LANES;
    same + values[same..].iter().take_while(is_same).count()
}

/// Appends numbers, each of which takes at most `width` bits.
pub(super) fn encode<T: Copy + PartialEq + Into<u32>>(values: &[T], width: u32, out: &mut Vec<u8>) {
    let run_bytes = width.div_ceil(8) as usize;
    // The first number that is not written yet, and the one that is looked at.
    let (mut first, mut at) = (0, 0);
    while at < values.len() {
        let value = values[at];
        let run = run(&values[at..], value);
        // Only the last group of all may be filled up.
        let taken = (first..at).len().next_multiple_of(GROUP) - (at - first);
        if run >= RUN + taken {
            if at + taken > first {
                pack(&values[first..at + taken], width, out);
            }
            varint(((run - taken) as u64) << 1, out);
            out.extend_from_slice(&value.into().to_le_bytes()[..run_bytes]);
            first = at + run;
        }
        at += run;
    }
    if first < values.len() {
        pack(&values[first..], width, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(bytes: &[u8], width: u32, count: usize) -> Vec<u32> {
        let (mut at, mut values) = (0, Vec::new());
        while values.len() < count {
            let (mut header, mut shift) = (0_u64, 0);
            loop {
                header |= u64::from(bytes[at] & 0x7f) << shift;
                (at, shift) = (at + 1, shift + 7);
                if bytes[at - 1] & 0x80 == 0 {
                    break;
                }
            }
            if header & 1 == 0 {
                let bytes_of_run = width.div_ceil(8) as usize;
                let mut value = [0; 4];
                value[..bytes_of_run].copy_from_slice(&bytes[at..at + bytes_of_run]);
                at += bytes_of_run;
                let run = usize::try_from(header >> 1).unwrap();
                values.extend(std::iter::repeat_n(u32::from_le_bytes(value), run));
            } else {
                let bytes_of_groups = usize::try_from(header >> 1).unwrap() * width as usize;
                let packed = &bytes[at..at + bytes_of_groups];
                at += bytes_of_groups;
                let bit = |at: usize| u32::from(packed[at / 8] >> (at % 8) & 1);
                let number = |index: usize| {
                    (0..width as usize).map(|shift| bit(index * width as usize + shift) << shift).sum::<u32>()
                };
                values.extend((0..usize::try_from(header >> 1).unwrap() * GROUP).map(number));
            }
        }
        assert_eq!(at, bytes.len());
        values.truncate(count);
        values
    }

    #[test]
    fn numbers_come_back() {
        assert_eq!([width(0), width(1), width(2), width(255), width(256)], [0, 1, 2, 8, 9]);
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for width in 1..=20 {
            for length in [1, 7, 8, 9, 15, 16, 17, 100, 1000] {
                let mut values = Vec::new();
                while values.len() < length {
                    let value = next() & ((1 << width) - 1);
                    let run = if next() % 3 == 0 { next() as usize % 60 } else { 1 };
                    values.extend(std::iter::repeat_n(value, run));
                }
                values.truncate(length);
                let mut out = Vec::new();
                encode(&values, width, &mut out);
                assert_eq!(decode(&out, width, length), values, "{width} {length}");
            }
        }
        let mut out = Vec::new();
        encode(&[1_u8; 8192], 1, &mut out);
        assert_eq!(out, [0x80, 0x80, 0x01, 1]);
    }
}
