//! An event of a raw tracepoint, and its values.

use crate::event::ints::IntItem;
use crate::event::values::Value;
use crate::fields::{Key, ValueType};
use crate::raw_tracepoint::kind::{Kind, Scalar};
use crate::raw_tracepoint::layout::{Field, HEAD, Layout};
use crate::record::raw_record;

/// An event.
#[derive(Debug, Clone, Copy)]
pub struct RawEvent<'a> {
    /// The fixed part of its record.
    record: &'a raw_record,
    /// The whole record.
    bytes: &'a [u8],
    /// The offset from the record's clock to Unix time.
    offset_ns: i64,
}

/// Returns the bytes before the first NUL.
#[must_use]
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

impl<'a> RawEvent<'a> {
    /// Creates the event of a record.
    #[must_use]
    pub fn new(record: &'a raw_record, bytes: &'a [u8], offset_ns: i64) -> Self {
        Self { record, bytes, offset_ns }
    }

    /// When it happened, in nanoseconds of Unix time.
    #[must_use]
    pub fn ts_ns(&self) -> i64 {
        self.record.ts_ns.cast_signed().wrapping_add(self.offset_ns)
    }

    fn bytes_of(&self, field: &Field) -> &'a [u8] {
        self.bytes.get(field.offset..field.offset + field.bytes).unwrap_or_default()
    }

    fn is_fault(&self, index: usize) -> bool {
        self.record.faults >> index & 1 != 0
    }

    /// Calls `see` with each value, in the order of [`Layout::keys`]. `text` is overwritten.
    ///
    /// # Errors
    ///
    /// Those of `see`.
    pub fn visit<E>(
        &self,
        layout: &Layout,
        text: &mut String,
        mut see: impl FnMut(Value<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        for key in HEAD {
            see(self.head(key))?;
        }
        layout.fields.iter().enumerate().try_for_each(|(index, field)| see(self.value(index, field, text)))
    }

    /// The value of a key that every event has.
    fn head(&self, key: Key) -> Value<'a> {
        let record = self.record;
        match key {
            Key::TsNs => Value::I64(self.ts_ns()),
            Key::Cpu => Value::U32(record.cpu),
            Key::Seq => Value::U64(record.seq),
            Key::Lost => Value::U32(record.lost),
            Key::Pid => Value::U32(record.pid),
            Key::Tid => Value::U32(record.tid),
            Key::Comm => Value::Bytes(until_nul(&record.comm)),
            _ => Value::None,
        }
    }

    /// The value of the field with that index.
    fn value<'b>(&self, index: usize, field: &'b Field, text: &'b mut String) -> Value<'b>
    where
        'a: 'b,
    {
        let bytes = self.bytes_of(field);
        if self.is_fault(index) || bytes.is_empty() {
            return Value::None;
        }
        match &field.kind {
            Kind::Int(scalar) => match field.kind.value_type() {
                ValueType::I32 => Value::I32(scalar.read(bytes) as i32),
                ValueType::I64 => Value::I64(scalar.read(bytes).cast_signed()),
                ValueType::U32 => Value::U32(scalar.read(bytes) as u32),
                _ => Value::U64(scalar.read(bytes)),
            },
            Kind::Pointer => Value::U64(Scalar::whole(8, false).read(bytes)),
            Kind::Bool(scalar) => Value::Bool(scalar.read(bytes) != 0),
            Kind::Enum(scalar, names) => {
                let value = scalar.read(bytes);
                Value::Keyword(names.get(value).unwrap_or_else(|| {
                    let number: i128 = if scalar.is_signed { value.cast_signed().into() } else { value.into() };
                    *text = number.to_string();
                    text
                }))
            }
            Kind::Text => Value::Bytes(until_nul(bytes)),
            Kind::Bytes => Value::Blob(bytes),
            Kind::Ints(item) => Value::Ints(IntItem::new(item.bytes, item.is_signed), bytes),
        }
    }

    /// Whether a field could not be read.
    #[must_use]
    pub fn has_fault(&self) -> bool {
        self.record.faults != 0
    }

    /// Whether a text fills all the room there is for it, so that it may be cut off.
    #[must_use]
    pub fn is_truncated(&self, layout: &Layout) -> bool {
        let fills = |(index, field): (usize, &Field)| {
            field.is_open_ended && !self.is_fault(index) && until_nul(self.bytes_of(field)).len() + 1 >= field.bytes
        };
        layout.fields.iter().enumerate().any(fills)
    }
}
