//! Values as ASCII JSON, without spaces, as Python's json.dumps writes them.

use crate::columns::args::texts as argument_texts;
use crate::event::args::Args;
use crate::event::values::{Value, texts};
use crate::lineage::chain::{Ancestor, ancestors};
use crate::memory::reserve;
use crate::syscall::arguments::ArgumentValue;
use crate::text::base64::add_base64;
use crate::text::number::{MAX_SAFE, add_f64, add_i64, add_u64};
use crate::text::{Refusable, add};

pub(super) const HEX: &[u8; 16] = b"0123456789abcdef";

/// The most characters that a byte of a text takes, as `\u001f` does. The characters beyond take fewer for each byte.
const WIDEST: usize = 6;

/// What a value's JSON does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Inexact {
    /// Some text has bytes that are not UTF-8.
    pub(super) bytes: bool,
    /// Some integer is beyond [`MAX_SAFE`].
    pub(super) digits: bool,
}

impl Inexact {
    fn also(&mut self, other: Self) {
        self.bytes |= other.bytes;
        self.digits |= other.digits;
    }
}

/// Writes a text. Returns whether it has bytes that are not UTF-8.
type Put = fn(&mut Vec<u8>, &[u8]) -> Refusable<bool>;

/// Appends a character as one or two UTF-16 code units.
fn add_units(text: &mut Vec<u8>, char: char) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        let digit = |shift: u16| HEX[usize::from(*unit >> shift & 15)];
        text.extend_from_slice(&[b'\\', b'u', digit(12), digit(8), digit(4), digit(0)]);
    }
}

fn add_char(text: &mut Vec<u8>, char: char) {
    match char {
        '"' => text.extend_from_slice(b"\\\""),
        '\\' => text.extend_from_slice(b"\\\\"),
        '\n' => text.extend_from_slice(b"\\n"),
        '\r' => text.extend_from_slice(b"\\r"),
        '\t' => text.extend_from_slice(b"\\t"),
        '\x08' => text.extend_from_slice(b"\\b"),
        '\x0c' => text.extend_from_slice(b"\\f"),
        ' '..='~' => text.push(char as u8),
        _ => add_units(text, char),
    }
}

/// Whether the bytes are in JSON as they are. It looks at all of them, so that the compiler can take many at a time.
#[inline]
#[expect(clippy::needless_bitwise_bool, reason = "a lazy operator would be a jump for each byte")]
fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |plain, byte| plain & (b' '..=b'~').contains(byte) & (*byte != b'"') & (*byte != b'\\'))
}

/// Appends a text. Bytes that are not UTF-8 become `\xNN`. Returns whether there were any.
#[inline]
pub(super) fn quote(text: &mut Vec<u8>, bytes: &[u8]) -> Refusable<bool> {
    if is_plain(bytes) {
        reserve(text, bytes.len() + 2)?;
        text.push(b'"');
        text.extend_from_slice(bytes);
        text.push(b'"');
        return Ok(false);
    }
    escape(text, bytes)
}

#[cold]
fn escape(text: &mut Vec<u8>, bytes: &[u8]) -> Refusable<bool> {
    reserve(text, WIDEST * bytes.len() + 2)?;
    let mut has_other_bytes = false;
    text.push(b'"');
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|char| add_char(text, char));
        for byte in chunk.invalid() {
            has_other_bytes = true;
            text.extend_from_slice(b"\\\\x");
            text.extend([byte >> 4, byte & 15].map(|digit| HEX[usize::from(digit)]));
        }
    }
    text.push(b'"');
    Ok(has_other_bytes)
}

/// Appends the bytes of a text in base64.
pub(super) fn quote_base64(text: &mut Vec<u8>, bytes: &[u8]) -> Refusable<bool> {
    add(text, b"\"")?;
    add_base64(text, bytes)?;
    add(text, b"\"")?;
    Ok(false)
}

