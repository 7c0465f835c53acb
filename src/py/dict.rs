//! Makes dicts of [`Event`]s. Each is a copy of the last dict in its thread's slot, with the keys set that differ.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyString, PyTuple};
use rustc_hash::FxHashMap;

use crate::columns::args::texts as argument_texts;
use crate::event::Event;
use crate::event::changes::{Changes, Previous};
use crate::event::values::{Value, Values, texts};
use crate::fields::{Key, Scope};
use crate::lineage::chain::ancestors;
use crate::memory::{fallible, probe_step, reserve};
use crate::py::objects;
use crate::syscall::arguments::ArgumentValue;

/// The bound of the cache of words. Beyond it the cache is emptied.
const WORDS: usize = 4096;

/// Slots for threads' dicts, a power of two. The low bits of a thread's id choose its slot, so that neighbours never
/// share one. Threads that share a slot are copied from each other's dicts, which only costs more keys to set. All slots
/// take about 35 MB.
const TEMPLATE_SLOTS: usize = 16_384;

/// Makes `str`s as `os.fsdecode` does.
#[derive(Clone, Copy)]
pub(crate) struct Decoder {
    utf8: bool,
}

impl Decoder {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let encoding: String = py.import("sys")?.call_method0(intern!(py, "getfilesystemencoding"))?.extract()?;
        Ok(Self { utf8: encoding == "utf-8" })
    }

    pub(crate) fn text<'py>(self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        if self.utf8
            && let Ok(text) = str::from_utf8(bytes)
        {
            return objects::text(py, text);
        }
        // SAFETY: pointer and length are those of the slice; the result is a new reference or NULL with an exception set.
        unsafe {
            let text = pyo3::ffi::PyUnicode_DecodeFSDefaultAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed());
            Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
        }
    }

    /// A tuple of texts. Events can share it, and the garbage collector need not track their dicts: with a list in each
    /// dict it takes a third of the time.
    pub(crate) fn texts<'py, 'a>(
        self,
        py: Python<'py>,
        all: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> PyResult<Bound<'py, PyTuple>> {
        objects::tuple(py, all, |text| self.text(py, text))
    }

    /// An ancestor: its id, its name, and its arguments, which `argv` makes.
    pub(crate) fn ancestor<'py>(
        self,
        py: Python<'py>,
        pid: u32,
        comm: &[u8],
        argv: Option<Bound<'py, PyTuple>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let argv = argv.map_or_else(|| py.None().into_bound(py), Bound::into_any);
        objects::triple(py, objects::unsigned(py, pid.into())?.into_any(), self.text(py, comm)?.into_any(), argv)
    }
}

struct Template {
    last: Previous,
    dict: Py<PyDict>,
}

/// Sets the keys of a dict.
struct Setter {
    names: Vec<Py<PyString>>,
    objects: Objects,
}

/// Makes objects of values.
pub(crate) struct Objects {
    words: Words,
    decoder: Decoder,
}

/// A cache of `str`s.
#[derive(Default)]
struct Words(FxHashMap<Box<str>, Py<PyString>>);

impl Words {
    fn get<'py>(&mut self, py: Python<'py>, word: &str) -> PyResult<Bound<'py, PyString>> {
        if let Some(known) = self.0.get(word) {
            return Ok(known.bind(py).clone());
        }
        if self.0.len() >= WORDS {
            self.0.clear();
        }
        let made = objects::text(py, word)?;
        // A word stays, so that its memory must not come from the reserve.
        fallible(|| self.0.try_reserve(1))?;
        probe_step()?;
        self.0.insert(word.into(), made.clone().unbind());
        Ok(made)
    }
}

impl Setter {
    fn set(&mut self, dict: &Bound<'_, PyDict>, key: Key, value: Value<'_>) -> PyResult<()> {
        self.objects.set(dict, self.names[key as usize].bind(dict.py()), value)
    }
}

