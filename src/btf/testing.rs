//! Makes BTFs for tests, and for `fuzz/`, which has this file as a module of its own.

use crate::btf::parse::{
    ARRAY, CONST, ENUM, FUNC, FUNC_PROTO, HEADER_BYTES, INT, MAGIC, PTR, STRUCT, TYPEDEF, UNION, VERSION,
};

/// A BTF in the making. Each maker returns the id of the new type.
pub(crate) struct MadeBtf {
    types: Vec<u32>,
    strings: Vec<u8>,
    next: u32,
    /// The length of the strings that these continue.
    first_string: u32,
}

/// The bit of `info` with which a structure has bit-fields, and an enumeration signed values.
pub(crate) const FLAG: u32 = 1 << 31;

/// What an integer is, in the bits of its encoding.
pub(crate) const SIGNED: u32 = 1 << 24;
pub(crate) const BOOL: u32 = 4 << 24;

impl MadeBtf {
    pub(crate) fn new() -> Self {
        Self { types: Vec::new(), strings: vec![0], next: 1, first_string: 0 }
    }

    /// The BTF of a module, which continues this one.
    pub(crate) fn split(&self) -> Self {
        Self { types: Vec::new(), strings: Vec::new(), next: self.next, first_string: self.strings.len() as u32 }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32 + self.first_string;
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    fn add(&mut self, name: &str, info: u32, size: u32, rest: &[u32]) -> u32 {
        let name = self.name(name);
        self.types.extend([name, info, size]);
        self.types.extend(rest);
        self.next += 1;
        self.next - 1
    }

    pub(crate) fn int(&mut self, name: &str, bytes: u32, encoding: u32) -> u32 {
        self.add(name, INT << 24, bytes, &[encoding | (8 * bytes)])
    }

    pub(crate) fn pointer(&mut self, to: u32) -> u32 {
        self.add("", PTR << 24, to, &[])
    }

    pub(crate) fn constant(&mut self, of: u32) -> u32 {
        self.add("", CONST << 24, of, &[])
    }

    pub(crate) fn typedef(&mut self, name: &str, of: u32) -> u32 {
        self.add(name, TYPEDEF << 24, of, &[])
    }

    pub(crate) fn array(&mut self, of: u32, count: u32) -> u32 {
        self.add("", ARRAY << 24, 0, &[of, 1, count])
    }

    /// Members are names, types and offsets in bits, with the bits of a bit-field in the highest byte.
    fn composite(&mut self, kind: u32, name: &str, bytes: u32, members: &[(&str, u32, u32)]) -> u32 {
        let rest: Vec<u32> = members.iter().flat_map(|&(name, id, offset)| [self.name(name), id, offset]).collect();
        let flag = if members.iter().any(|(_, _, offset)| offset >> 24 > 0) { FLAG } else { 0 };
        self.add(name, flag | kind << 24 | members.len() as u32, bytes, &rest)
    }

    pub(crate) fn structure(&mut self, name: &str, bytes: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.composite(STRUCT, name, bytes, members)
    }

    pub(crate) fn union(&mut self, name: &str, bytes: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.composite(UNION, name, bytes, members)
    }

    pub(crate) fn enumeration(&mut self, name: &str, flag: u32, values: &[(&str, i32)]) -> u32 {
        let rest: Vec<u32> =
            values.iter().flat_map(|&(name, value)| [self.name(name), value.cast_unsigned()]).collect();
        self.add(name, flag | ENUM << 24 | values.len() as u32, 4, &rest)
    }

    fn prototype(&mut self, parameters: &[(&str, u32)]) -> u32 {
        let rest: Vec<u32> = parameters.iter().flat_map(|&(name, id)| [self.name(name), id]).collect();
        self.add("", FUNC_PROTO << 24 | parameters.len() as u32, 0, &rest)
    }

    /// A tracepoint, with the function `prefix` of its arguments' names.
    pub(crate) fn tracepoint(&mut self, name: &str, prefix: &str, arguments: &[(&str, u32)]) {
        let data = self.pointer(0);
        let parameters: Vec<_> = [("__data", data)].into_iter().chain(arguments.iter().copied()).collect();
        let unnamed: Vec<_> = parameters.iter().map(|&(_, id)| ("", id)).collect();
        let types = self.prototype(&unnamed);
        let types = self.pointer(types);
        self.typedef(&format!("btf_trace_{name}"), types);
        let named = self.prototype(&parameters);
        self.add(&format!("{prefix}{name}"), FUNC << 24, named, &[]);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (4 * self.types.len() as u32, self.strings.len() as u32);
        let header = [MAGIC | VERSION << 16, HEADER_BYTES, 0, types, types, strings];
        header
            .iter()
            .chain(&self.types)
            .flat_map(|word| word.to_ne_bytes())
            .chain(self.strings.iter().copied())
            .collect()
    }
}

/// A kernel with one tracepoint, `made`, that has everything. `prefix` is that of the function with its arguments' names.
pub(crate) fn made_kernel(prefix: &str) -> Vec<u8> {
    let mut btf = MadeBtf::new();
    let int = btf.int("int", 4, SIGNED);
    let unsigned = btf.int("unsigned int", 4, 0);
    let long = btf.int("long unsigned int", 8, 0);
    let wide = btf.int("__int128", 16, SIGNED);
    let char = btf.int("char", 1, SIGNED);
    let byte = btf.int("unsigned char", 1, 0);
    let short = btf.int("short int", 2, SIGNED);
    let boolean = btf.int("_Bool", 1, BOOL);
    let text = btf.constant(char);
    let text = btf.pointer(text);
    let name = btf.constant(byte);
    let name = btf.pointer(name);
    let u8 = btf.typedef("u8", byte);
    let octets = btf.pointer(u8);
    let comm = btf.array(char, 16);
    let address = btf.array(u8, 6);
    let shorts = btf.array(short, 3);
    let flexible = btf.array(char, 0);
    let reason = btf.enumeration("reason", 0, &[("R_NONE", 0), ("R_BAD", 2), ("R_LOW", -1)]);
    let state = btf.enumeration("state", FLAG, &[("S_UP", 1), ("S_DOWN", -2)]);
    let uid = btf.structure("", 4, &[("val", unsigned, 0)]);
    let uid = btf.typedef("kuid_t", uid);
    let inner = btf.union("", 8, &[("left", int, 0), ("right", long, 0)]);
    let cred = btf.structure("cred", 8, &[("usage", int, 0), ("uid", uid, 32)]);
    let cred = btf.constant(cred);
    let cred = btf.pointer(cred);
    // It points to itself, by an id that is known only afterwards.
    let task_id = cred + 3;
    let parent = btf.pointer(task_id);
    let tasks = btf.array(parent, 2);
    let task = btf.structure(
        "task",
        256,
        &[
            ("pid", int, 0),
            ("comm", comm, 32),
            ("parent", parent, 192),
            ("cred", cred, 256),
            ("", inner, 320),
            ("low", unsigned, 0x0180 | 1 << 24),
            ("high", int, 0x0181 | 6 << 24),
            ("reason", reason, 416),
            ("address", address, 448),
            ("shorts", shorts, 496),
            ("name", name, 576),
            ("octets", octets, 640),
            ("wide", wide, 768),
            ("tasks", tasks, 896),
            ("flag", boolean, 1024),
            ("tail", flexible, 1032),
        ],
    );
    assert_eq!(task, task_id);
    let arguments =
        [("flag", boolean), ("p", parent), ("text", text), ("reason", reason), ("state", state), ("n", int)];
    btf.tracepoint("made", prefix, &arguments);
    btf.bytes()
}
