//! Ranges of rows: which rows of a file are read.

use std::ops::Range;

use arrow_array::BooleanArray;

/// Ranges of rows, in order, that do not meet.
pub(crate) type Rows = Vec<Range<usize>>;

/// Puts ranges in order and joins those that meet.
pub(crate) fn union(mut ranges: Rows) -> Rows {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Rows = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The rows of `from` that a mask has. The masks have one value for each row of `from`.
pub(crate) fn masked(from: &[Range<usize>], masks: &[BooleanArray]) -> Rows {
    let mut values = masks.iter().flat_map(|mask| mask.values().iter());
    let rows = from.iter().cloned().flatten().filter(|_| values.next().unwrap_or_default());
    let mut made: Rows = Vec::new();
    for row in rows {
        match made.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => made.push(row..row + 1),
        }
    }
    made
}

/// Cuts ranges into pieces of at most `most` rows in all.
pub(crate) fn pieces(ranges: &[Range<usize>], most: usize) -> Vec<Rows> {
    let (mut pieces, mut piece, mut room) = (Vec::new(), Rows::new(), most);
    for range in ranges {
        let mut range = range.clone();
        while !range.is_empty() {
            let end = range.end.min(range.start + room);
            room -= end - range.start;
            piece.push(range.start..end);
            range.start = end;
            if room == 0 {
                pieces.push(std::mem::take(&mut piece));
                room = most;
            }
        }
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "lists of one range are meant")]
    fn ranges() {
        assert_eq!(union(vec![5..9, 0..2, 2..3, 4..4, 6..7]), [0..3, 5..9]);
        let masks = [BooleanArray::from(vec![true, true, false]), BooleanArray::from(vec![true, false])];
        assert_eq!(masked(&[0..2, 5..8], &masks), [0..2, 6..7]);
        assert_eq!(pieces(&[0..5, 7..9], 3), [vec![0..3], vec![3..5, 7..8], vec![8..9]]);
        assert!(pieces(&[], 3).is_empty());
    }
}
