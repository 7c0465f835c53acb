//! The least and the greatest value of a chunk or a page.

use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

use crate::history::file::values::Table;

/// The bytes to which bounds are cut, far more than most paths have.
const BOUND_BYTES: usize = 256;

/// A lower bound of at most [`BOUND_BYTES`] bytes.
fn lower(value: &[u8]) -> &[u8] {
    let Some(cut) = value.get(..BOUND_BYTES) else { return value };
    // Text stays text.
    match str::from_utf8(cut) {
        Err(error) if str::from_utf8(value).is_ok() => &cut[..error.valid_up_to()],
        _ => cut,
    }
}

/// An upper bound of about [`BOUND_BYTES`] bytes: the next text behind all that begin alike. `None` where there is none.
fn upper(value: &[u8]) -> Option<Vec<u8>> {
    if value.len() <= BOUND_BYTES {
        return Some(value.to_vec());
    }
    let cut = lower(value);
    if let Ok(text) = str::from_utf8(cut)
        && str::from_utf8(value).is_ok()
    {
        let last = text.char_indices().rev().find_map(|(at, last)| {
            let next = char::from_u32(u32::from(last) + 1)?;
            Some((at, next))
        });
        let (at, next) = last?;
        return Some([&text[..at], &next.to_string()].concat().into_bytes());
    }
    let at = cut.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut bound = cut[..=at].to_vec();
    bound[at] += 1;
    Some(bound)
}

/// The numbers of the least and the greatest of some values of a table.
pub(super) fn extremes(table: &Table<'_>, numbers: impl Iterator<Item = u32>) -> Option<(u32, u32)> {
    match table {
        Table::Bools(values) => extremes_of(values, numbers),
        Table::I32(values) => extremes_of(values, numbers),
        Table::I64(values) => extremes_of(values, numbers),
        Table::Bytes(values) => extremes_of(values, numbers),
    }
}

fn extremes_of<T: Ord>(values: &[T], mut numbers: impl Iterator<Item = u32>) -> Option<(u32, u32)> {
    let mut before = numbers.next()?;
    let (mut least, mut greatest) = (before, before);
    for number in numbers {
        if number == before {
            continue;
        }
        before = number;
        let value = &values[number as usize];
        // Most values of a sorted column are greater than all before.
        if *value > values[greatest as usize] {
            greatest = number;
        } else if *value < values[least as usize] {
            least = number;
        }
    }
    Some((least, greatest))
}

/// The bounds of a page as the column index has them.
pub(super) fn page_bounds(table: &Table<'_>, (least, greatest): (u32, u32)) -> (Vec<u8>, Vec<u8>) {
    let [least, greatest] = [least as usize, greatest as usize];
    match table {
        Table::Bools(values) => (vec![values[least].into()], vec![values[greatest].into()]),
        Table::I32(values) => (values[least].to_le_bytes().to_vec(), values[greatest].to_le_bytes().to_vec()),
        Table::I64(values) => (values[least].to_le_bytes().to_vec(), values[greatest].to_le_bytes().to_vec()),
        Table::Bytes(values) => {
            let bound = upper(values[greatest]).unwrap_or_else(|| values[greatest].to_vec());
            (lower(values[least]).to_vec(), bound)
        }
    }
}

/// The statistics of a chunk.
pub(super) fn statistics(table: &Table<'_>, extremes: Option<(u32, u32)>, nulls: u64) -> Statistics {
    let nulls = Some(nulls);
    let at = extremes.map(|(least, most)| (least as usize, most as usize));
    match table {
        Table::Bools(values) => {
            Statistics::boolean(at.map(|at| values[at.0]), at.map(|at| values[at.1]), None, nulls, false)
        }
        Table::I32(values) => {
            Statistics::int32(at.map(|at| values[at.0]), at.map(|at| values[at.1]), None, nulls, false)
        }
        Table::I64(values) => {
            Statistics::int64(at.map(|at| values[at.0]), at.map(|at| values[at.1]), None, nulls, false)
        }
        Table::Bytes(values) => {
            let array = |bytes: &[u8]| ByteArray::from(bytes.to_vec());
            let least = at.map(|at| array(lower(values[at.0])));
            let most = at.and_then(|at| upper(values[at.1])).map(ByteArray::from);
            let is_exact = |at: Option<usize>| at.is_some_and(|at| values[at].len() <= BOUND_BYTES);
            let made = ValueStatistics::new(least, most, None, nulls, false)
                .with_min_is_exact(is_exact(at.map(|at| at.0)))
                .with_max_is_exact(is_exact(at.map(|at| at.1)));
            Statistics::ByteArray(made)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_cut() {
        let long = "é".repeat(200);
        assert_eq!(lower(long.as_bytes()), "é".repeat(128).as_bytes());
        let bound = upper(long.as_bytes()).unwrap();
        assert!(bound.as_slice() > long.as_bytes() && bound.len() == 256 && str::from_utf8(&bound).is_ok());
        let odd = format!("x{long}");
        assert_eq!(lower(odd.as_bytes()), format!("x{}", "é".repeat(127)).as_bytes());
        assert!(upper(odd.as_bytes()).unwrap().as_slice() > odd.as_bytes());
        assert_eq!(upper(&[0xff; 300]), None);
        let mut raw = vec![0xff; 300];
        raw[3] = 1;
        assert_eq!(upper(&raw).unwrap(), [0xff, 0xff, 0xff, 2]);
        assert_eq!(upper("\u{10ffff}".repeat(100).as_bytes()), None);
        assert_eq!(upper(b"ab").unwrap(), b"ab");
    }
}
