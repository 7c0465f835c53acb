//! Compiles the BPF programs and generates their skeletons into `OUT_DIR`. It also generates the extension's docstrings
//! from its stub.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use libbpf_cargo::SkeletonBuilder;

/// The program that the verifier rejects. People read its verifier log.
const REJECTED: &str = "probes/verifier_rejects.bpf.c";

/// Finds clang. It looks first because libbpf-cargo reports a missing clang by a backtrace, not by one line.
fn clang() -> Result<PathBuf, String> {
    let clang = PathBuf::from(env::var_os("RAWTP_CLANG").unwrap_or_else(|| "clang".into()));
    match Command::new(&clang).arg("--version").output() {
        Ok(output) if output.status.success() => Ok(clang),
        Ok(output) => Err(format!("{} --version failed: {}", clang.display(), output.status)),
        Err(error) => Err(format!(
            "{}: {error}. The BPF programs need clang 14 or later: install it (Debian: apt install clang) or set RAWTP_CLANG",
            clang.display()
        )),
    }
}

/// The clang options for a source. The objects name their sources without this machine's directories, so that every
/// machine builds the same bytes. If the compiler finds a source by that name, the object also contains its lines. Only
/// the program whose verifier log people read needs them. In the others they would add 7 KB to every wheel, and their
/// logs have the line numbers.
fn flags(out: &Path, source: &str) -> [OsString; 5] {
    let root: OsString = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let mapped = |path: &OsStr, name| [OsStr::new("-ffile-prefix-map="), path, OsStr::new(name)].into_iter().collect();
    let own = if source == REJECTED { "-fdebug-compilation-dir=.".into() } else { mapped(&root, "=/rawtp") };
    ["-Wall".into(), "-Werror".into(), "-Ibpf".into(), own, mapped(out.as_os_str(), "=/out")]
}

/// Blanks the numbers of source lines in an object (`line_info` of its section `.BTF.ext`). Only verifier logs show
/// them. The kernel copies and checks them at each load, and they would add 87 KB to every wheel.
fn forget_lines(object: &Path) -> Result<(), String> {
    let mut bytes = fs::read(object).map_err(|error| error.to_string())?;
    let at = lines_of(&bytes).ok_or("no ELF file with a section .BTF.ext")?;
    bytes.get_mut(at.lines).ok_or("line_info is not in the file")?.fill(0);
    bytes[at.length].fill(0);
    fs::write(object, bytes).map_err(|error| error.to_string())
}

/// The places of the line numbers, and of the header's field with their length.
struct LinesAt {
    lines: Range<usize>,
    length: Range<usize>,
}

/// Finds the line numbers in a 64-bit little-endian ELF file (elf(5); `struct btf_ext_header` in libbpf's btf.c).
fn lines_of(bytes: &[u8]) -> Option<LinesAt> {
    let half = |at: usize| Some(usize::from(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?)));
    let word = |at: usize| usize::try_from(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok();
    let long = |at: usize| usize::try_from(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?)).ok();
    let (sections, size, count, names) = (long(40)?, half(58)?, half(60)?, half(62)?);
    let names = long(sections + names * size + 24)?;
    let mut heads = (0..count).map(|index| sections + index * size);
    let head = heads.find(|head| {
        let name = word(*head).and_then(|offset| bytes.get(names + offset..));
        name.is_some_and(|name| name.starts_with(b".BTF.ext\0"))
    })?;
    let header = long(head + 24)?;
    let begin = header + word(header + 4)? + word(header + 16)?;
    Some(LinesAt { lines: begin..begin + word(header + 20)?, length: header + 20..header + 24 })
}

fn builder(source: &str, clang: &Path, out: &Path) -> SkeletonBuilder {
    let mut builder = SkeletonBuilder::new();
    builder.source(Path::new("bpf").join(source)).clang(clang).clang_args(flags(out, source));
    builder
}

/// The stub whose docstrings the extension has.
const STUB: &str = "python/rawtp/_core.pyi";

/// Parses the stub. Returns names, such as "Tracer.get", and their docstrings.
fn docstrings(stub: &str) -> Result<Vec<(String, String)>, String> {
    let (mut docs, mut class) = (Vec::new(), String::new());
    // The name that the next docstring belongs to.
    let mut name = None;
    let mut lines = stub.lines();
    while let Some(line) = lines.next() {
        let code = line.trim_start();
        let word =
            |rest: &str| rest.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect::<String>();
        if let Some(rest) = code.strip_prefix("class ") {
            class = word(rest);
            name = Some(class.clone());
        } else if let Some(rest) = code.strip_prefix("def ") {
            name = Some(if line == code { word(rest) } else { format!("{class}.{}", word(rest)) });
        }
        let Some(start) = code.strip_prefix("r\"\"\"").or_else(|| code.strip_prefix("\"\"\"")) else { continue };
        let indent = line.len() - code.len();
        let mut doc = start.to_owned();
        while !doc.contains("\"\"\"") {
            let line = lines.next().ok_or("a docstring without an end")?;
            doc.push('\n');
            doc.push_str(line.get(indent..).unwrap_or_default());
        }
        let doc = doc.split("\"\"\"").next().unwrap_or_default().trim_end();
        if doc.contains('\\') && !code.starts_with('r') {
            return Err(format!("a docstring with a backslash in it begins with r: {doc}"));
        }
        // Docstrings of attributes have no name here, and nothing asks for them.
        if let Some(name) = name.take() {
            docs.push((name, doc.to_owned()));
        }
    }
    Ok(docs)
}

/// Writes the macro `py_doc!`, which returns the docstring of a name.
fn write_docs(out: &Path) -> Result<(), String> {
    let stub = fs::read_to_string(STUB).map_err(|error| format!("{STUB}: {error}"))?;
    let docs = docstrings(&stub).map_err(|error| format!("{STUB}: {error}"))?;
    let arms: Vec<_> = docs.iter().map(|(name, doc)| format!("    ({name:?}) => {{ {doc:?} }};\n")).collect();
    let code = format!("macro_rules! py_doc {{\n{}}}\n", arms.concat());
    fs::write(out.join("py_docs.rs"), code).map_err(|error| format!("py_docs.rs: {error}"))
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    write_docs(&out)?;
    let clang = clang()?;
    for name in ["rawtp", "counts"] {
        let (source, object) = (format!("{name}.bpf.c"), out.join(format!("{name}.bpf.o")));
        let mut programs = builder(&source, &clang, &out);
        programs.obj(&object).build().map_err(|error| format!("bpf/{source}: {error:#}"))?;
        forget_lines(&object).map_err(|error| format!("{}: {error}", object.display()))?;
        programs.generate(out.join(format!("{name}.skel.rs"))).map_err(|error| format!("bpf/{source}: {error:#}"))?;
    }
    builder("probes/cost.bpf.c", &clang, &out)
        .build_and_generate(out.join("cost.skel.rs"))
        .map_err(|error| format!("bpf/probes/cost.bpf.c: {error:#}"))?;
    for source in [REJECTED, "probes/cve_2024_41009.bpf.c", "probes/live_maps.bpf.c"] {
        let object = Path::new(source).with_extension("o");
        builder(source, &clang, &out)
            .obj(out.join(object.file_name().ok_or("a source has a name")?))
            .build()
            .map_err(|error| format!("bpf/{source}: {error:#}"))?;
    }
    Ok(())
}

fn main() {
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-changed={STUB}");
    println!("cargo::rerun-if-env-changed=RAWTP_CLANG");
    if let Err(message) = build() {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
    }
}
