//! Converts events to Arrow columns.
//!
//! The builders are our own because those of arrow-array 60.1 grow private vectors and a hash table infallibly, so that the
//! process would abort under `RLIMIT_AS`.
//!
//! * `ancestors`: the column of ancestors
//! * `bits`: bitmaps for booleans and validity
//! * `builder`: builds a record batch from events
//! * `column`: one column as it grows
//! * `dictionary`: a column of few different texts
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
pub(crate) mod text;
