//! The fields of a tracepoint's events, and their places in a record.

use std::ffi::CStr;
use std::sync::Arc;

use crate::btf::parse::Types;
use crate::btf::split::SplitTypes;
use crate::btf::tracepoints::{Argument, find, list, with_tracepoint};
use crate::error::{Error, Result};
use crate::fields::{Key, ValueType};
use crate::nearest::suggestion;
use crate::raw_tracepoint::kind::Kind;
use crate::raw_tracepoint::resolve::{Access, Read, Resolver};
use crate::record::raw_record;

/// The keys that every event has, in their order. They mean what they mean in a tracer's events.
pub const HEAD: [Key; 7] = [Key::TsNs, Key::Cpu, Key::Seq, Key::Lost, Key::Pid, Key::Tid, Key::Comm];

/// The most fields: each has a bit in a record's `faults`.
pub const FIELDS_MAX: usize = 64;

/// The most bytes of a record. A chunk holds a few of them.
const RECORD_BYTES_MAX: usize = 16 << 10;

/// The bounds on the bytes of a text, with its NUL.
pub const TEXT_BYTES: std::ops::RangeInclusive<u32> = 8..=4096;

/// A field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its key in an event.
    pub key: String,
    /// What it is.
    pub kind: Kind,
    /// Where it is in a record.
    pub offset: usize,
    /// The number of its bytes in a record.
    pub bytes: usize,
    /// Whether a text may be cut off: there can be more of it than there is room for.
    pub is_open_ended: bool,
    pub(crate) access: Access,
}

/// The fields of one tracepoint's events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The name of the tracepoint.
    pub tracepoint: String,
    /// The fields, in the order in which they were asked for.
    pub fields: Vec<Field>,
    /// The size of a record.
    pub bytes: usize,
}

/// What a caller asks for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The name of the tracepoint.
    pub tracepoint: String,
    /// The paths of the fields; `None` for every argument that is a value by itself.
    pub fields: Option<Vec<String>>,
    /// Whether addresses in the kernel are values.
    pub pointers: bool,
    /// The most bytes of a text, with its NUL.
    pub text_bytes: u32,
}

/// The release of the running kernel.
fn kernel() -> String {
    // SAFETY: the structure is plain bytes, for which zeros are valid; uname fills it with C strings.
    let name = unsafe {
        let mut name: libc::utsname = std::mem::zeroed();
        libc::uname(&raw mut name);
        name
    };
    // SAFETY: uname(2) ends each of its texts with a NUL, and so do the zeros.
    unsafe { CStr::from_ptr(name.release.as_ptr()) }.to_string_lossy().into_owned()
}

impl Layout {
    /// Looks up the tracepoint and its fields in the running kernel's types.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for a name that the kernel does not have, and for fields that cannot be read;
    /// [`Error::UnsupportedKernel`] without BTF; [`Error::Memory`].
    pub fn new(wanted: &Wanted) -> Result<Arc<Self>> {
        let kernel = kernel();
        let found = with_tracepoint(&wanted.tracepoint, |types, arguments| {
            Self::resolved(types, arguments, wanted, &kernel).map(Arc::new)
        })?;
        found.ok_or_else(|| no_tracepoint(&wanted.tracepoint, &kernel))
    }

    /// Looks up the tracepoint and its fields in the types of any kernel. `None` when it has no such tracepoint, or when
    /// `btf` is no BTF. `kernel` is for messages.
    ///
    /// # Errors
    ///
    /// [`Error::Value`] for fields that cannot be read.
    pub fn of_btf(btf: &[u8], wanted: &Wanted, kernel: &str) -> Result<Option<Self>> {
        let Some(types) = Types::new(btf) else { return Ok(None) };
        let types = SplitTypes::new(&types, None);
        let arguments = find(&types, wanted.tracepoint.as_bytes());
        arguments.map(|arguments| Self::resolved(&types, &arguments, wanted, kernel)).transpose()
    }

    fn resolved(types: &SplitTypes<'_>, arguments: &[Argument], wanted: &Wanted, kernel: &str) -> Result<Self> {
        let (tracepoint, text_bytes) = (wanted.tracepoint.as_str(), wanted.text_bytes);
        let resolver = Resolver { types, tracepoint, arguments, kernel, pointers: wanted.pointers, text_bytes };
        Self::of(&resolver, wanted.fields.clone().unwrap_or_else(|| resolver.default_fields()))
    }

    /// Gives each field its place.
    pub(crate) fn of(resolver: &Resolver<'_, '_>, paths: Vec<String>) -> Result<Self> {
        let tracepoint = resolver.tracepoint.to_owned();
        if paths.len() > FIELDS_MAX {
            return Err(Error::Value(format!("{} fields are more than {FIELDS_MAX}", paths.len())));
        }
        let mut layout = Self { tracepoint, fields: Vec::new(), bytes: size_of::<raw_record>() };
        for path in paths {
            let (access, kind) = resolver.field(&path)?;
            let bytes = match access.read {
                Read::Argument => 8,
                Read::Memory { bytes, .. } => bytes as usize,
                Read::Text { .. } => resolver.text_bytes as usize,
            };
            let is_open_ended = matches!(access.read, Read::Text { .. });
            // An argument of the same name stands beside the key that every event has.
            let is_taken = HEAD.iter().any(|key| key.as_str() == path);
            let key = if is_taken { format!("arg_{path}") } else { path };
            if layout.fields.iter().any(|field| field.key == key) {
                return Err(Error::Value(format!("the field {key:?} is named twice")));
            }
            let offset = layout.bytes;
            layout.bytes = (offset + bytes).next_multiple_of(8);
            layout.fields.push(Field { key, kind, offset, bytes, is_open_ended, access });
        }
        if layout.bytes > RECORD_BYTES_MAX {
            return Err(Error::Value(format!(
                "the fields take {} bytes an event, more than {RECORD_BYTES_MAX}: ask for fewer, or for shorter texts",
                layout.bytes
            )));
        }
        Ok(layout)
    }

    /// The keys of an event, in their order, with the types of their values.
    pub fn keys(&self) -> impl Iterator<Item = (&str, ValueType)> {
        let head = HEAD.into_iter().map(|key| (key.as_str(), key.value_type()));
        head.chain(self.fields.iter().map(|field| (field.key.as_str(), field.kind.value_type())))
    }
}

impl Field {
    /// Whether its value may be `None`: there can be nothing to read at an address.
    #[must_use]
    pub fn or_none(&self) -> bool {
        self.access.read != Read::Argument
    }
}

fn no_tracepoint(name: &str, kernel: &str) -> Error {
    let all = list(|_| true).unwrap_or_default();
    let near = suggestion(name, all.iter().map(|it| it.name.as_str()));
    Error::Value(format!("Linux {kernel} has no raw tracepoint {name:?}{near}; rawtp.tracepoints() lists them"))
}
