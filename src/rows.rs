//! Columns back to the dicts that the same events would have been.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use pyo3::IntoPyObjectExt;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use crate::ancestry;
use crate::dict::Decoder;
use crate::fields::{Fields, Key, Kind};

/// The columns of one key.
struct Cells<'py, 'a> {
    name: Bound<'py, PyString>,
    kind: Kind,
    column: &'a ArrayRef,
    /// What the text does not say all of.
    bytes: Option<&'a ArrayRef>,
    /// A dictionary's texts.
    words: Vec<Bound<'py, PyString>>,
    decoder: Decoder,
}

fn number<'py, T: ArrowPrimitiveType<Native: IntoPyObjectExt<'py>>>(
    py: Python<'py>,
    column: &ArrayRef,
    row: usize,
) -> PyResult<Bound<'py, PyAny>> {
    column.as_primitive::<T>().value(row).into_bound_py_any(py)
}

impl<'py, 'a> Cells<'py, 'a> {
    fn new(
        py: Python<'py>,
        key: Key,
        columns: &mut impl Iterator<Item = &'a ArrayRef>,
        decoder: Decoder,
    ) -> PyResult<Option<Self>> {
        let kind = key.kind();
        let Some(column) = columns.next() else { return Ok(None) };
        let bytes = if matches!(kind, Kind::Name | Kind::Text | Kind::Texts) { columns.next() } else { None };
        let words = match kind {
            Kind::Word | Kind::Name => {
                let texts = column.as_dictionary::<Int32Type>().values().as_string::<i32>();
                let texts = texts.iter().map(Option::unwrap_or_default);
                let text = |text: &str| match kind {
                    Kind::Word => Ok(PyString::new(py, text)),
                    _ => decoder.text(py, text.as_bytes()),
                };
                texts.map(text).collect::<PyResult<_>>()?
            }
            _ => Vec::new(),
        };
        Ok(Some(Self { name: PyString::intern(py, key.as_str()), kind, column, bytes, words, decoder }))
    }

    fn value(&self, py: Python<'py>, row: usize) -> PyResult<Bound<'py, PyAny>> {
        let column = self.column;
        if column.is_null(row) {
            return Ok(py.None().into_bound(py));
        }
        let lossy = self.bytes.filter(|bytes| bytes.is_valid(row));
        match (self.kind, lossy) {
            (Kind::Time, _) => number::<TimestampNanosecondType>(py, column, row),
            (Kind::I32, _) => number::<Int32Type>(py, column, row),
            (Kind::I64, _) => number::<Int64Type>(py, column, row),
            (Kind::U32, _) => number::<UInt32Type>(py, column, row),
            (Kind::U64, _) => number::<UInt64Type>(py, column, row),
            (Kind::Bool, _) => column.as_boolean().value(row).into_bound_py_any(py),
            (Kind::Word, _) | (Kind::Name, None) => {
                let at = column.as_dictionary::<Int32Type>().key(row).unwrap_or_default();
                self.words[at].clone().into_bound_py_any(py)
            }
            (Kind::Text, None) => {
                let text = column.as_string::<i32>().value(row);
                self.decoder.text(py, text.as_bytes())?.into_bound_py_any(py)
            }
            (Kind::Name | Kind::Text, Some(bytes)) => {
                self.decoder.text(py, bytes.as_binary::<i32>().value(row))?.into_bound_py_any(py)
            }
            (Kind::Ancestors, _) => {
                let items = column.as_list::<i32>().value(row);
                let pairs = ancestry::cells(&items)
                    .map(|(pid, text, bytes)| Ok((pid, self.decoder.text(py, bytes.unwrap_or(text.as_bytes()))?)));
                PyTuple::new(py, pairs.collect::<PyResult<Vec<_>>>()?)?.into_bound_py_any(py)
            }
            (Kind::Texts, None) => {
                let items = column.as_list::<i32>().value(row);
                let texts = items.as_string::<i32>().iter().flatten().map(str::as_bytes);
                self.decoder.texts(py, texts)?.into_bound_py_any(py)
            }
            (Kind::Texts, Some(bytes)) => {
                let items = bytes.as_list::<i32>().value(row);
                self.decoder.texts(py, items.as_binary::<i32>().iter().flatten())?.into_bound_py_any(py)
            }
        }
    }
}

/// The dicts. `fields` are those that the columns were made of.
pub(crate) fn to_dicts<'py>(py: Python<'py>, batch: &RecordBatch, fields: Fields) -> PyResult<Bound<'py, PyList>> {
    let decoder = Decoder::new(py)?;
    let mut columns = batch.columns().iter();
    let cells: Vec<_> = fields
        .keys()
        .filter_map(|key| Cells::new(py, key, &mut columns, decoder).transpose())
        .collect::<PyResult<_>>()?;
    let dicts = PyList::empty(py);
    for row in 0..batch.num_rows() {
        let dict = PyDict::new(py);
        for cells in &cells {
            dict.set_item(&cells.name, cells.value(py, row)?)?;
        }
        dicts.append(dict)?;
    }
    Ok(dicts)
}
