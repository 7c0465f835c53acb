//! What was written comes back.

use std::fs::File;
use std::io::Cursor;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, Int64Builder, ListBuilder, StringBuilder, StructBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::interleave::interleave_record_batch;
use parquet::bloom_filter::Sbbf;
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::decode::Decoder;
use super::encode::{Settings, write};
use crate::history::files::testing::Scratch;
use crate::history::schema::full;

const COLUMNS: [&str; 12] = [
    "session",
    "ts",
    "ts_ns",
    "argv_truncated",
    "dfd",
    "comm",
    "path",
    "path_bytes",
    "new_path",
    "argv",
    "argv_bytes",
    "ancestors",
];

/// Numbers without a pattern, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn texts(numbers: &mut Numbers, rows: usize, values: u64) -> ArrayRef {
    let value = |number: u64| format!("/srv/é/{number}{}", "x".repeat((number % 97) as usize));
    Arc::new(
        (0..rows)
            .map(|_| numbers.below(4).checked_sub(1).map(|_| value(numbers.below(values))))
            .collect::<StringArray>(),
    )
}

fn argv(numbers: &mut Numbers, rows: usize) -> ArrayRef {
    let DataType::List(item) = full().field_with_name("argv").unwrap().data_type() else { unreachable!() };
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
    for _ in 0..rows {
        for _ in 0..numbers.below(4) {
            lists.values().append_value(format!("-{}", numbers.below(50)));
        }
        lists.append(numbers.below(5) > 0);
    }
    Arc::new(lists.finish())
}

fn ancestors(numbers: &mut Numbers, rows: usize) -> ArrayRef {
    let DataType::List(item) = full().field_with_name("ancestors").unwrap().data_type() else { unreachable!() };
    let DataType::Struct(members) = item.data_type() else { unreachable!() };
    let of = |at: usize| match members[at].data_type() {
        DataType::List(item) => Arc::clone(item),
        _ => unreachable!(),
    };
    let builder = StructBuilder::new(
        members.clone(),
        vec![
            Box::new(Int64Builder::new()),
            Box::new(StringBuilder::new()),
            Box::new(BinaryBuilder::new()),
            Box::new(ListBuilder::new(StringBuilder::new()).with_field(of(3))),
            Box::new(ListBuilder::new(BinaryBuilder::new()).with_field(of(4))),
        ],
    );
    let mut lists = ListBuilder::new(builder).with_field(Arc::clone(item));
    for _ in 0..rows {
        for _ in 0..numbers.below(3) {
            let builder = lists.values();
            let pid = numbers.below(9);
            builder.field_builder::<Int64Builder>(0).unwrap().append_value(pid.cast_signed());
            builder.field_builder::<StringBuilder>(1).unwrap().append_value(format!("c{pid}"));
            builder.field_builder::<BinaryBuilder>(2).unwrap().append_option((pid == 3).then_some(b"\xff"));
            let argv = builder.field_builder::<ListBuilder<StringBuilder>>(3).unwrap();
            for at in 0..numbers.below(3) {
                argv.values().append_value(format!("{at}"));
            }
            argv.append(numbers.below(3) > 0);
            let bytes = builder.field_builder::<ListBuilder<BinaryBuilder>>(4).unwrap();
            if pid == 3 {
                bytes.values().append_value(b"\xfe");
            }
            bytes.append(pid == 3);
            builder.append(true);
        }
        lists.append(numbers.below(6) > 0);
    }
    Arc::new(lists.finish())
}

