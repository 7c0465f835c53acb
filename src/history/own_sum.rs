//! The checksum that a sealed file has of itself. It verifies a file whose line in the journal is lost.
//!
//! It is a value in the footer's metadata, which every engine skips: the XXH64 of all bytes of the file, with zeros in the
//! place of its own 16 digits. So it covers what no checksum of Parquet does: page headers, filters, indexes and the footer.

use std::fs::File;
use std::hash::Hasher;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use twox_hash::XxHash64;

use crate::history::files::checksum_of_file;

/// The key, and the value until the checksum is computed. They are the last pair of the metadata.
pub(crate) const KEY: &str = "rawtp:xxh64";
pub(crate) const NO_SUM: &str = "0000000000000000";

/// What stands before the digits: Thrift's compact protocol has a byte for each field and the length of each text.
const BEFORE: &[u8] = b"\x18\x0brawtp:xxh64\x18\x10";

/// The bytes behind a footer: its length and a magic number.
const END_BYTES: usize = 8;
const MAGIC: &[u8] = b"PAR1";

/// More than a footer takes.
const FOOTER_MAX: usize = 64 << 20;

/// The place of the digits in bytes that end like a file. Names of files can look like the pair, but only in what stands
/// before it.
fn digits(end: &[u8]) -> Option<Range<usize>> {
    let at = end.windows(BEFORE.len()).rposition(|bytes| bytes == BEFORE)? + BEFORE.len();
    (at + NO_SUM.len() <= end.len()).then_some(at..at + NO_SUM.len())
}

/// Computes the checksum of a file, which has [`NO_SUM`] so far, and puts it in. `pages` has seen what stands before `tail`.
/// Returns the place of the digits in `tail`; `None` when it has none.
pub(crate) fn put(pages: &XxHash64, tail: &mut [u8]) -> Option<Range<usize>> {
    let at = digits(tail)?;
    let mut hasher = pages.clone();
    hasher.write(tail);
    tail[at.clone()].copy_from_slice(format!("{:016x}", hasher.finish()).as_bytes());
    Some(at)
}

