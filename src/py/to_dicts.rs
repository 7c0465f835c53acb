//! Turns columns back into the dicts of the same events.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use pyo3::IntoPyObjectExt;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString, PyTuple};

use crate::columns::ancestors;
use crate::columns::args::texts as argument_texts;
use crate::columns::args_bytes::ArgsBytes;
use crate::fields::ValueType;
use crate::memory::{check, with_capacity};
use crate::py::dict::Decoder;
use crate::py::errors::check_memory;
use crate::py::objects;

/// The columns of one key.
struct Cells<'py, 'a> {
    name: Bound<'py, PyString>,
    kind: ValueType,
    column: &'a ArrayRef,
    /// The bytes of names that are not text.
    bytes: Option<&'a ArrayRef>,
    /// The texts of a dictionary column.
    words: Vec<Bound<'py, PyString>>,
    decoder: Decoder,
}

fn number<'py, T: ArrowPrimitiveType<Native: Into<N>>, N>(
    py: Python<'py>,
    column: &ArrayRef,
    row: usize,
    make: impl FnOnce(Python<'py>, N) -> PyResult<Bound<'py, PyInt>>,
) -> PyResult<Bound<'py, PyAny>> {
    make(py, column.as_primitive::<T>().value(row).into()).map(Bound::into_any)
}

impl<'py, 'a> Cells<'py, 'a> {
    fn new(
        py: Python<'py>,
        (name, kind): (&str, ValueType),
        columns: &mut impl Iterator<Item = &'a ArrayRef>,
        decoder: Decoder,
    ) -> PyResult<Option<Self>> {
        let Some(column) = columns.next() else { return Ok(None) };
        let has_bytes = [ValueType::DictBytes, ValueType::Bytes, ValueType::BytesList, ValueType::Args];
        let bytes = if has_bytes.contains(&kind) { columns.next() } else { None };
        let words = match kind {
            ValueType::Keyword | ValueType::DictBytes => {
                let texts = column.as_dictionary::<Int32Type>().values().as_string::<i32>();
                let texts = texts.iter().map(Option::unwrap_or_default);
                let mut words = with_capacity(texts.len())?;
                let text = |text: &str| match kind {
                    ValueType::Keyword => objects::text(py, text),
                    _ => decoder.text(py, text.as_bytes()),
                };
                for word in texts {
                    words.push(text(word)?);
                }
                words
            }
            _ => Vec::new(),
        };
        Ok(Some(Self { name: PyString::intern(py, name), kind, column, bytes, words, decoder }))
    }

    /// Sets the arguments that their JSON text does not show.
    fn set_bytes(&self, args: &Bound<'py, PyAny>, column: &ArrayRef, row: usize) -> PyResult<()> {
        let (Ok(args), Some(unshown)) = (args.cast::<PyDict>(), ArgsBytes::of(column)) else { return Ok(()) };
        let py = args.py();
        for one in unshown.row(row) {
            let is_list = args.get_item(one.name)?.is_some_and(|value| value.is_instance_of::<PyTuple>());
            let value = match one.is_text {
                true if is_list => self.decoder.texts(py, argument_texts(one.bytes))?.into_any(),
                true => self.decoder.text(py, one.bytes)?.into_any(),
                false => objects::bytes(py, one.bytes)?.into_any(),
            };
            args.set_item(one.name, value)?;
        }
        Ok(())
    }