fn batch(numbers: &mut Numbers, rows: usize) -> RecordBatch {
    let schema = full().project(&COLUMNS.map(|name| full().index_of(name).unwrap())).unwrap();
    let times: Vec<_> = (0..rows).map(|_| numbers.below(1 << 40).cast_signed()).collect();
    let none = |name: &str| arrow_array::new_null_array(schema.field_with_name(name).unwrap().data_type(), rows);
    let us = TimestampMicrosecondArray::from(times.iter().map(|ns| ns / 1000).collect::<Vec<_>>()).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_value(7, rows)),
        Arc::new(us),
        Arc::new(Int64Array::from(times)),
        Arc::new((0..rows).map(|_| numbers.below(3).checked_sub(1).map(|bit| bit == 1)).collect::<BooleanArray>()),
        Arc::new((0..rows).map(|_| numbers.below(3).checked_sub(1).map(|_| -100)).collect::<Int32Array>()),
        texts(numbers, rows, 5),
        texts(numbers, rows, 1 << 30),
        none("path_bytes"),
        texts(numbers, rows, 300),
        argv(numbers, rows),
        none("argv_bytes"),
        ancestors(numbers, rows),
    ];
    RecordBatch::try_new(Arc::new(schema), columns).unwrap()
}

/// Writes batches in an order without a pattern. Returns the file and the rows in its order.
fn written(scratch: &Scratch, batches: &[RecordBatch], numbers: &mut Numbers) -> (File, RecordBatch) {
    let mut places: Vec<_> =
        batches.iter().enumerate().flat_map(|(at, batch)| (0..batch.num_rows()).map(move |row| (at, row))).collect();
    for at in (1..places.len()).rev() {
        places.swap(at, usize::try_from(numbers.below(at as u64 + 1)).unwrap());
    }
    let schema = batches[0].schema();
    let metadata = [("rawtp:host".to_owned(), "h".to_owned())];
    let settings = Settings {
        created_by: "rawtp test".into(),
        metadata: &metadata,
        sorted_by: &["ts_ns"],
        indexed: &["path", "new_path", "ts_ns"],
        bloom: &["new_path"],
    };
    let mut bytes = Cursor::new(Vec::new());
    write(&mut bytes, &schema, batches, &places, &settings, |_| ()).unwrap();
    let path = scratch.0.join("f.parquet");
    std::fs::write(&path, bytes.into_inner()).unwrap();
    let all: Vec<_> = batches.iter().collect();
    (File::open(path).unwrap(), interleave_record_batch(&all, &places).unwrap())
}

#[test]
fn rows_come_back() {
    let scratch = Scratch::new("file-rows");
    let mut numbers = Numbers(1);
    for sizes in [vec![1], vec![0, 7, 9000], vec![20_000, 80_000, 35_000]] {
        let batches: Vec<_> = sizes.into_iter().map(|rows| batch(&mut numbers, rows)).collect();
        let (file, expected) = written(&scratch, &batches, &mut numbers);
        for has_index in [false, true] {
            let decoder = Decoder::open(file.try_clone().unwrap()).unwrap();
            let decoder = if has_index { decoder.with_indexes(None).unwrap() } else { decoder };
            let rows = expected.num_rows();
            let read = |ranges: &[std::ops::Range<usize>], wanted: &Schema| {
                let mut found = Vec::new();
                decoder
                    .read(wanted, ranges, |batch| {
                        found.push(batch);
                        Ok(())
                    })
                    .unwrap();
                concat_batches(&found[0].schema(), &found).unwrap()
            };
            assert_eq!(read(&decoder.all(), &expected.schema()), expected);
            let (start, end) = (rows / 3, rows / 2 + 1);
            let some = Schema::new(expected.schema().fields().iter().skip(8).cloned().collect::<Vec<_>>());
            let indexes: Vec<_> = (8..COLUMNS.len()).collect();
            let ranges = [start..start + 1, end..rows];
            let parts = ranges.clone().map(|it| expected.slice(it.start, it.len()).project(&indexes).unwrap());
            if end < rows {
                assert_eq!(read(&ranges, &some), concat_batches(&parts[0].schema(), &parts).unwrap());
            }
        }
    }
}