/// Whether a file is as its own checksum says. `None` when it has none.
pub(crate) fn verify(mut file: &File) -> io::Result<Option<bool>> {
    let size = file.metadata()?.len();
    let mut end = [0; END_BYTES];
    let Some(at) = size.checked_sub(END_BYTES as u64) else { return Ok(None) };
    file.read_exact_at(&mut end, at)?;
    let (length, magic) = end.split_at(END_BYTES / 2);
    let length = length.first_chunk().map_or(0, |length| u32::from_le_bytes(*length)) as usize;
    let Some(footer_at) = at.checked_sub(length as u64).filter(|_| magic == MAGIC) else { return Ok(None) };
    if length > FOOTER_MAX {
        return Ok(Some(false));
    }
    let mut footer = Vec::new();
    footer.try_reserve_exact(length + END_BYTES)?;
    footer.resize(length + END_BYTES, 0);
    file.read_exact_at(&mut footer, footer_at)?;
    let Some(place) = digits(&footer) else { return Ok(None) };
    file.seek(SeekFrom::Start(0))?;
    let before = file.take(footer_at + place.start as u64);
    let mut zeroed = before.chain(NO_SUM.as_bytes()).chain(&footer[place.end..]);
    let (sum, bytes) = checksum_of_file(&mut zeroed)?;
    Ok(Some(bytes == size && format!("{sum:016x}").as_bytes() == &footer[place]))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};

    use super::*;
    use crate::error::Error;
    use crate::history::file::encode::{self, Settings};
    use crate::history::files::testing::Scratch;
    use crate::history::filter::Filter;
    use crate::history::layout::{Layout, Stem};
    use crate::history::reader::Reader;
    use crate::history::schema::full;
    use crate::history::segment::{adopt, seal};

    const COLUMNS: [&str; 5] = ["session", "ts_ns", "comm", "path", "real_path"];
    const STEM: Stem = Stem { session: 5, number: 1 };

    /// Few rows, so that the footer is most of the file. Names end in `end`.
    fn batch(end: &str) -> RecordBatch {
        let schema = full().project(&COLUMNS.map(|name| full().index_of(name).unwrap())).unwrap();
        let names: ArrayRef = Arc::new((0..9).map(|at| Some(format!("/srv/{at}/{end}"))).collect::<StringArray>());
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_value(5, 9)),
            Arc::new((0..9).map(|at| Some(at * 7)).collect::<Int64Array>()),
            Arc::new(StringArray::from(vec!["rm"; 9])),
            Arc::clone(&names),
            names,
        ];
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    }

    /// A directory whose journal is empty.
    fn empty(name: &str) -> (Scratch, Layout) {
        let scratch = Scratch::new(name);
        let layout = Layout::new(&scratch.0);
        layout.create().unwrap();
        fs::write(layout.journal(), "").unwrap();
        (scratch, layout)
    }

    /// Names of its events look like its checksum.
    fn sealed(layout: &Layout) -> (String, PathBuf) {
        let batch = batch(&format!("\x18\x0b{KEY}\x18\x10{NO_SUM}"));
        let metadata = [("rawtp:host".to_owned(), "h".to_owned())];
        let segments = seal(layout, "h", STEM, &[batch], &metadata).unwrap();
        assert_eq!(adopt(layout, &segments[0].file).unwrap(), segments[0]);
        let path = layout.root().join(&segments[0].file);
        (segments[0].file.clone(), path)
    }

    /// The events of the directory, or why there are none.
    fn read(layout: &Layout) -> Result<Vec<RecordBatch>, Error> {
        let columns = COLUMNS.map(str::to_owned);
        let mut scan = Reader::open(layout.root())?.scan(Some(&columns), Filter::default(), None, false)?;
        let mut batches = Vec::new();
        while let Some(batch) = scan.read()? {
            batches.push(batch);
        }
        Ok(batches)
    }

    #[test]
    fn no_flipped_bit_makes_a_value() {
        let (_scratch, layout) = empty("own-sum");
        let (name, path) = sealed(&layout);
        let bytes = fs::read(&path).unwrap();
        let right = read(&layout).unwrap();
        assert_eq!(right.iter().map(RecordBatch::num_rows).sum::<usize>(), 9);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                file.write_all_at(&[bytes[at] ^ 1 << bit], at as u64).unwrap();
                match read(&layout) {
                    Err(Error::Damaged(text)) => assert!(text.starts_with(&name), "{text}"),
                    found => panic!("{at}.{bit}: {found:?}"),
                }
            }
            file.write_all_at(&bytes[at..=at], at as u64).unwrap();
        }
        assert_eq!(read(&layout).unwrap(), right);
    }

    #[test]
    fn no_cut_or_longer_file_has_values() {
        let (_scratch, layout) = empty("own-sum-cut");
        let (_, path) = sealed(&layout);
        let bytes = fs::read(&path).unwrap();
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).unwrap();
            assert!(matches!(read(&layout), Err(Error::Damaged(_))), "{cut}");
            // A hole in its place, before what is left.
            let hole = [&vec![0; cut][..], &bytes[cut..]].concat();
            fs::write(&path, &hole).unwrap();
            assert!(cut == 0 || matches!(read(&layout), Err(Error::Damaged(_))), "{cut}");
        }
        fs::write(&path, [&bytes[..], &bytes[..]].concat()).unwrap();
        assert!(matches!(read(&layout), Err(Error::Damaged(_))));
    }

    #[test]
    fn a_file_that_never_had_a_checksum_is_read() {
        let (_scratch, layout) = empty("own-sum-none");
        let (name, path) = sealed(&layout);
        for (key, is_read) in [("rawtp:host", true), ("rawtp:xxh65", false)] {
            let metadata =
                [("rawtp:file", name.as_str()), (key, NO_SUM)].map(|(key, value)| (key.to_owned(), value.to_owned()));
            let settings = Settings { metadata: &metadata, ..Settings::default() };
            let (batch, mut bytes) = (batch("x"), Vec::new());
            let places: Vec<_> = (0..9).map(|row| (0, row)).collect();
            encode::write(&mut bytes, &batch.schema(), std::slice::from_ref(&batch), &places, &settings, |_| ())
                .unwrap();
            fs::write(&path, bytes).unwrap();
            assert_eq!(verify(&File::open(&path).unwrap()).unwrap(), None);
            match read(&layout) {
                Ok(found) => assert_eq!((found, is_read), (vec![batch], true)),
                Err(error) => assert_eq!(
                    (error.to_string(), is_read),
                    (format!("{name} is damaged: its checksum is missing"), false)
                ),
            }
        }
    }
}
