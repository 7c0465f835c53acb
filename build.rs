//! Compiles the BPF programs and generates their skeleton into `OUT_DIR`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use libbpf_cargo::SkeletonBuilder;

/// libbpf-cargo's own message for a missing clang is a backtrace: look first, and say one line.
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

/// The objects name their sources: without this machine's directories, so that they are the same from any.
fn flags(out: &Path) -> Result<[OsString; 4], String> {
    let root = env::var_os("CARGO_MANIFEST_DIR").ok_or("cargo sets CARGO_MANIFEST_DIR")?;
    let named = |path: &OsStr, name| [OsStr::new("-ffile-prefix-map="), path, OsStr::new(name)].into_iter().collect();
    Ok(["-Wall".into(), "-Werror".into(), named(&root, "=/rawtp"), named(out.as_os_str(), "=/out")])
}

fn builder(source: &str, clang: &Path, flags: &[OsString]) -> SkeletonBuilder {
    let mut builder = SkeletonBuilder::new();
    builder.source(Path::new("bpf").join(source)).clang(clang).clang_args(flags);
    builder
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let flags = flags(&out)?;
    let clang = clang()?;
    builder("rawtp.bpf.c", &clang, &flags)
        .build_and_generate(out.join("rawtp.skel.rs"))
        .map_err(|error| format!("bpf/rawtp.bpf.c: {error:#}"))?;
    builder("cost.bpf.c", &clang, &flags)
        .build_and_generate(out.join("cost.skel.rs"))
        .map_err(|error| format!("bpf/cost.bpf.c: {error:#}"))?;
    for name in ["guide_rejected", "overlap"] {
        builder(&format!("{name}.bpf.c"), &clang, &flags)
            .obj(out.join(format!("{name}.bpf.o")))
            .build()
            .map_err(|error| format!("bpf/{name}.bpf.c: {error:#}"))?;
    }
    Ok(())
}

fn main() {
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rerun-if-env-changed=RAWTP_CLANG");
    if let Err(message) = build() {
        for line in message.lines() {
            println!("cargo::error={line}");
        }
    }
}
