//! Tests from a BTF to a layout, a program and an event.

use std::convert::Infallible;
use std::sync::Arc;

use libbpf_sys::{BPF_FUNC_probe_read_kernel, BPF_FUNC_probe_read_kernel_str, bpf_insn};

use crate::btf::parse::Types;
use crate::btf::split::SplitTypes;
use crate::btf::testing::{MadeBtf, SIGNED, made_kernel};
use crate::btf::tracepoints::find;
use crate::error::Result;
use crate::event::values::Value;
use crate::memory::aligned::AlignedBytes;
use crate::raw_tracepoint::event::RawEvent;
use crate::raw_tracepoint::kind::{Kind, Scalar};
use crate::raw_tracepoint::layout::Layout;
use crate::raw_tracepoint::program::{Maps, assemble};
use crate::raw_tracepoint::reader::RawReader;
use crate::raw_tracepoint::resolve::{Access, Read, Resolver};
use crate::read::counters::ReaderCounters;
use crate::record::{parse_raw, raw_record};
use crate::ring::chunk::Chunk;
use crate::ring::queue::Queue;

fn resolve<T>(kernel: &[u8], see: impl FnOnce(&Resolver<'_, '_>) -> T, pointers: bool) -> T {
    let types = Types::new(kernel).unwrap();
    let types = SplitTypes::new(&types, None);
    let arguments = find(&types, b"made").unwrap();
    see(&Resolver { types: &types, tracepoint: "made", arguments: &arguments, kernel: "9.9", pointers, text_bytes: 64 })
}

fn defaults(resolver: &Resolver<'_, '_>) -> Vec<String> {
    resolver.default_fields()
}

fn layout_of(fields: &[&str]) -> Result<Layout> {
    let fields = fields.iter().map(ToString::to_string).collect();
    resolve(&made_kernel("__probestub_"), |resolver| Layout::of(resolver, fields), false)
}

fn field(path: &str) -> (Access, Kind) {
    resolve(&made_kernel("__probestub_"), |resolver| resolver.field(path), true).unwrap()
}

fn message(path: &str) -> String {
    resolve(&made_kernel("__probestub_"), |resolver| resolver.field(path), false).unwrap_err().to_string()
}

#[test]
fn arguments_have_their_names_by_either_function() {
    for prefix in ["__probestub_", "__traceiter_"] {
        let found = resolve(&made_kernel(prefix), defaults, false);
        assert_eq!(found, ["flag", "text", "reason", "state", "n"]);
    }
    let found = resolve(&made_kernel("__probestub_"), defaults, true);
    assert_eq!(found, ["flag", "p", "text", "reason", "state", "n"]);
    let unnamed = resolve(&made_kernel("another_"), |resolver| resolver.arguments.to_vec(), false);
    assert_eq!(
        unnamed.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(),
        ["arg0", "arg1", "arg2", "arg3", "arg4", "arg5"]
    );
}

