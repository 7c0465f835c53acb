//! The values of a column, numbered: equal ones have one number, as far as that saves anything.
#![allow(clippy::cast_sign_loss, reason = "Arrow's offsets are not negative, and its constructors check that")]

use std::collections::HashMap;
use std::hash::Hash;

use ahash::RandomState;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ByteArrayType, GenericBinaryType, GenericStringType, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, GenericByteArray, Int32Array};
use arrow_schema::{DataType, Field, TimeUnit};

use crate::error::{Error, Result};

/// The number of a row without a value.
pub(super) const NONE: u32 = u32::MAX;

/// The size of a dictionary beyond which values stand in the pages themselves.
const DICTIONARY_BYTES: usize = 1 << 20;

/// The values after which a column of which most values differ gets no dictionary.
const SAMPLE: usize = 2048;

/// The values that numbers stand for.
#[derive(Debug)]
pub(super) enum Table<'a> {
    Bools(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    Bytes(Vec<&'a [u8]>),
}

impl Table<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bools(values) => values.len(),
            Self::I32(values) => values.len(),
            Self::I64(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }
}

/// The numbers of a column's rows.
#[derive(Debug)]
pub(super) struct Numbered<'a> {
    pub(super) table: Table<'a>,
    pub(super) numbers: Vec<u32>,
    /// Whether the table is worth being written as a dictionary.
    pub(super) is_dictionary: bool,
}

/// The rows of a batch.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) batch: usize,
    pub(super) rows: Vec<u32>,
}

/// Gives numbers to values.
struct Numberer<T> {
    known: HashMap<T, u32, RandomState>,
    table: Vec<T>,
    last: u32,
    bytes: usize,
    given: usize,
    is_dictionary: bool,
}

impl<T: Copy + Eq + Hash> Numberer<T> {
    fn new() -> Self {
        Self { known: HashMap::default(), table: Vec::new(), last: NONE, bytes: 0, given: 0, is_dictionary: true }
    }

    #[inline]
    fn number(&mut self, value: T, bytes: usize) -> u32 {
        self.given += 1;
        if self.table.get(self.last as usize) == Some(&value) {
            return self.last;
        }
        let next = self.table.len() as u32;
        self.last = if self.is_dictionary { *self.known.entry(value).or_insert(next) } else { next };
        if self.last == next {
            self.table.push(value);
            self.bytes += bytes;
            let most_differ = self.table.len() >= SAMPLE && self.table.len() > self.given / 4 * 3;
            if self.is_dictionary && (most_differ || self.bytes > DICTIONARY_BYTES) {
                self.is_dictionary = false;
                self.known = HashMap::default();
            }
        }
        self.last
    }
}

fn of_type<'a, A: 'static>(columns: &[&'a ArrayRef], part: &Part) -> Result<&'a A> {
    let column = columns.get(part.batch).copied().and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| Error::Columns("batches of different types".into()))
}

/// Numbers numbers.
fn numbered<'a, P: arrow_array::ArrowPrimitiveType>(
    columns: &[&'a ArrayRef],
    parts: &[Part],
    made: impl FnOnce(Vec<P::Native>) -> Table<'a>,
) -> Result<Numbered<'a>>
where
    P::Native: Eq + Hash,
{
    let mut numberer = Numberer::new();
    let mut numbers = Vec::with_capacity(parts.iter().map(|part| part.rows.len()).sum());
    for part in parts {
        let column: &arrow_array::PrimitiveArray<P> = of_type(columns, part)?;
        let values = column.values();
        match column.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => numbers.extend(part.rows.iter().map(|row| numberer.number(values[*row as usize], 8))),
            Some(nulls) => numbers.extend(part.rows.iter().map(|row| {
                let row = *row as usize;
                if nulls.is_valid(row) { numberer.number(values[row], 8) } else { NONE }
            })),
        }
    }
    Ok(Numbered { table: made(numberer.table), numbers, is_dictionary: numberer.is_dictionary })
}

fn bytes_numbered<'a, B: ByteArrayType>(columns: &[&'a ArrayRef], parts: &[Part]) -> Result<Numbered<'a>>
where
    B::Native: AsRef<[u8]>,
{
    let mut numberer: Numberer<&'a [u8]> = Numberer::new();
    let mut numbers = Vec::with_capacity(parts.iter().map(|part| part.rows.len()).sum());
    for part in parts {
        let column: &'a GenericByteArray<B> = of_type(columns, part)?;
        let mut number = |row: usize| {
            let value: &'a [u8] = column.value(row).as_ref();
            numberer.number(value, value.len() + 4)
        };
        match column.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => numbers.extend(part.rows.iter().map(|row| number(*row as usize))),
            Some(nulls) => numbers.extend(part.rows.iter().map(|row| {
                let row = *row as usize;
                if nulls.is_valid(row) { number(row) } else { NONE }
            })),
        }
    }
    Ok(Numbered { table: Table::Bytes(numberer.table), numbers, is_dictionary: numberer.is_dictionary })
}

