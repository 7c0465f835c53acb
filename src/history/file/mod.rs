//! The Parquet of sealed files: Arrow's columns to column chunks, and back.
//!
//! The crate `parquet` writes and reads footers, indexes, Bloom filters and page headers, and decodes pages. Its Arrow
//! writer and reader would add 1.4 MB to the wheel, and its writer hashes and compares each value of each row. Here a
//! value is hashed once in the order in which events came, where most columns repeat the value before, and only its
//! number goes through the sorting.
//!
//! * `bounds`: the least and the greatest value of a chunk or a page
//! * `chunk`: pages to a column chunk
//! * `decode`: column chunks to Arrow's columns
//! * `encode`: Arrow's columns to pages
//! * `hybrid`: levels and indexes as runs and bit-packed groups
//! * `rows`: ranges of rows
//! * `types`: Parquet's types of the columns
//! * `values`: the values of a column, numbered

mod bounds;
mod chunk;
pub(crate) mod decode;
pub(crate) mod encode;
mod hybrid;
pub(crate) mod rows;
#[cfg(test)]
mod tests;
pub(crate) mod types;
mod values;
