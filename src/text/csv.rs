//! CSV: `python/rawtp/formats/csv.py` says what is in a record.

use crate::event::Event;
use crate::event::values::Value;
use crate::fields::Key;
use crate::memory::reserve;
use crate::text::clock::Clock;
use crate::text::json::{HEX, add_value, quote, quote_base64};
use crate::text::{Refusable, add};

/// The most characters that a byte of a text takes, as `\xff` does. The characters beyond take fewer for each byte.
const WIDEST: usize = 4;

/// Appends what precedes the fields of an event.
pub(super) fn begin(text: &mut Vec<u8>, event: &Event<'_>, clock: Option<&mut Clock>) -> Refusable {
    let Some(clock) = clock else { return Ok(()) };
    clock.add_iso(text, event.ts_ns())?;
    add(text, b",")
}

/// Appends the last field, an object of what comes exactly there, and the end of the record.
pub(super) fn end(text: &mut Vec<u8>, exact: &[u8]) -> Refusable {
    if !exact.is_empty() {
        reserve(text, 2 * exact.len() + 4)?;
        text.extend_from_slice(b"\"{");
        push_doubled(text, exact);
        text.extend_from_slice(b"}\"");
    }
    add(text, b"\r\n")
}

/// Appends the field of a value, and to `exact` its exact bytes, where the field does not tell them.
#[inline]
pub(super) fn cell(
    text: &mut Vec<u8>,
    exact: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    key: Key,
    value: Value<'_>,
) -> Refusable {
    let is_exact = match value {
        Value::None => true,
        Value::Keyword(value) => field(text, scratch, value.as_bytes())?,
        Value::Bytes(value) | Value::Blob(value) => field(text, scratch, value)?,
        Value::BytesList(_) | Value::Ancestors(_) | Value::Args(_) | Value::Ints(..) => {
            scratch.clear();
            let inexact = add_value(scratch, value, quote)?;
            add_field(text, scratch)?;
            !inexact.bytes
        }
        Value::I32(_) | Value::I64(_) | Value::U32(_) | Value::U64(_) | Value::Bool(_) => {
            add_value(text, value, quote)?;
            true
        }
    };
    if !is_exact {
        quote(exact, key.as_str().as_bytes())?;
        add(exact, b":")?;
        add_value(exact, value, quote_base64)?;
    }
    add(text, b",")
}

/// Whether a field needs neither escapes nor quotes.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator would be a jump for each byte")]
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & (b'!'..=b'~').contains(byte) & (*byte != b'"') & (*byte != b','))
}

/// Appends a text as a field. Returns whether the field is exact.
#[inline]
fn field(text: &mut Vec<u8>, scratch: &mut Vec<u8>, bytes: &[u8]) -> Refusable<bool> {
    if is_plain(bytes) && !bytes.is_empty() {
        add(text, bytes)?;
        return Ok(true);
    }
    scratch.clear();
    let is_exact = add_visible(scratch, bytes)?;
    add_field(text, scratch)?;
    Ok(is_exact)
}

/// Appends a text without bytes that are not UTF-8, and without control characters but tabs and newlines. Returns whether
/// that is the text.
fn add_visible(text: &mut Vec<u8>, bytes: &[u8]) -> Refusable<bool> {
    reserve(text, WIDEST * bytes.len())?;
    let mut is_exact = true;
    let push_byte = |text: &mut Vec<u8>, byte: u8| {
        text.extend_from_slice(b"\\x");
        text.extend([byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]));
    };
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\t' | '\n' | '\r' => text.push(char as u8),
                '\0'..' ' | '\x7f' => {
                    is_exact = false;
                    push_byte(text, char as u8);
                }
                '\u{80}'..'\u{a0}' => {
                    is_exact = false;
                    // Two bytes in UTF-8, which there is room for eight of.
                    text.extend_from_slice(b"\\u00");
                    text.extend([char as u32 >> 4, char as u32 & 15].map(|digit| HEX[digit as usize]));
                }
                char => text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            is_exact = false;
            push_byte(text, *byte);
        }
    }
    Ok(is_exact)
}

/// Appends a field, in quotes where it needs them.
fn add_field(text: &mut Vec<u8>, field: &[u8]) -> Refusable {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let needs_quotes = field.is_empty()
        || is_blank(field.first())
        || is_blank(field.last())
        || field.iter().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n'));
    if !needs_quotes {
        return add(text, field);
    }
    reserve(text, 2 * field.len() + 2)?;
    text.push(b'"');
    push_doubled(text, field);
    text.push(b'"');
    Ok(())
}

/// Appends bytes for which there is room, each quote twice.
fn push_doubled(text: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        text.push(*byte);
        if *byte == b'"' {
            text.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Value<'_>) -> (String, String) {
        let [mut text, mut exact, mut scratch] = [const { Vec::new() }; 3];
        cell(&mut text, &mut exact, &mut scratch, Key::Path, value).unwrap();
        (String::from_utf8(text).unwrap(), String::from_utf8(exact).unwrap())
    }

    #[test]
    fn texts_in_quotes_where_they_need_them() {
        let exact = |bytes: &[u8], expected: &str| {
            assert_eq!(shown(Value::Bytes(bytes)), (expected.to_owned() + ",", String::new()));
        };
        exact(b"/tmp/x", "/tmp/x");
        exact(b"a b", "a b");
        exact(b"", "\"\"");
        for (bytes, expected) in [(" a", "\" a\""), ("a\t", "\"a\t\""), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\"")] {
            exact(bytes.as_bytes(), expected);
        }
        exact("Grüße\u{2028}\\".as_bytes(), "Grüße\u{2028}\\");
        exact(b"a\r\nb", "\"a\r\nb\"");
    }

    #[test]
    fn what_is_changed_comes_exactly_as_well() {
        let told = |bytes: &[u8], expected: &str, base64: &str| {
            let exact = format!("\"path\":\"{base64}\"");
            assert_eq!(shown(Value::Bytes(bytes)), (expected.to_owned() + ",", exact));
        };
        told(b"caf\xe9", "caf\\xe9", "Y2Fm6Q==");
        told(b"\x1b[31m\x7f", "\\x1b[31m\\x7f", "G1szMW1/");
        told("\u{9b}".as_bytes(), "\\u009b", "wps=");
        told(b"\xff,", "\"\\xff,\"", "/yw=");
        let list = shown(Value::BytesList(b"rm\0\xff\0"));
        let expected = ("\"[\"\"rm\"\",\"\"\\\\xff\"\"]\",".into(), "\"path\":[\"cm0=\",\"/w==\"]".into());
        assert_eq!(list, expected);
    }

    #[test]
    fn other_values() {
        let of = |value| shown(value).0;
        assert_eq!(of(Value::None), ",");
        assert_eq!(of(Value::Bool(true)), "true,");
        assert_eq!(of(Value::I64(i64::MIN)), "-9223372036854775808,");
        assert_eq!(of(Value::Ancestors(b"")), "[],");
    }

    #[test]
    fn the_end_of_a_record() {
        let of = |exact: &[u8]| {
            let mut text = Vec::new();
            end(&mut text, exact).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(of(b""), "\r\n");
        assert_eq!(of(b"\"path\":\"/w==\""), "\"{\"\"path\"\":\"\"/w==\"\"}\"\r\n");
    }
}