/// Numbers the values of a column that is not of lists.
pub(super) fn flat<'a>(field: &Field, columns: &[&'a ArrayRef], parts: &[Part]) -> Result<Numbered<'a>> {
    match field.data_type() {
        DataType::Int32 => numbered::<Int32Type>(columns, parts, Table::I32),
        DataType::Int64 => numbered::<Int64Type>(columns, parts, Table::I64),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            numbered::<TimestampMicrosecondType>(columns, parts, Table::I64)
        }
        DataType::Utf8 => bytes_numbered::<GenericStringType<i32>>(columns, parts),
        DataType::Binary => bytes_numbered::<GenericBinaryType<i32>>(columns, parts),
        DataType::Boolean => {
            let mut numbers = Vec::new();
            for part in parts {
                let column: &arrow_array::BooleanArray = of_type(columns, part)?;
                numbers.extend(part.rows.iter().map(|row| {
                    let row = *row as usize;
                    if column.is_valid(row) { u32::from(column.value(row)) } else { NONE }
                }));
            }
            // Both of them, of which the bounds are looked up among the rows.
            Ok(Numbered { table: Table::Bools(vec![false, true]), numbers, is_dictionary: false })
        }
        other => Err(Error::Columns(format!("no column of {other}"))),
    }
}

/// The lists of a column, numbered, and one row with each.
#[derive(Debug, Default)]
pub(super) struct Lists {
    pub(super) numbers: Vec<u32>,
    pub(super) rows: Vec<(usize, usize)>,
}

/// Appends bytes that equal rows of a range have in common, and no others.
fn key(column: &dyn Array, rows: std::ops::Range<usize>, out: &mut Vec<u8>) {
    let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
    match nulls.filter(|nulls| rows.clone().any(|row| nulls.is_null(row))) {
        None => out.push(0),
        Some(nulls) => {
            out.push(1);
            out.extend(rows.clone().map(|row| u8::from(nulls.is_valid(row))));
        }
    }
    let lengths = |offsets: &[i32], out: &mut Vec<u8>| {
        for row in rows.clone() {
            out.extend_from_slice(&(offsets[row + 1] - offsets[row]).to_le_bytes());
        }
        offsets[rows.start] as usize..offsets[rows.end] as usize
    };
    match column.data_type() {
        DataType::Int64 => {
            for value in &column.as_primitive::<Int64Type>().values()[rows] {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
        DataType::Utf8 => {
            let column = column.as_string::<i32>();
            let bytes = lengths(column.value_offsets(), out);
            out.extend_from_slice(&column.value_data()[bytes]);
        }
        DataType::Binary => {
            let column = column.as_binary::<i32>();
            let bytes = lengths(column.value_offsets(), out);
            out.extend_from_slice(&column.value_data()[bytes]);
        }
        DataType::List(_) => {
            let column = column.as_list::<i32>();
            let items = lengths(column.value_offsets(), out);
            key(column.values(), items, out);
        }
        DataType::Struct(_) => {
            for member in column.as_struct().columns() {
                key(member, rows.clone(), out);
            }
        }
        // The schema has no others in lists.
        other => debug_assert!(false, "{other}"),
    }
}

/// Numbers the lists of a column. `shared` has the rows whose lists other rows of a batch have.
pub(super) fn lists(columns: &[&ArrayRef], shared: &[Option<&Int32Array>], parts: &[Part]) -> Result<Lists> {
    let mut known: HashMap<Vec<u8>, u32, RandomState> = HashMap::default();
    let (mut made, mut bytes) = (Lists::default(), Vec::new());
    for part in parts {
        let wrong = || Error::Columns("a list of a row that is not there".into());
        let (column, shared) = columns.get(part.batch).zip(shared.get(part.batch)).ok_or_else(wrong)?;
        // Of the rows whose lists others have.
        let mut numbers = vec![NONE; if shared.is_some() { column.len() } else { 0 }];
        for row in part.rows.iter().map(|row| *row as usize) {
            let row = shared.filter(|rows| rows.is_valid(row)).map_or(Ok(row), |rows| usize::try_from(rows.value(row)));
            let row = row.map_err(|_| wrong())?;
            if row >= column.len() {
                return Err(wrong());
            }
            if let Some(number) = numbers.get(row).filter(|number| **number != NONE) {
                made.numbers.push(*number);
                continue;
            }
            bytes.clear();
            key(column, row..row + 1, &mut bytes);
            let number = if let Some(number) = known.get(bytes.as_slice()) {
                *number
            } else {
                let number = made.rows.len() as u32;
                known.insert(bytes.clone(), number);
                made.rows.push((part.batch, row));
                number
            };
            if let Some(of_row) = numbers.get_mut(row) {
                *of_row = number;
            }
            made.numbers.push(number);
        }
    }
    Ok(made)
}

/// The levels and values that one leaf has in each of some lists.
#[derive(Debug)]
pub(super) struct Leaf<'a> {
    pub(super) table: Table<'a>,
    pub(super) is_dictionary: bool,
    pub(super) definitions: Vec<u8>,
    pub(super) repetitions: Vec<u8>,
    pub(super) numbers: Vec<u32>,
    /// Where the levels and the numbers of a list end.
    pub(super) ends: Vec<(usize, usize)>,
}

/// The members of structs that lead to each leaf of a column.
pub(super) fn leaves(field: &Field) -> Vec<Vec<usize>> {
    match field.data_type() {
        DataType::List(item) => leaves(item),
        DataType::Struct(members) => {
            let below = |(at, member)| leaves(member).into_iter().map(move |rest| [vec![at], rest].concat());
            members.iter().map(std::convert::AsRef::as_ref).enumerate().flat_map(below).collect()
        }
        _ => vec![Vec::new()],
    }
}

/// A walk through lists.
struct Walk<'a> {
    texts: Numberer<&'a [u8]>,
    ints: Numberer<i64>,
    is_of_ints: bool,
    definitions: Vec<u8>,
    repetitions: Vec<u8>,
    numbers: Vec<u32>,
}

