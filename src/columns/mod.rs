//! Events to Arrow's columns.
//!
//! * `ancestors`: the column of ancestors
//! * `bits`: bits: truths, and which rows have a value
//! * `builder`: events to a batch
//! * `column`: one column as it grows
//! * `raw_bytes`: the bytes of names that are not text

pub(crate) mod ancestors;
mod bits;
pub mod builder;
mod column;
mod raw_bytes;