#[test]
fn the_way_to_a_field() {
    let memory = |argument, hops: &[i32], offset, bytes| Access {
        argument,
        hops: hops.to_vec(),
        read: Read::Memory { offset, bytes },
    };
    assert_eq!(
        field("n"),
        (Access { argument: 5, hops: vec![], read: Read::Argument }, Kind::Int(Scalar::whole(4, true)))
    );
    assert_eq!(field("p.pid").0, memory(1, &[], 0, 4));
    assert_eq!(field("p.comm"), (memory(1, &[], 4, 16), Kind::Text));
    assert_eq!(field("p.parent.parent.pid").0, memory(1, &[24, 24], 0, 4));
    assert_eq!(field("p.cred.uid"), (memory(1, &[32], 4, 4), Kind::Int(Scalar::whole(4, false))));
    assert_eq!(field("p.cred.uid"), field("p.cred.uid.val"));
    assert_eq!(field("p.right"), (memory(1, &[], 40, 8), Kind::Int(Scalar::whole(8, false))));
    let bits = |bytes, shift, bits, is_signed| Kind::Int(Scalar { bytes, shift, bits, is_signed });
    assert_eq!(field("p.low"), (memory(1, &[], 48, 1), bits(1, 0, 1, false)));
    assert_eq!(field("p.high"), (memory(1, &[], 48, 1), bits(1, 1, 6, true)));
    assert_eq!(field("p.address"), (memory(1, &[], 56, 6), Kind::Bytes));
    assert_eq!(field("p.shorts"), (memory(1, &[], 62, 6), Kind::Ints(Scalar::whole(2, true))));
    assert_eq!(field("p.shorts[2]").0, memory(1, &[], 66, 2));
    assert_eq!(field("p.tasks[1].pid").0, memory(1, &[120], 0, 4));
    assert_eq!(field("p.parent"), (memory(1, &[], 24, 8), Kind::Pointer));
    assert_eq!(field("p.octets"), (memory(1, &[], 80, 8), Kind::Pointer));
    assert_eq!(field("p.tasks").1, Kind::Ints(Scalar::whole(8, false)));
    let text = |argument, hops: &[i32], offset| {
        (Access { argument, hops: hops.to_vec(), read: Read::Text { offset } }, Kind::Text)
    };
    assert_eq!(field("text"), text(2, &[], 0));
    assert_eq!(field("p.name"), text(1, &[72], 0));
    assert_eq!(field("p.tail"), text(1, &[], 129));
    assert!(matches!(field("p.flag").1, Kind::Bool(_)));
}

#[test]
fn what_is_wrong_with_a_field() {
    assert_eq!(
        message("q"),
        "made of Linux 9.9 has no argument \"q\": did you mean \"n\"? (it has flag, p, text, reason, state, n)"
    );
    assert_eq!(
        message("p.com"),
        "\"p.com\" of made: struct task of Linux 9.9 has no member \"com\": did you mean \"comm\"?"
    );
    assert_eq!(
        message("p.lft"),
        "\"p.lft\" of made: struct task of Linux 9.9 has no member \"lft\": did you mean \"left\"?"
    );
    assert_eq!(
        message("p.cred.zzzzz"),
        "\"p.cred.zzzzz\" of made: const struct cred of Linux 9.9 has no member \"zzzzz\": it has usage, uid"
            .replace("const ", "")
    );
    assert_eq!(
        message("p"),
        "\"p\" of made: it is an address (struct task *): name a member, such as \"p.comm\", or pass pointers=True"
    );
    assert_eq!(message("p.octets"), "\"p.octets\" of made: it is an address (u8 *): pass pointers=True");
    assert_eq!(message("p.wide"), "\"p.wide\" of made: a number of 128 bits cannot be read");
    assert_eq!(
        message("p.tasks"),
        "\"p.tasks\" of made: it is struct task *[2], which is no value: name an element, such as \"p.tasks[0]\""
    );
    assert_eq!(message("p.shorts[3]"), "\"p.shorts[3]\" of made: short int[3] has no element 3");
    assert_eq!(message("n.x"), "\"n.x\" of made: int has no members");
    assert_eq!(message("n[0]"), "\"n[0]\" of made: int is no array");
    let twice = layout_of(&["n", "n"]).unwrap_err().to_string();
    assert_eq!(twice, "the field \"n\" is named twice");
}

/// The memory of a record with these values.
fn record(layout: &Layout, faults: u64, values: &[(usize, &[u8])]) -> Vec<u8> {
    let mut head =
        raw_record { kind: 10, cpu: 3, ts_ns: 100, seq: 7, lost: 2, tid: 12, pid: 11, faults, ..Default::default() };
    head.comm[..2].copy_from_slice(b"sh");
    // SAFETY: a structure of integers without padding, as bytes.
    let head = unsafe { std::slice::from_raw_parts((&raw const head).cast::<u8>(), size_of::<raw_record>()) };
    let mut bytes = head.to_vec();
    bytes.resize(layout.bytes, 0xee);
    for &(index, value) in values {
        let offset = layout.fields[index].offset;
        bytes[offset..offset + value.len()].copy_from_slice(value);
    }
    bytes
}

