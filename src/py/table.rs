//! `rawtp.Batch.table`: the rows of one call, with its arguments as columns.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use arrow_select::interleave::interleave;
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::columns::call_table::columns;
use crate::columns::schema::fields;
use crate::config::check_syscalls;
use crate::error::{Error, Result};
use crate::fields::{Fields, Key};
use crate::memory::{check, probe, with_capacity};
use crate::nearest::suggestion;
use crate::py::errors::check_memory;
use crate::py::objects;
use crate::py::to_dicts::to_dicts;

/// The most calls that a message lists.
const LISTED: usize = 12;

/// The rows of one call, as they are in the batch.
#[derive(Debug, Clone)]
pub(crate) struct CallRows {
    fields: Fields,
    rows: RecordBatch,
}

/// The name of an argument beside a key of the event that has its name, as a raw tracepoint's fields have it.
fn beside(name: &str) -> String {
    format!("arg_{name}")
}

/// Checks that the tracer watches the call, and that the batch has what a table is made of.
pub(crate) fn check_call(call: &str, fields: Fields, watched: &[&'static str]) -> PyResult<()> {
    check_syscalls(&[call.to_owned()])?;
    if !watched.contains(&call) {
        let few = watched[..watched.len().min(LISTED)].join(", ");
        let more = if watched.len() > LISTED { format!(" and {} more", watched.len() - LISTED) } else { String::new() };
        let suggested = suggestion(call, watched.iter().copied());
        return Err(PyValueError::new_err(format!("{call:?} is not watched, only {few}{more}{suggested}")));
    }
    let missing: Vec<_> = [Key::Syscall, Key::Args].into_iter().filter(|key| !fields.contains(*key)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = missing.iter().map(|key| format!("{:?}", key.as_str())).collect();
    Err(PyValueError::new_err(format!(
        "a table needs the fields \"syscall\" and \"args\", and this batch is without {}",
        names.join(" and ")
    )))
}

/// Makes the table of a call out of a batch that has the columns of these fields.
pub(crate) fn table(batch: &RecordBatch, fields: Fields, call: &str) -> Result<(RecordBatch, CallRows)> {
    let rows = rows_of(batch, call)?;
    let column = |name: &str| {
        rows.column_by_name(name).ok_or_else(|| Error::Columns(format!("a batch of arguments without {name}")))
    };
    let arguments = columns(call, column("args")?, column("args_bytes")?)?;
    let mut made: Vec<(Field, ArrayRef)> = Vec::new();
    let mut taken = rows.columns().iter();
    for key in fields.keys() {
        let of_key = self::fields(key).zip(taken.by_ref());
        made.extend(of_key.filter(|_| key != Key::Args).map(|(field, column)| (field, Arc::clone(column))));
    }
    for (field, column) in arguments {
        let is_taken = made.iter().any(|(known, _)| known.name() == field.name());
        let name = if is_taken { beside(field.name()) } else { field.name().clone() };
        made.push((field.with_name(name), column));
    }
    let (columns_of, arrays): (Vec<Field>, Vec<ArrayRef>) = made.into_iter().unzip();
    let table = RecordBatch::try_new(Arc::new(Schema::new(columns_of)), arrays)?;
    Ok((table, CallRows { fields, rows }))
}

/// Copies the rows of a call.
fn rows_of(batch: &RecordBatch, call: &str) -> Result<RecordBatch> {
    let calls = batch.column_by_name("syscall").and_then(|column| column.as_dictionary_opt::<Int32Type>());
    let calls = calls.ok_or_else(|| Error::Columns("a batch of calls without syscall".into()))?;
    let names = calls.values().as_string::<i32>();
    let wanted = names.iter().position(|name| name == Some(call));
    let wanted = wanted.and_then(|at| i32::try_from(at).ok());
    let mut places = with_capacity(batch.num_rows())?;
    places.extend((0..batch.num_rows()).filter(|row| calls.is_valid(*row) && Some(calls.keys().value(*row)) == wanted));
    if places.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    // The copy cannot tell that there is no memory for it.
    probe(batch.get_array_memory_size())?;
    let places: Vec<_> = places.into_iter().map(|row| (0, row)).collect();
    let copied = batch.columns().iter().map(|column| interleave(&[column.as_ref()], &places));
    let copied = copied.collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(batch.schema(), copied)?)
}

impl CallRows {
    /// Some of the rows.
    pub(crate) fn slice(&self, first: usize, count: usize) -> Self {
        Self { rows: self.rows.slice(first, count), fields: self.fields }
    }

    /// Makes the rows' dicts: the event's keys, and then the arguments, as `args` has them.
    pub(crate) fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        check_memory()?;
        let keys = self.fields.keys().map(|key| (key.as_str(), key.value_type()));
        let made = objects::list(py)?;
        for event in to_dicts(py, &self.rows, keys)? {
            check()?;
            let event = event.cast_into::<PyDict>()?;
            let args = event.get_item(intern!(py, "args"))?;
            event.del_item(intern!(py, "args"))?;
            let args = args.and_then(|args| args.cast_into::<PyDict>().ok());
            for (name, value) in args.into_iter().flatten() {
                if event.contains(&name)? {
                    event.set_item(beside(&name.cast::<PyString>()?.to_cow()?), value)?;
                } else {
                    event.set_item(name, value)?;
                }
            }
            made.append(event)?;
        }
        Ok(made)
    }
}