#[test]
fn the_tail_tells_what_is_in_the_pages() {
    let scratch = Scratch::new("file-tail");
    let mut numbers = Numbers(2);
    let batches = [batch(&mut numbers, 30_000)];
    let (file, expected) = written(&scratch, &batches, &mut numbers);
    let decoder = Decoder::open(file).unwrap();
    let column = decoder.leaf("new_path").unwrap();
    let decoder = decoder.with_indexes(Some(&[column])).unwrap();
    assert!(decoder.metadata().page_index_for_row_group(0).offset_index(column + 1).is_none());
    let names = crate::history::schema::texts(&expected, "new_path").unwrap();
    let chunk = decoder.metadata().row_group(0).column(column);
    let filter = Sbbf::read_from_column_chunk(chunk, decoder.file()).unwrap().unwrap();
    assert!(names.iter().flatten().all(|name| filter.check(name)));
    assert!((0..1000).filter(|number| filter.check(format!("/x/{number}").as_str())).count() < 100);
    let index = decoder.metadata().page_index_for_row_group(0);
    let (Some(ColumnIndexMetaData::BYTE_ARRAY(bounds)), Some(offsets)) =
        (index.column_index(column), index.offset_index(column))
    else {
        panic!("no index")
    };
    let firsts: Vec<_> = offsets.page_locations().iter().map(|page| page.first_row_index).collect();
    assert_eq!(firsts, [0, 8192, 16_384, 24_576]);
    for (page, first) in firsts.iter().enumerate() {
        let first = usize::try_from(*first).unwrap();
        let rows = names.iter().skip(first).take(8192);
        let (least, most) = (rows.clone().flatten().min(), rows.clone().flatten().max());
        assert_eq!(bounds.min_value(page), least.map(str::as_bytes));
        assert_eq!(bounds.max_value(page), most.map(str::as_bytes));
        assert_eq!(bounds.null_count(page), i64::try_from(rows.filter(Option::is_none).count()).ok());
    }
    let statistics = chunk.statistics().unwrap();
    assert_eq!(statistics.min_bytes_opt(), names.iter().flatten().min().map(str::as_bytes));
    assert_eq!(statistics.max_bytes_opt(), names.iter().flatten().max().map(str::as_bytes));
    assert_eq!(statistics.null_count_opt(), Some(names.iter().filter(Option::is_none).count() as u64));
    let sorting = decoder.metadata().row_group(0).sorting_columns().unwrap();
    assert_eq!(sorting.iter().map(|column| column.column_idx).collect::<Vec<_>>(), [2]);
}

#[test]
fn a_page_of_long_texts_has_fewer_rows() {
    let schema = Arc::new(Schema::new(vec![Field::new("path", DataType::Utf8, true)]));
    let paths: StringArray = (0..3000).map(|row| (row % 3 > 0).then(|| format!("{row:01000}"))).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(paths)]).unwrap();
    let places: Vec<_> = (0..3000).map(|row| (0, row)).collect();
    let (mut bytes, settings) = (Cursor::new(Vec::new()), Settings { indexed: &["path"], ..Settings::default() });
    write(&mut bytes, &schema, std::slice::from_ref(&batch), &places, &settings, |_| {}).unwrap();
    let scratch = Scratch::new("file-long");
    let path = scratch.0.join("f.parquet");
    std::fs::write(&path, bytes.into_inner()).unwrap();
    let decoder = Decoder::open(File::open(path).unwrap()).unwrap().with_indexes(None).unwrap();
    let index = decoder.metadata().page_index_for_row_group(0);
    let pages = index.offset_index(0).unwrap().page_locations();
    // 1,049 texts are the first that are a MiB. The last of them is in row 1,573.
    assert_eq!(pages.iter().map(|page| page.first_row_index).collect::<Vec<_>>(), [0, 1574]);
    let mut found = Vec::new();
    let keep = |batch| {
        found.push(batch);
        Ok(())
    };
    decoder.read(&schema, &decoder.all(), keep).unwrap();
    assert_eq!(concat_batches(&schema, &found).unwrap(), batch);
}