fn shown(bytes: &[u8], layout: &Layout) -> Vec<String> {
    let bytes = AlignedBytes::copy_of(bytes).unwrap();
    let (head, bytes) = parse_raw(&bytes).unwrap();
    let mut all = Vec::new();
    let event = RawEvent::new(head, bytes, 1000);
    event
        .visit(layout, &mut String::new(), |value| {
            all.push(match value {
                Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Value::Ints(item, bytes) => format!("{:?}", item.all(bytes).collect::<Vec<_>>()),
                value => format!("{value:?}"),
            });
            Ok::<_, Infallible>(())
        })
        .unwrap();
    all
}

#[test]
fn an_event_has_the_values_of_its_record() {
    let fields =
        ["n", "flag", "reason", "state", "text", "p.low", "p.high", "p.address", "p.shorts", "p.right", "p.pid"];
    let layout = layout_of(&fields).unwrap();
    let values: [(usize, &[u8]); 10] = [
        (0, &[0xfe, 0xff, 0xff, 0xff, 0, 0, 0, 0]),
        (1, &[1]),
        (2, &[0xff, 0xff, 0xff, 0xff]),
        (3, &[9, 0, 0, 0x80]),
        (4, b"a name\0rest"),
        (5, &[0b1000_0001]),
        (6, &[0b0100_0010]),
        (7, &[1, 2, 3, 4, 5, 6]),
        (8, &[0xff, 0xff, 1, 0, 2, 0]),
        (9, &[0; 8]),
    ];
    let told = shown(&record(&layout, 1 << 10, &values), &layout);
    let head = ["I64(1100)", "U32(3)", "U64(7)", "U32(2)", "U32(11)", "U32(12)", "sh"];
    assert_eq!(told[..7], head);
    let values = [
        "I32(-2)",
        "Bool(true)",
        "Keyword(\"R_LOW\")",
        "Keyword(\"-2147483639\")",
        "a name",
        "U32(1)",
        "I32(-31)",
        "Blob([1, 2, 3, 4, 5, 6])",
        "[-1, 1, 2]",
        "U64(0)",
        "None",
    ];
    assert_eq!(told[7..], values);
    let keys: Vec<_> = layout.keys().map(|(key, _)| key).collect();
    assert_eq!(keys[..7], ["ts_ns", "cpu", "seq", "lost", "pid", "tid", "comm"]);
    assert_eq!(keys[7..], fields);
}

#[test]
fn a_text_without_a_nul_may_be_cut_off() {
    let layout = layout_of(&["text", "p.comm"]).unwrap();
    let is_truncated = |text: &[u8], faults| {
        let bytes = AlignedBytes::copy_of(&record(&layout, faults, &[(0, text), (1, &[b'x'; 16])])).unwrap();
        let (head, bytes) = parse_raw(&bytes).unwrap();
        RawEvent::new(head, bytes, 0).is_truncated(&layout)
    };
    let whole = [&[b'a'; 62][..], &[0, 0xee]].concat();
    let cut = [&[b'a'; 63][..], &[0]].concat();
    assert!(!is_truncated(&whole, 0));
    assert!(is_truncated(&cut, 0));
    assert!(!is_truncated(&cut, 1));
}

/// The ids of the helpers that a program calls, and the bytes that it has them read.
fn calls(code: &[bpf_insn]) -> Vec<i32> {
    code.iter().filter(|it| it.code == 0x85).map(|it| it.imm).collect()
}