/// Appends a value, with each of its texts by `put`.
#[inline]
pub(super) fn add_value(text: &mut Vec<u8>, value: Value<'_>, put: Put) -> Refusable<Inexact> {
    let exact = Inexact::default();
    match value {
        Value::None => add(text, b"null").map(|()| exact),
        Value::I32(value) => add_i64(text, value.into()).map(|()| exact),
        Value::U32(value) => add_u64(text, value.into()).map(|()| exact),
        Value::I64(value) => add_signed(text, value),
        Value::U64(value) => add_unsigned(text, value),
        Value::Bool(value) => add(text, if value { b"true" } else { b"false" }).map(|()| exact),
        Value::Keyword(value) => put_text(text, value.as_bytes(), put),
        Value::Bytes(value) | Value::Blob(value) => put_text(text, value, put),
        Value::BytesList(value) => add_list(text, texts(value), |text, one| put_text(text, one, put)),
        Value::Ancestors(value) => add_list(text, ancestors(value), |text, one| add_ancestor(text, one, put)),
        Value::Args(args) => add_args(text, args, put),
        Value::Ints(item, bytes) if item.is_signed() => add_list(text, item.all(bytes), add_signed),
        Value::Ints(item, bytes) => {
            add_list(text, item.all(bytes), |text, value| add_unsigned(text, value.cast_unsigned()))
        }
    }
}

#[inline]
fn put_text(text: &mut Vec<u8>, bytes: &[u8], put: Put) -> Refusable<Inexact> {
    Ok(Inexact { bytes: put(text, bytes)?, digits: false })
}

#[inline]
fn add_signed(text: &mut Vec<u8>, value: i64) -> Refusable<Inexact> {
    add_i64(text, value)?;
    Ok(Inexact { bytes: false, digits: value.unsigned_abs() > MAX_SAFE })
}

#[inline]
fn add_unsigned(text: &mut Vec<u8>, value: u64) -> Refusable<Inexact> {
    add_u64(text, value)?;
    Ok(Inexact { bytes: false, digits: value > MAX_SAFE })
}

fn add_list<T>(
    text: &mut Vec<u8>,
    items: impl Iterator<Item = T>,
    mut put: impl FnMut(&mut Vec<u8>, T) -> Refusable<Inexact>,
) -> Refusable<Inexact> {
    let mut inexact = Inexact::default();
    add(text, b"[")?;
    for (at, item) in items.enumerate() {
        if at > 0 {
            add(text, b",")?;
        }
        inexact.also(put(text, item)?);
    }
    add(text, b"]")?;
    Ok(inexact)
}

fn add_ancestor(text: &mut Vec<u8>, ancestor: Ancestor<'_>, put: Put) -> Refusable<Inexact> {
    add(text, b"[")?;
    add_u64(text, ancestor.pid.into())?;
    add(text, b",")?;
    let mut inexact = put_text(text, ancestor.comm, put)?;
    add(text, b",")?;
    match ancestor.argv {
        None => add(text, b"null")?,
        Some(argv) => inexact.also(add_list(text, texts(argv), |text, one| put_text(text, one, put))?),
    }
    add(text, b"]")?;
    Ok(inexact)
}

/// Appends a name of ours, which needs no escapes, as a key.
fn add_name(text: &mut Vec<u8>, mark: &mut u8, name: &str) -> Refusable {
    reserve(text, name.len() + 4)?;
    text.extend_from_slice(&[std::mem::replace(mark, b','), b'"']);
    text.extend_from_slice(name.as_bytes());
    text.extend_from_slice(b"\":");
    Ok(())
}

fn end_object(text: &mut Vec<u8>, mark: u8) -> Refusable {
    add(text, if mark == b'{' { b"{}" } else { b"}" })
}

fn add_args(text: &mut Vec<u8>, args: Args<'_>, put: Put) -> Refusable<Inexact> {
    let (mut inexact, mut mark) = (Inexact::default(), b'{');
    args.each(|name, value| {
        add_name(text, &mut mark, name)?;
        inexact.also(add_argument(text, &value, put)?);
        Ok(())
    })?;
    end_object(text, mark)?;
    Ok(inexact)
}

fn add_argument(text: &mut Vec<u8>, value: &ArgumentValue<'_>, put: Put) -> Refusable<Inexact> {
    match value {
        ArgumentValue::None => add(text, b"null").map(|()| Inexact::default()),
        ArgumentValue::Int(value) => add_signed(text, *value),
        ArgumentValue::Uint(value) => add_unsigned(text, *value),
        ArgumentValue::Seconds(value) => add_f64(text, *value).map(|()| Inexact::default()),
        ArgumentValue::Text(value) => put_text(text, value, put),
        ArgumentValue::Bytes(value) => put_text(text, value, put),
        ArgumentValue::Word(value) => put_text(text, value.as_bytes(), put),
        ArgumentValue::Texts(value) => add_list(text, argument_texts(value), |text, one| put_text(text, one, put)),
        ArgumentValue::Flags(names) => {
            let rest = Some(names.rest()).filter(|rest| *rest != 0).map(|rest| format!("{rest:#x}"));
            let mut all: Vec<&str> = names.iter().collect();
            all.extend(rest.as_deref());
            add_list(text, all.into_iter(), |text, name| put_text(text, name.as_bytes(), put))
        }
        ArgumentValue::Ints(ints) => add_list(text, ints.iter(), |text, int| add_signed(text, int.into())),
    }
}

