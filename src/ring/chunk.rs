//! A chunk: a run of raw records on its way from the ring to a reader.

use crate::memory::aligned::AlignedBytes;

/// The size of a chunk: a few hundred records, which stay in the reader's CPU cache while it decodes them.
pub const CHUNK_BYTES: usize = 64 << 10;

/// A run of records, copied as they lay in the ring.
#[derive(Debug, Default)]
pub struct Chunk {
    /// Headers and records, at most [`CHUNK_BYTES`].
    pub bytes: AlignedBytes,
    /// The number of events among the records.
    pub events: u32,
    /// The number of reports, which the drain thread looks at.
    pub reports: u32,
    /// The offset from the records' clock to Unix time.
    pub offset_ns: i64,
}
