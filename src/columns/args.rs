//! A column of the arguments of calls as it grows: JSON objects.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_buffer::NullBuffer;

use crate::columns::args_bytes::ArgsBytesBuilder;
use crate::columns::text::{TextBuilder, escape, text_of};
use crate::error::Result;
use crate::event::args::Args;
use crate::memory::{OutOfMemory, reserve, reserve_text};
use crate::syscall::arguments::ArgumentValue;

/// The result of an operation for which memory may be missing.
type Refusable<T = ()> = std::result::Result<T, OutOfMemory>;

/// The most characters that a byte of a value takes: of a control character, `\u001f`; of one that is not UTF-8, `\\xff`.
const WIDEST: usize = 6;

/// The most characters that a number or a word takes, with what is around it.
const SHORT: usize = 64;

/// JSON texts, stored one after the other.
#[derive(Debug)]
pub(crate) struct ArgsBuilder {
    pub(crate) texts: TextBuilder,
    /// A value that is being escaped.
    escaped: String,
    /// What the texts do not show.
    bytes: ArgsBytesBuilder,
}

impl ArgsBuilder {
    pub(crate) fn new() -> Self {
        Self { texts: TextBuilder::new(), escaped: String::new(), bytes: ArgsBytesBuilder::default() }
    }

    /// Adds a row. Returns its bytes.
    pub(crate) fn push(&mut self, args: Args<'_>) -> Refusable<usize> {
        let row = self.texts.offsets.len() - 1;
        let start = self.texts.text.len();
        match self.try_push(row, args) {
            Ok(more) => {
                self.texts.end();
                Ok(self.texts.text.len() - start + more)
            }
            Err(refused) => {
                self.texts.text.truncate(start);
                self.bytes.truncate(row);
                Err(refused)
            }
        }
    }

    /// Returns the bytes that it takes besides the text.
    fn try_push(&mut self, row: usize, args: Args<'_>) -> Refusable<usize> {
        let Self { texts: TextBuilder { offsets, text }, escaped, bytes: unshown } = self;
        let mut more = 0;
        reserve(offsets, 1)?;
        object(text, escaped, args, |name, value| {
            let (bytes, is_text): (&[u8], _) = match value {
                ArgumentValue::Text(text) if text_of(text).is_none() => (text, true),
                ArgumentValue::Texts(texts) if text_of(texts).is_none() => (texts, true),
                ArgumentValue::Bytes(bytes) => (bytes, false),
                _ => return Ok(()),
            };
            more += bytes.len();
            unshown.push(row, name, bytes, is_text)
        })?;
        Ok(more)
    }

    /// Removes all rows after the first `rows`.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.texts.truncate(rows);
        self.bytes.truncate(rows);
    }

    /// Makes the arrays of the texts, and of what they do not show.
    pub(crate) fn finish(self, rows: usize, nulls: Option<NullBuffer>) -> Result<[ArrayRef; 2]> {
        Ok([Arc::new(self.texts.finish(nulls)), self.bytes.finish(rows)?])
    }
}

fn object(
    text: &mut String,
    escaped: &mut String,
    args: Args<'_>,
    mut keep: impl FnMut(&'static str, &ArgumentValue<'_>) -> Refusable,
) -> Refusable {
    reserve_text(text, 2)?;
    let mut mark = '{';
    args.each(|name, value| {
        keep(name, &value)?;
        reserve_text(text, name.len() + SHORT)?;
        text.push(mark);
        mark = ',';
        quote(text, name);
        text.push(':');
        put(text, escaped, &value)
    })?;
    if mark == '{' {
        text.push(mark);
    }
    reserve_text(text, 1)?;
    text.push('}');
    Ok(())
}

/// Writes a value. There is room for a short one.
fn put(text: &mut String, escaped: &mut String, value: &ArgumentValue<'_>) -> Refusable {
    match value {
        ArgumentValue::None => text.push_str("null"),
        ArgumentValue::Int(value) => number(text, value),
        ArgumentValue::Uint(value) => number(text, value),
        ArgumentValue::Seconds(value) => number(text, value),
        ArgumentValue::Text(value) => quote_bytes(text, escaped, value)?,
        ArgumentValue::Bytes(value) => quote_bytes(text, escaped, value)?,
        ArgumentValue::Word(value) => quote(text, value),
        ArgumentValue::Texts(value) => {
            list(text, texts(value), |text, one| quote_bytes(text, escaped, one))?;
        }
        ArgumentValue::Flags(names) => {
            let rest = Some(names.rest()).filter(|rest| *rest != 0);
            list(text, names.iter().map(Ok).chain(rest.map(Err)), |text, name| {
                match name {
                    Ok(name) => quote(text, name),
                    Err(rest) => number(text, format_args!("\"{rest:#x}\"")),
                }
                Ok(())
            })?;
        }
        ArgumentValue::Ints(ints) => list(text, ints.iter(), |text, int| {
            number(text, int);
            Ok(())
        })?,
    }
    Ok(())
}