impl Objects {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        Ok(Self { words: Words::default(), decoder: Decoder::new(py)? })
    }

    /// Makes the object of an argument.
    fn argument<'py>(&mut self, py: Python<'py>, value: &ArgumentValue<'_>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match value {
            ArgumentValue::None => py.None().into_bound(py),
            ArgumentValue::Int(value) => objects::signed(py, *value)?.into_any(),
            ArgumentValue::Uint(value) => objects::unsigned(py, *value)?.into_any(),
            ArgumentValue::Seconds(value) => PyFloat::new(py, *value).into_any(),
            ArgumentValue::Text(value) => self.decoder.text(py, value)?.into_any(),
            ArgumentValue::Texts(value) => self.decoder.texts(py, argument_texts(value))?.into_any(),
            ArgumentValue::Bytes(value) => objects::bytes(py, value)?.into_any(),
            ArgumentValue::Word(value) => self.words.get(py, value)?.into_any(),
            ArgumentValue::Flags(names) => {
                let rest = Some(names.rest()).filter(|rest| *rest != 0).map(|rest| format!("{rest:#x}"));
                let mut all: Vec<&str> = names.iter().collect();
                all.extend(rest.as_deref());
                objects::tuple(py, all.into_iter(), |name| self.words.get(py, name))?.into_any()
            }
            ArgumentValue::Ints(ints) => {
                objects::tuple(py, ints.iter().collect::<Vec<_>>().into_iter(), |int| objects::signed(py, int.into()))?
                    .into_any()
            }
        })
    }

    /// Sets a key of a dict.
    #[inline]
    pub(crate) fn set(
        &mut self,
        dict: &Bound<'_, PyDict>,
        name: &Bound<'_, PyString>,
        value: Value<'_>,
    ) -> PyResult<()> {
        let py = dict.py();
        match value {
            Value::None => dict.set_item(name, py.None()),
            Value::I32(value) => dict.set_item(name, objects::signed(py, value.into())?),
            Value::I64(value) => dict.set_item(name, objects::signed(py, value)?),
            Value::U32(value) => dict.set_item(name, objects::signed(py, value.into())?),
            Value::U64(value) => dict.set_item(name, objects::unsigned(py, value)?),
            Value::Bool(value) => dict.set_item(name, value),
            Value::Keyword(value) => dict.set_item(name, self.words.get(py, value)?),
            Value::Bytes(value) => dict.set_item(name, self.decoder.text(py, value)?),
            Value::BytesList(value) => dict.set_item(name, self.decoder.texts(py, texts(value))?),
            Value::Ancestors(value) => {
                let decoder = self.decoder;
                let all = objects::tuple(py, ancestors(value), |one| {
                    let argv = one.argv.map(|argv| decoder.texts(py, texts(argv))).transpose()?;
                    decoder.ancestor(py, one.pid, one.comm, argv)
                })?;
                dict.set_item(name, all)
            }
            Value::Args(args) => {
                let made = objects::dict(py)?;
                args.each(|key, value| {
                    let value = self.argument(py, &value)?;
                    made.set_item(self.words.get(py, key)?, value)
                })?;
                dict.set_item(name, made)
            }
            Value::Blob(value) => dict.set_item(name, objects::bytes(py, value)?),
            Value::Ints(item, bytes) if item.is_signed() => {
                dict.set_item(name, objects::tuple(py, item.all(bytes), |int| objects::signed(py, int))?)
            }
            Value::Ints(item, bytes) => {
                let unsigned = |int: i64| objects::unsigned(py, int.cast_unsigned());
                dict.set_item(name, objects::tuple(py, item.all(bytes), unsigned)?)
            }
        }
    }
}

/// Makes the dicts of one tracer.
pub(crate) struct Dicts {
    setter: Setter,
    /// The slots; empty before the first event.
    templates: Vec<Option<Box<Template>>>,
    /// A dict of all wanted keys, in the order that `rawtp.Event` documents.
    nothing: Py<PyDict>,
}

impl Dicts {
    pub(crate) fn new(py: Python<'_>, values: &Values) -> PyResult<Self> {
        let names = Key::ALL.iter().map(|key| PyString::intern(py, key.as_str()).unbind()).collect();
        let mut setter = Setter { names, objects: Objects::new(py)? };
        let nothing = objects::dict(py)?;
        values.fields().keys().try_for_each(|key| setter.set(&nothing, key, Value::None))?;
        Ok(Self { setter, templates: Vec::new(), nothing: nothing.unbind() })
    }

    /// Makes the dict of an event.
    pub(crate) fn make<'py>(
        &mut self,
        py: Python<'py>,
        event: &Event<'_>,
        values: &mut Values,
    ) -> PyResult<Bound<'py, PyDict>> {
        if self.templates.is_empty() {
            reserve(&mut self.templates, TEMPLATE_SLOTS)?;
            self.templates.resize_with(TEMPLATE_SLOTS, || None);
        }
        let at = event.enter.record.tid as usize % TEMPLATE_SLOTS;
        // It is out of its slot while it changes: a failure must not leave half of two events there.
        let (template, changed) = if let Some(mut template) = self.templates[at].take() {
            let changed = template.last.update(event);
            (template, changed)
        } else {
            // A template stays, so that its memory must not come from the reserve.
            probe_step()?;
            let dict = self.nothing.bind(py).copy()?.unbind();
            (
                Box::new(Template { last: Previous::new(event, !values.keys(Scope::File).is_empty()), dict }),
                Changes::ALL,
            )
        };
        for scope in [Scope::Call, Scope::Thread, Scope::Exec, Scope::File] {
            if changed.contains(scope) {
                values.visit(scope, event, |key, value| self.setter.set(template.dict.bind(py), key, value))?;
            }
        }
        let dict = template.dict.bind(py).copy()?;
        self.templates[at] = Some(template);

        values.visit(Scope::Event, event, |key, value| match value {
            // The template has it.
            Value::None => Ok(()),
            value => self.setter.set(&dict, key, value),
        })?;
        Ok(dict)
    }
}