/// Where a walk is: how much is defined, the level of the next repetition, and how deep in lists it is.
#[derive(Clone, Copy)]
struct Level {
    definition: u8,
    repetition: u8,
    depth: u8,
}

impl<'a> Walk<'a> {
    fn levels(&mut self, level: Level) {
        self.definitions.push(level.definition);
        self.repetitions.push(level.repetition);
    }

    fn visit(&mut self, field: &Field, column: &'a dyn Array, row: usize, path: &[usize], mut level: Level) {
        if field.is_nullable() {
            if column.is_null(row) {
                return self.levels(level);
            }
            level.definition += 1;
        }
        match field.data_type() {
            DataType::List(item) => {
                let lists = column.as_list::<i32>();
                let offsets = lists.value_offsets();
                let items = offsets[row] as usize..offsets[row + 1] as usize;
                if items.is_empty() {
                    return self.levels(level);
                }
                let depth = level.depth + 1;
                for (at, row) in items.enumerate() {
                    let repetition = if at == 0 { level.repetition } else { depth };
                    let level = Level { definition: level.definition + 1, repetition, depth };
                    self.visit(item, lists.values(), row, path, level);
                }
            }
            DataType::Struct(members) => {
                if let Some((member, rest)) = path.split_first() {
                    self.visit(&members[*member], column.as_struct().column(*member), row, rest, level);
                }
            }
            DataType::Int64 => {
                self.is_of_ints = true;
                self.numbers.push(self.ints.number(column.as_primitive::<Int64Type>().value(row), 8));
                self.levels(level);
            }
            other => {
                let bytes: &'a [u8] = match other {
                    DataType::Utf8 => column.as_string::<i32>().value(row).as_bytes(),
                    _ => column.as_binary::<i32>().value(row),
                };
                self.numbers.push(self.texts.number(bytes, bytes.len() + 4));
                self.levels(level);
            }
        }
    }
}

/// Visits one leaf of the numbered lists.
pub(super) fn leaf<'a>(field: &Field, columns: &[&'a ArrayRef], lists: &Lists, path: &[usize]) -> Leaf<'a> {
    let mut walk = Walk {
        texts: Numberer::new(),
        ints: Numberer::new(),
        is_of_ints: false,
        definitions: Vec::new(),
        repetitions: Vec::new(),
        numbers: Vec::new(),
    };
    let mut ends = Vec::with_capacity(lists.rows.len());
    for (batch, row) in &lists.rows {
        walk.visit(field, columns[*batch], *row, path, Level { definition: 0, repetition: 0, depth: 0 });
        ends.push((walk.definitions.len(), walk.numbers.len()));
    }
    let (table, is_dictionary) = if walk.is_of_ints {
        (Table::I64(walk.ints.table), walk.ints.is_dictionary)
    } else {
        (Table::Bytes(walk.texts.table), walk.texts.is_dictionary)
    };
    let (definitions, repetitions, numbers) = (walk.definitions, walk.repetitions, walk.numbers);
    Leaf { table, is_dictionary, definitions, repetitions, numbers, ends }
}
