//! The arguments of one call, a column each, made of a batch's JSON texts.
//!
//! The columns of a call are the same whatever its rows have. A call that different tables of numbers give different
//! arguments has those of all of them. A structure's parts, as `how.flags`, are members of one column.

mod cells;
mod json;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, Field};

use crate::columns::args_bytes::ArgsBytes;
use crate::columns::bits::Validity;
use crate::columns::call_table::cells::{CellType, Cells};
use crate::columns::raw_bytes::Zeros;
use crate::error::{Error, Result};
use crate::syscall::Abi;
use crate::syscall::arguments::arguments_of;

/// An argument: its name, of which the part before a dot is that of a structure, and the type of its column.
type Argument = (&'static str, CellType);

/// The names of the arguments of a call that the table of arguments does not have.
const UNNAMED: [&str; 6] = ["a1", "a2", "a3", "a4", "a5", "a6"];

/// Returns the arguments of a call, in the order of its native table. Where tables disagree about a type it is text.
#[must_use]
pub fn arguments(call: &str) -> Vec<Argument> {
    let mut all: Vec<Argument> = Vec::new();
    let tables = if cfg!(target_arch = "x86_64") {
        &[Abi::NATIVE, Abi::X32, Abi::COMPAT][..]
    } else {
        &[Abi::NATIVE, Abi::COMPAT]
    };
    for abi in tables.iter().filter(|abi| abi.number(call).is_some()) {
        let of_table: Vec<Argument> = match arguments_of(call, *abi) {
            Some(known) => known.iter().map(|argument| (argument.name, CellType::of(argument.kind))).collect(),
            None => UNNAMED.into_iter().map(|name| (name, CellType::Uint)).collect(),
        };
        for (name, kind) in of_table {
            match all.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) if *known != kind => *known = CellType::Word,
                Some(_) => {}
                None => all.push((name, kind)),
            }
        }
    }
    all
}

/// Makes the columns of the call's arguments out of a batch whose rows are all of that call. `texts` and `bytes` are
/// its columns `args` and `args_bytes`.
///
/// # Errors
///
/// [`Error::Memory`]; [`Error::Columns`] for columns of another type.
pub fn columns(call: &str, texts: &dyn Array, bytes: &dyn Array) -> Result<Vec<(Field, ArrayRef)>> {
    let wrong = || Error::Columns("these are no columns of arguments".into());
    let rows = texts.len();
    let (texts, bytes) = (texts.as_string_opt::<i32>().ok_or_else(wrong)?, ArgsBytes::of(bytes).ok_or_else(wrong)?);
    let arguments = arguments(call);
    let mut cells = arguments.iter().map(|(_, kind)| Cells::new(*kind, rows)).collect::<Result<Vec<_>>>()?;
    for row in 0..rows {
        if texts.is_valid(row) {
            let members = json::members(texts.value(row)).ok_or_else(wrong)?;
            for (name, value) in members {
                let known = arguments.iter().position(|(known, _)| *known == name);
                let unshown = bytes.row(row).find(|unshown| unshown.name == name).map(|unshown| unshown.bytes);
                if let Some(cells) = known.and_then(|at| cells.get_mut(at)) {
                    cells.push(row, value, unshown)?;
                }
            }
        }
        for cells in &mut cells {
            cells.end_to(row + 1);
        }
    }
    let all_null = Zeros::default().finish(rows)?;
    let mut made: Vec<(Field, ArrayRef)> = Vec::new();
    let mut arguments = arguments.into_iter().zip(cells).peekable();
    while let Some(((name, _), cells)) = arguments.next() {
        let Some((structure, member)) = name.split_once('.') else {
            made.extend(cells.finish(name, rows, &all_null)?);
            continue;
        };
        let mut members = cells.finish(member, rows, &all_null)?;
        let is_next = |(name, _): &(Argument, Cells)| name.0.split_once('.').is_some_and(|(of, _)| of == structure);
        while let Some(((name, _), cells)) = arguments.next_if(is_next) {
            members.extend(cells.finish(&name[structure.len() + 1..], rows, &all_null)?);
        }
        made.push(structured(structure, members, rows)?);
    }
    Ok(made)
}

/// Makes one column of a structure's parts. A row of which no part is known is null.
fn structured(name: &str, members: Vec<(Field, ArrayRef)>, rows: usize) -> Result<(Field, ArrayRef)> {
    let mut validity = Validity::default();
    validity.reserve_to(rows)?;
    for row in 0..rows {
        if members.iter().any(|(_, member)| member.is_valid(row)) {
            validity.append_valid(1);
        } else {
            validity.append_nulls(1);
        }
    }
    let (fields, members): (Vec<Field>, Vec<ArrayRef>) = members.into_iter().unzip();
    let made = StructArray::try_new(fields.into(), members, validity.finish())?;
    let kind: &DataType = made.data_type();
    Ok((Field::new(name, kind.clone(), true), Arc::new(made)))
}

#[cfg(test)]
mod tests;