/// Appends the digits of a value's integers beyond [`MAX_SAFE`] as text.
pub(super) fn add_digits(text: &mut Vec<u8>, value: Value<'_>) -> Refusable {
    if let Value::Args(args) = value {
        return add_digits_of_args(text, args);
    }
    add(text, b"\"")?;
    match value {
        Value::I64(value) => add_i64(text, value)?,
        Value::U64(value) => add_u64(text, value)?,
        _ => {}
    }
    add(text, b"\"")
}

fn add_digits_of_args(text: &mut Vec<u8>, args: Args<'_>) -> Refusable {
    let mut mark = b'{';
    args.each(|name, value| {
        let (is_negative, digits) = match value {
            ArgumentValue::Int(value) => (value < 0, value.unsigned_abs()),
            ArgumentValue::Uint(value) => (false, value),
            _ => return Ok(()),
        };
        if digits <= MAX_SAFE {
            return Ok(());
        }
        add_name(text, &mut mark, name)?;
        add(text, if is_negative { b"\"-" } else { b"\"" })?;
        add_u64(text, digits)?;
        add(text, b"\"")
    })?;
    end_object(text, mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: Value<'_>, put: Put) -> (String, Inexact) {
        let mut text = Vec::new();
        let inexact = add_value(&mut text, value, put).unwrap();
        (String::from_utf8(text).unwrap(), inexact)
    }

    #[test]
    fn texts_are_ascii() {
        let exact = |bytes: &[u8], expected: &str| {
            assert_eq!(shown(Value::Bytes(bytes), quote), (expected.into(), Inexact::default()));
        };
        exact(b"/tmp/x y~", "\"/tmp/x y~\"");
        exact(b"", "\"\"");
        exact(b"\"\\/\x08\x0c\n\r\t\0\x1f\x7f", r#""\"\\/\b\f\n\r\t\u0000\u001f\u007f""#);
        exact("é\u{2028}\u{10000}\u{10ffff}".as_bytes(), r#""\u00e9\u2028\ud800\udc00\udbff\udfff""#);
    }

    #[test]
    fn bytes_that_are_no_text_are_told() {
        let inexact = Inexact { bytes: true, digits: false };
        let hostile = b"caf\xe9\\xe9\xf0\x9f\x98\xed\xa0\x80";
        let expected = r#""caf\\xe9\\xe9\\xf0\\x9f\\x98\\xed\\xa0\\x80""#;
        assert_eq!(shown(Value::Bytes(hostile), quote), (expected.into(), inexact));
        let base64 = (r#""Y2Fm6Vx4ZTnwn5jtoIA=""#.into(), Inexact::default());
        assert_eq!(shown(Value::Bytes(hostile), quote_base64), base64);
        let list = Value::BytesList(b"rm\0\xff\0\0");
        assert_eq!(shown(list, quote), (r#"["rm","\\xff",""]"#.into(), inexact));
        assert_eq!(shown(list, quote_base64).0, r#"["cm0=","/w==",""]"#);
    }

    #[test]
    fn integers_that_a_double_cannot_hold_are_told() {
        let is_told = |value| shown(value, quote).1.digits;
        let most = MAX_SAFE.cast_signed();
        assert!(!is_told(Value::U64(MAX_SAFE)) && is_told(Value::U64(MAX_SAFE + 1)) && is_told(Value::U64(u64::MAX)));
        assert!(!is_told(Value::I64(most)) && is_told(Value::I64(most + 1)));
        assert!(!is_told(Value::I64(-most)) && is_told(Value::I64(-most - 1)) && is_told(Value::I64(i64::MIN)));
        let digits = |value| {
            let mut text = Vec::new();
            add_digits(&mut text, value).unwrap();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(digits(Value::I64(i64::MIN)), "\"-9223372036854775808\"");
        assert_eq!(digits(Value::U64(u64::MAX)), "\"18446744073709551615\"");
    }

    #[test]
    fn other_values() {
        let of = |value| shown(value, quote).0;
        assert_eq!(of(Value::None), "null");
        assert_eq!(of(Value::Bool(true)) + &of(Value::Bool(false)), "truefalse");
        assert_eq!(of(Value::I32(-100)), "-100");
        assert_eq!(of(Value::Ancestors(b"")), "[]");
    }
}
