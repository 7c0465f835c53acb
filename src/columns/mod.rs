//! Events to Arrow's columns.
//!
//! * `ancestors`: the column of ancestors
//! * `bits`: bits: truths, and which rows have a value
//! * `builder`: events to a batch
//! * `column`: one column as it grows
//! * `dictionary`: a column of few texts
//! * `list`: a column of lists of texts
//! * `raw_bytes`: the bytes of names that are not text
//! * `schema`: the columns of each key
//! * `text`: a column of texts

pub(crate) mod ancestors;
mod bits;
pub mod builder;
mod column;
mod dictionary;
mod list;
mod raw_bytes;
pub mod schema;
mod text;
