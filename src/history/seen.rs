//! What a batch has, in numbers.

/// The latest events that were read, and the heartbeats among them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) events: u64,
    pub(crate) first_ns: Option<i64>,
    pub(crate) last_ns: Option<i64>,
    pub(crate) heartbeats: u64,
    pub(crate) last_heartbeat_ns: Option<i64>,
}
