//! A line of the journal: one JSON object that ends in its checksum.

use std::fmt::Write as _;

use crate::history::files::checksum;
use crate::history::json::{Json, parse, quote};

/// What stands before the 16 digits of the checksum, and behind them.
const BEFORE_SUM: &str = ",\"xxh64\":\"";
const AFTER_SUM: &str = "\"}";
const SUM_BYTES: usize = BEFORE_SUM.len() + 16 + AFTER_SUM.len();

/// A line as it is made.
#[derive(Debug, Clone)]
pub(crate) struct Line(String);

impl Line {
    pub(crate) fn new(kind: &str) -> Self {
        Self(format!("{{\"type\":{}", quote(kind)))
    }

    /// Adds a value that is JSON already.
    pub(crate) fn raw(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        // Writing to a string cannot fail.
        let _ = write!(self.0, ",{}:{value}", quote(key));
        self
    }

    pub(crate) fn int(self, key: &str, value: impl Into<Option<i64>>) -> Self {
        match value.into() {
            Some(value) => self.raw(key, value),
            None => self.raw(key, "null"),
        }
    }

    pub(crate) fn text<'a>(self, key: &str, value: impl Into<Option<&'a str>>) -> Self {
        match value.into() {
            Some(value) => self.raw(key, quote(value)),
            None => self.raw(key, "null"),
        }
    }

    /// The line with its checksum and the newline.
    pub(crate) fn finish(self) -> String {
        let sum = checksum(self.0.as_bytes());
        format!("{}{BEFORE_SUM}{sum:016x}{AFTER_SUM}\n", self.0)
    }
}

/// Reads a line, without its newline. `None` when it is not whole.
pub(crate) fn read_line(line: &[u8]) -> Option<Json> {
    let (content, end) = line.split_at_checked(line.len().checked_sub(SUM_BYTES)?)?;
    let sum = end.strip_prefix(BEFORE_SUM.as_bytes())?.strip_suffix(AFTER_SUM.as_bytes())?;
    if format!("{:016x}", checksum(content)).as_bytes() != sum {
        return None;
    }
    parse(str::from_utf8(line).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flipped_bit_goes_unseen() {
        let line = Line::new("sealed").text("file", "x").int("session", 5).finish();
        let line = line.trim_end().as_bytes();
        for at in 0..line.len() * 8 {
            let mut flipped = line.to_vec();
            flipped[at / 8] ^= 1 << (at % 8);
            assert_eq!(read_line(&flipped), None, "{at}");
        }
    }
}