#[test]
fn a_program_reads_what_the_fields_need() {
    let maps = Maps { ring: 3, counters: 4, users: 5, live: 6 };
    let count = |fields: &[&str], helper: u32| {
        let code = assemble(&layout_of(fields).unwrap(), maps, &[]).unwrap();
        // Every jump stays inside the program, and the last instruction is the exit.
        for (at, it) in code.iter().enumerate().filter(|(_, it)| it.code & 7 == 5 && it.code != 0x85 && it.code != 0x95)
        {
            let to = (at + 1).checked_add_signed(it.off.into());
            assert!(to.is_some_and(|to| to < code.len()), "{at}");
        }
        assert_eq!(code.last().map(|it| it.code), Some(0x95));
        calls(&code).into_iter().filter(|call| *call == helper.cast_signed()).count()
    };
    let (read, read_text) = (BPF_FUNC_probe_read_kernel, BPF_FUNC_probe_read_kernel_str);
    assert_eq!((count(&["n", "flag"], read), count(&["n"], read_text)), (0, 0));
    assert_eq!(count(&["p.pid"], read), 1);
    assert_eq!(count(&["p.parent.parent.pid", "p.comm"], read), 4);
    assert_eq!((count(&["p.name"], read), count(&["p.name", "text"], read_text)), (1, 2));
    // Each pid is compared.
    let pids = |pids: &[u32]| assemble(&layout_of(&[]).unwrap(), maps, pids).unwrap().len();
    assert_eq!(pids(&[1, 2, 3]) - pids(&[1]), 2);
}

#[test]
fn types_of_a_module_continue_those_of_the_kernel() {
    let mut btf = MadeBtf::new();
    let int = btf.int("int", 4, SIGNED);
    let task = btf.structure("task", 4, &[("pid", int, 0)]);
    let mut module = btf.split();
    let task = module.pointer(task);
    let own = module.structure("own", 16, &[("task", task, 0), ("n", int, 64)]);
    let own = module.pointer(own);
    module.tracepoint("made", "__probestub_", &[("own", own), ("n", int)]);
    let (kernel, module) = (btf.bytes(), module.bytes());
    let types = Types::new(&kernel).unwrap();
    let types = SplitTypes::new(&types, Types::new(&module));
    let arguments = find(&types, b"made").unwrap();
    assert_eq!(types.c_name(arguments[0].id), "struct own *");
    assert_eq!(types.c_name(arguments[1].id), "int");
    let resolver = Resolver {
        types: &types,
        tracepoint: "made",
        arguments: &arguments,
        kernel: "9.9",
        pointers: false,
        text_bytes: 64,
    };
    let (access, _) = resolver.field("own.task.pid").unwrap();
    assert_eq!(access, Access { argument: 0, hops: vec![0], read: Read::Memory { offset: 0, bytes: 4 } });
    let text = resolver.field("own.task.pdi").unwrap_err().to_string();
    assert!(text.ends_with("struct task of Linux 9.9 has no member \"pdi\": did you mean \"pid\"?"), "{text}");
}

#[test]
fn a_reader_counts_what_it_reads() {
    let layout = Arc::new(layout_of(&["n", "p.pid"]).unwrap());
    let framed = |record: Vec<u8>| [(record.len() as u32).to_ne_bytes().to_vec(), vec![0; 4], record].concat();
    let one = framed(record(&layout, 0, &[(0, &[1])]));
    let fault = framed(record(&layout, 2, &[(0, &[2])]));
    let queue = Arc::new(Queue::new(1 << 20).unwrap());
    let bytes = AlignedBytes::copy_of(&[one.clone(), fault, one[..one.len() - 8].to_vec()].concat()).unwrap();
    queue.push(Chunk { bytes, events: 2, ..Chunk::default() }, || false).unwrap();
    let bytes = AlignedBytes::copy_of(&one).unwrap();
    queue.close(vec![Chunk { bytes, events: 1, ..Chunk::default() }], None);
    let counters = Arc::new(ReaderCounters::default());
    let mut reader = RawReader::new(queue, Arc::clone(&counters), Arc::clone(&layout));
    // An event without memory for it stays the next one.
    assert!(reader.next(|_| Err::<(), _>(crate::memory::OutOfMemory)).is_err());
    let all = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(all(&counters.decoded), 0);
    let mut next = || reader.next(|event| Ok(event.has_fault()));
    assert_eq!((next().unwrap(), next().unwrap()), (Some(false), Some(true)));
    assert!(next().unwrap_err().to_string().starts_with("malformed record: "));
    assert_eq!((next().unwrap(), next().unwrap(), next().unwrap()), (Some(false), None, None));
    assert_eq!((all(&counters.decoded), all(&counters.name_faults)), (3, 1));
}
