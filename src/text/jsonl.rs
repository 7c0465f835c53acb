//! JSON lines: `python/rawtp/formats/jsonl.py` says what is in one.

use crate::event::Event;
use crate::event::values::Value;
use crate::fields::Key;
use crate::memory::reserve;
use crate::text::clock::Clock;
use crate::text::json::{add_digits, add_value, quote, quote_base64};
use crate::text::number::add_u64;
use crate::text::{Refusable, add};

/// Appends what precedes the keys of an event.
pub(super) fn begin(text: &mut Vec<u8>, event: &Event<'_>, clock: Option<&mut Clock>) -> Refusable {
    add(text, b"{\"type\":\"event\"")?;
    let Some(clock) = clock else { return Ok(()) };
    add(text, b",\"time\":\"")?;
    clock.add_iso(text, event.ts_ns())?;
    add(text, b"\"")
}

/// Appends what follows the keys.
pub(super) fn end(text: &mut Vec<u8>) -> Refusable {
    add(text, b"}\n")
}

/// Appends the line of a loss just before an event.
pub(super) fn lost(text: &mut Vec<u8>, count: u32, event: &Event<'_>) -> Refusable {
    add(text, b"{\"type\":\"lost\",\"count\":")?;
    add_u64(text, count.into())?;
    add(text, b",\"cpu\":")?;
    add_u64(text, event.enter.record.cpu.into())?;
    add(text, b",\"via\":\"")?;
    add(text, event.via().as_bytes())?;
    add(text, b"\",\"seq\":")?;
    add_u64(text, event.enter.record.seq)?;
    add(text, b"}\n")
}

/// Appends a key and its value. A second key has what the value's JSON does not tell: the exact bytes, or all digits.
#[inline]
pub(super) fn cell(text: &mut Vec<u8>, key: Key, value: Value<'_>) -> Refusable {
    add_key(text, key, "")?;
    let inexact = add_value(text, value, quote)?;
    if inexact.bytes {
        add_key(text, key, "_bytes")?;
        add_value(text, value, quote_base64)?;
    }
    if inexact.digits {
        add_key(text, key, "_str")?;
        add_digits(text, value)?;
    }
    Ok(())
}

#[inline]
fn add_key(text: &mut Vec<u8>, key: Key, suffix: &str) -> Refusable {
    let name = key.as_str();
    reserve(text, name.len() + suffix.len() + 4)?;
    text.extend_from_slice(b",\"");
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(suffix.as_bytes());
    text.extend_from_slice(b"\":");
    Ok(())
}