/// Returns the single texts of [`ArgumentValue::Texts`].
pub(crate) fn texts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let whole = Some(bytes.strip_suffix(&[0]).unwrap_or(bytes)).filter(|_| !bytes.is_empty());
    whole.into_iter().flat_map(|bytes| bytes.split(|byte| *byte == 0))
}

fn list<T>(
    text: &mut String,
    items: impl Iterator<Item = T>,
    mut put: impl FnMut(&mut String, T) -> Refusable,
) -> Refusable {
    text.push('[');
    for (at, item) in items.enumerate() {
        reserve_text(text, SHORT)?;
        if at > 0 {
            text.push(',');
        }
        put(text, item)?;
    }
    reserve_text(text, SHORT)?;
    text.push(']');
    Ok(())
}

fn number(text: &mut String, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(text, "{value}");
}

/// Writes a name of the table's.
fn quote(text: &mut String, name: &str) {
    text.push('"');
    text.push_str(name);
    text.push('"');
}

fn quote_bytes(text: &mut String, escaped: &mut String, bytes: &[u8]) -> Refusable {
    reserve_text(text, WIDEST * bytes.len() + SHORT)?;
    escaped.clear();
    reserve_text(escaped, 4 * bytes.len())?;
    escape(bytes, escaped);
    text.push('"');
    for char in escaped.chars() {
        match char {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            char if char < ' ' || char == '\x7f' => number(text, format_args!("\\u{:04x}", u32::from(char))),
            char => text.push(char),
        }
    }
    text.push('"');
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::record::segments::Segments;
    use crate::record::testing::add_segment;
    use crate::record::{Enter, Exit, enter_record, exit_record};
    use crate::skel::types::segment_kind;
    use crate::syscall::Abi;

    fn json(name: &str, registers: [u64; 6], pointed: &[(u32, &[u8])], ret: i64) -> String {
        let record = enter_record { nr: Abi::NATIVE.number(name).unwrap(), ..Default::default() };
        let mut segments = Vec::new();
        let words: Vec<u8> = registers.iter().flat_map(|word| word.to_ne_bytes()).collect();
        add_segment(&mut segments, segment_kind::SEGMENT_ARGUMENTS.0, 0, &words);
        for (register, bytes) in pointed {
            add_segment(&mut segments, segment_kind::SEGMENT_ARGUMENT_1.0 + register, 0, bytes);
        }
        let enter = Enter { record: &record, segments: Segments::read(&segments).unwrap() };
        let exit = exit_record { ret, ..Default::default() };
        let exit = Exit::new(&exit);
        let event = Event { enter: &enter, exit: Some(&exit), offset_ns: 0, exec: None, lost_before: 0, truth: None };
        let mut column = ArgsBuilder::new();
        column.push(Args::of(&event).unwrap()).unwrap();
        column.texts.text
    }

    #[test]
    fn arguments_are_json() {
        assert_eq!(json("getppid", [7; 6], &[], 1), "{}");
        assert_eq!(json("close", [3, 9, 9, 9, 9, 9], &[], 0), r#"{"fd":3}"#);
        let flags = json("unlinkat", [(-100_i64).cast_unsigned(), 0, 0x200, 0, 0, 0], &[], 0);
        assert_eq!(flags, r#"{"dirfd":-100,"pathname":null,"flags":["AT_REMOVEDIR"]}"#);
        let address = [2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let connect = json("connect", [3, 1, 16, 0, 0, 0], &[(1, &address)], 0);
        assert_eq!(connect, r#"{"sockfd":3,"addr":"127.0.0.1:80","addrlen":16}"#);
    }

    #[test]
    fn hostile_bytes_are_escaped() {
        let exec = json("execve", [1, 2, 3, 0, 0, 0], &[(1, b"a\x1b\"\\\n\0\xff\xe2\x82\0")], -2);
        assert_eq!(exec, r#"{"pathname":null,"argv":["a\u001b\"\\\u000a","\\xff\\xe2\\x82"],"envp":3}"#);
    }

    #[test]
    fn texts_of_nothing() {
        assert_eq!(texts(b"").count(), 0);
        assert_eq!(texts(b"\0").collect::<Vec<_>>(), [b""]);
        assert_eq!(texts(b"a\0b").collect::<Vec<_>>(), [b"a", b"b"]);
    }
}
