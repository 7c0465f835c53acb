//! Events as lines of text, without an object of Python's for each.
//!
//! The lines are those of `python/rawtp/formats/`, byte for byte.
//!
//! * `base64`: bytes in base64
//! * `clock`: moments as text
//! * `csv`: a field and its value in CSV
//! * `json`: values as JSON
//! * `jsonl`: a key and its value in a JSON line
//! * `lines`: the lines of events
//! * `number`: numbers as text

mod base64;
pub mod clock;
mod csv;
mod json;
mod jsonl;
pub mod lines;
mod number;

use crate::memory::OutOfMemory;

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// Appends bytes.
#[inline]
fn add(text: &mut Vec<u8>, bytes: &[u8]) -> Refusable {
    crate::memory::reserve(text, bytes.len())?;
    text.extend_from_slice(bytes);
    Ok(())
}