    fn value(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        let column = self.column;
        if column.is_null(row) {
            return Ok(py.None().into_bound(py));
        }
        let lossy = self.bytes.filter(|bytes| bytes.is_valid(row));
        match (self.kind, lossy) {
            (ValueType::Time, _) => number::<TimestampNanosecondType, _>(py, column, row, objects::signed),
            (ValueType::I32, _) => number::<Int32Type, _>(py, column, row, objects::signed),
            (ValueType::I64, _) => number::<Int64Type, _>(py, column, row, objects::signed),
            (ValueType::U32, _) => number::<UInt32Type, _>(py, column, row, objects::unsigned),
            (ValueType::U64, _) => number::<UInt64Type, _>(py, column, row, objects::unsigned),
            (ValueType::Bool, _) => column.as_boolean().value(row).into_bound_py_any(py),
            (ValueType::Keyword, _) | (ValueType::DictBytes, None) => {
                let at = column.as_dictionary::<Int32Type>().key(row).unwrap_or_default();
                self.words[at].clone().into_bound_py_any(py)
            }
            (ValueType::Bytes, None) => {
                let text = column.as_string::<i32>().value(row);
                self.decoder.text(py, text.as_bytes())?.into_bound_py_any(py)
            }
            (ValueType::DictBytes | ValueType::Bytes, Some(bytes)) => {
                self.decoder.text(py, bytes.as_binary::<i32>().value(row))?.into_bound_py_any(py)
            }
            (ValueType::Ancestors, _) => {
                let items = column.as_list::<i32>().value(row);
                let all = objects::tuple(py, ancestors::cells(&items), |cell| {
                    let argv = match (&cell.argv, &cell.argv_bytes) {
                        (None, _) => None,
                        (Some(_), Some(bytes)) => {
                            Some(self.decoder.texts(py, bytes.as_binary::<i32>().iter().flatten())?)
                        }
                        (Some(texts), None) => {
                            let texts = texts.as_string::<i32>().iter().flatten().map(str::as_bytes);
                            Some(self.decoder.texts(py, texts)?)
                        }
                    };
                    self.decoder.ancestor(py, cell.pid, cell.comm_bytes.unwrap_or(cell.comm.as_bytes()), argv)
                })?;
                all.into_bound_py_any(py)
            }
            (ValueType::Args, None) => json(py, column, row),
            (ValueType::Args, Some(bytes)) => {
                let made = json(py, column, row)?;
                self.set_bytes(&made, bytes, row)?;
                Ok(made)
            }
            (ValueType::Blob | ValueType::I64List | ValueType::U64List, _) => plain_value(py, column, row),
            (ValueType::BytesList, None) => {
                let items = column.as_list::<i32>().value(row);
                let texts = items.as_string::<i32>().iter().flatten().map(str::as_bytes);
                self.decoder.texts(py, texts)?.into_bound_py_any(py)
            }
            (ValueType::BytesList, Some(bytes)) => {
                let items = bytes.as_list::<i32>().value(row);
                self.decoder.texts(py, items.as_binary::<i32>().iter().flatten())?.into_bound_py_any(py)
            }
        }
    }
}

/// The value of a column of JSON texts.
pub(crate) fn json<'py>(py: Python<'py>, column: &ArrayRef, row: usize) -> PyResult<Bound<'py, PyAny>> {
    let text = objects::text(py, column.as_string::<i32>().value(row))?;
    let made = py.import(intern!(py, "json"))?.call_method1(intern!(py, "loads"), (text,))?;
    // As in the event itself.
    if let Ok(args) = made.cast::<PyDict>() {
        for (name, value) in args {
            if let Ok(list) = value.cast::<PyList>() {
                args.set_item(name, list.to_tuple())?;
            }
        }
    }
    Ok(made)
}

/// The value of a column of bytes that are no text, or of numbers.
pub(crate) fn plain_value<'py>(py: Python<'py>, column: &ArrayRef, row: usize) -> PyResult<Bound<'py, PyAny>> {
    if let Some(blobs) = column.as_binary_opt::<i32>() {
        return Ok(objects::bytes(py, blobs.value(row))?.into_any());
    }
    let items = column.as_list::<i32>().value(row);
    let numbers = if let Some(items) = items.as_primitive_opt::<Int64Type>() {
        objects::tuple(py, items.values().iter(), |item| objects::signed(py, *item))?
    } else {
        objects::tuple(py, items.as_primitive::<UInt64Type>().values().iter(), |item| objects::unsigned(py, *item))?
    };
    Ok(numbers.into_any())
}

/// Makes the dicts of a batch, whose columns were made of these keys.
pub(crate) fn to_dicts<'py, 'a>(
    py: Python<'py>,
    batch: &RecordBatch,
    keys: impl Iterator<Item = (&'a str, ValueType)>,
) -> PyResult<Bound<'py, PyList>> {
    check_memory()?;
    let decoder = Decoder::new(py)?;
    let mut columns = batch.columns().iter();
    let cells: Vec<_> =
        keys.filter_map(|key| Cells::new(py, key, &mut columns, decoder).transpose()).collect::<PyResult<_>>()?;
    let dicts = objects::list(py)?;
    for row in 0..batch.num_rows() {
        check()?;
        let dict = objects::dict(py)?;
        for cells in &cells {
            dict.set_item(&cells.name, cells.value(py, row)?)?;
        }
        dicts.append(dict)?;
    }
    Ok(dicts)
}
