//! Converts events to Arrow columns.
//!
//! The builders are our own because those of arrow-array 60.1 grow private vectors and a hash table infallibly, so that the
//! process would abort under `RLIMIT_AS`.
//!
//! * `ancestors`: the column of ancestors
//! * `args`: a column of the arguments of calls
//! * `args_bytes`: the bytes of arguments that a text does not show
//! * `blobs`: a column of bytes that are no text
//! * `bits`: bitmaps for booleans and validity
//! * `builder`: builds a record batch from events
//! * `call_table`: the arguments of one call, a column each
//! * `column`: one column as it grows
//! * `dictionary`: a column of few different texts
//! * `int_list`: a column of lists of integers
//! * `list`: a column of lists of texts
//! * `raw_bytes`: the bytes of names that are not text
//! * `schema`: the columns of each key
//! * `text`: a column of texts

pub(crate) mod ancestors;
pub(crate) mod args;
pub(crate) mod args_bytes;
mod bits;
mod blobs;
pub mod builder;
pub mod call_table;
pub(crate) mod column;
mod dictionary;
mod int_list;
mod list;
pub(crate) mod raw_bytes;
pub mod schema;
pub(crate) mod text;
