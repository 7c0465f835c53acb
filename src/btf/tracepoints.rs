//! The raw tracepoints of the running kernel and of its modules, with the names and types of their arguments.
//!
//! The kernel's BTF has a typedef `btf_trace_X` for each raw tracepoint X, which gives the types of the arguments. Their
//! names are those of a function's parameters: of `__probestub_X` since Linux 6.12, of `__traceiter_X` before that.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::Path;

use rustc_hash::FxHashMap;

use crate::btf::parse::{FUNC, FUNC_PROTO, PTR, TYPEDEF, Types, words};
use crate::btf::split::SplitTypes;
use crate::btf::vmlinux::{with_btf, with_kernel};
use crate::error::{Error, Result};
use crate::memory::OutOfMemory;
use crate::sys::mmap::probe_mapping;

/// The directory with the BTF of the kernel (`vmlinux`) and of each module.
const DIRECTORY: &str = "/sys/kernel/btf";

const TYPEDEF_PREFIX: &[u8] = b"btf_trace_";
/// The prefixes of the functions whose parameters have the arguments' names.
const FUNCTION_PREFIXES: [&[u8]; 2] = [b"__probestub_", b"__traceiter_"];

/// An argument of a tracepoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Argument {
    pub(crate) name: String,
    /// Its type.
    pub(crate) id: u32,
}

/// A tracepoint, as [`list`] gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The module that has it; `None` for the kernel itself.
    pub module: Option<String>,
    /// The names of its arguments, and their types as C writes them.
    pub arguments: Vec<(String, String)>,
}

/// The error of a kernel without BTF.
fn no_btf(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::OutOfMemory => Error::Memory(READING),
        io::ErrorKind::NotFound => Error::UnsupportedKernel(
            "this kernel has no type information at /sys/kernel/btf/vmlinux: rawtp needs a kernel built with \
             CONFIG_DEBUG_INFO_BTF=y, 5.10 or later (all current distributions' are; in a container, mount /sys)"
                .into(),
        ),
        _ => Error::UnsupportedKernel(format!("cannot read the kernel's type information: {error}")),
    }
}

const READING: &str = "read the kernel's types";

/// Hands the kernel's own types to `look`.
fn with_vmlinux<T>(look: impl FnOnce(&Types<'_>) -> Result<T>) -> Result<T> {
    // The peak: the kernel's types, read rather than mapped, and the offset of each.
    let bytes = fs::metadata(Path::new(DIRECTORY).join("vmlinux")).map_or(0, |found| found.len() as usize);
    probe_mapping(bytes + bytes / 2).map_err(Error::memory(READING))?;
    with_kernel(|kernel| match Types::new(kernel) {
        Some(types) => look(&types),
        None => Err(Error::UnsupportedKernel("this kernel's type information is of an unknown form".into())),
    })
    .map_err(|error| no_btf(&error))?
}

/// The names of the modules that have BTF, sorted.
fn modules() -> Vec<OsString> {
    let Ok(entries) = fs::read_dir(DIRECTORY) else { return Vec::new() };
    let mut names: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect();
    names.retain(|name| name != "vmlinux");
    names.sort_unstable();
    names
}

/// Hands the types of the kernel, and then those of each module, to `see`, until it gives a result.
fn each<T>(
    vmlinux: &Types<'_>,
    mut see: impl FnMut(&SplitTypes<'_>, Option<&str>) -> Option<Result<T>>,
) -> Result<Option<T>> {
    if let Some(found) = see(&SplitTypes::new(vmlinux, None), None) {
        return found.map(Some);
    }
    for module in modules() {
        let name = module.to_string_lossy();
        let found = with_btf(&Path::new(DIRECTORY).join(&module), |bytes| {
            see(&SplitTypes::new(vmlinux, Some(Types::new(bytes)?)), Some(&name))
        });
        // A module may have been unloaded meanwhile, and one of an unknown form has no tracepoints for us.
        if let Ok(Some(found)) = found {
            return found.map(Some);
        }
    }
    Ok(None)
}

/// Returns the types of a typedef's arguments, without that of the data that the kernel passes first.
fn argument_types(types: &SplitTypes<'_>, id: u32) -> Option<Vec<u32>> {
    let mut found = types.get(id)?;
    while matches!(found.kind(), TYPEDEF | PTR) {
        found = types.get(found.size)?;
    }
    let parameters = words(found.rest).map(|[_, id]| id);
    (found.kind() == FUNC_PROTO).then(|| parameters.skip(1).collect())
}

/// Returns the arguments of a tracepoint. An argument without a name is `arg0`, `arg1` and so on.
fn arguments(types: &SplitTypes<'_>, typedef: u32, functions: [Option<u32>; 2]) -> Option<Vec<Argument>> {
    let ids = argument_types(types, typedef)?;
    let names = functions.into_iter().flatten().find_map(|function| {
        let prototype = types.get(types.get(function)?.size)?;
        let names: Vec<_> = words(prototype.rest).skip(1).map(|[name, _]| types.name(name)).collect();
        (names.len() == ids.len()).then_some(names)
    });
    let name = |at: usize| match names.as_ref().and_then(|names| names[at]) {
        Some(b"") | None => format!("arg{at}"),
        Some(name) => String::from_utf8_lossy(name).into_owned(),
    };
    Some(ids.iter().enumerate().map(|(at, &id)| Argument { name: name(at), id }).collect())
}

/// Finds a tracepoint among those of the kernel or of a module.
pub(crate) fn find(types: &SplitTypes<'_>, tracepoint: &[u8]) -> Option<Vec<Argument>> {
    let (mut typedef, mut functions) = (None, [None; 2]);
    types.scan(|name, kind, id| match kind {
        TYPEDEF if name.strip_prefix(TYPEDEF_PREFIX) == Some(tracepoint) => typedef = typedef.or(Some(id)),
        FUNC => {
            for (function, prefix) in functions.iter_mut().zip(FUNCTION_PREFIXES) {
                if name.strip_prefix(prefix) == Some(tracepoint) {
                    *function = function.or(Some(id));
                }
            }
        }
        _ => {}
    });
    arguments(types, typedef?, functions)
}

/// Hands the types and the arguments of a tracepoint to `look`. `None` when there is no such tracepoint.
///
/// # Errors
///
/// [`Error::UnsupportedKernel`] without BTF, [`Error::Memory`], and those of `look`.
pub(crate) fn with_tracepoint<T>(
    tracepoint: &str,
    look: impl FnOnce(&SplitTypes<'_>, &[Argument]) -> Result<T>,
) -> Result<Option<T>> {
    let mut look = Some(look);
    with_vmlinux(|vmlinux| {
        each(vmlinux, |types, _| {
            let arguments = find(types, tracepoint.as_bytes())?;
            look.take().map(|look| look(types, &arguments))
        })
    })
}

/// Lists the tracepoints that `wanted` accepts, the kernel's own first, then each module's, in alphabetical order.
///
/// # Errors
///
/// [`Error::UnsupportedKernel`] without BTF, [`Error::Memory`].
pub fn list(wanted: impl Fn(&str) -> bool) -> Result<Vec<Listed>> {
    let mut all = Vec::new();
    with_vmlinux(|vmlinux| {
        each::<OutOfMemory>(vmlinux, |types, module| {
            let mut found = listed(types, module, &wanted);
            found.sort_unstable_by(|one, other| one.name.cmp(&other.name));
            all.append(&mut found);
            None
        })
    })?;
    Ok(all)
}

fn listed(types: &SplitTypes<'_>, module: Option<&str>, wanted: &impl Fn(&str) -> bool) -> Vec<Listed> {
    let mut typedefs = Vec::new();
    let mut functions: FxHashMap<&[u8], [Option<u32>; 2]> = FxHashMap::default();
    types.scan(|name, kind, id| match kind {
        TYPEDEF => typedefs.extend(name.strip_prefix(TYPEDEF_PREFIX).map(|name| (name, id))),
        FUNC => {
            for (at, prefix) in FUNCTION_PREFIXES.into_iter().enumerate() {
                if let Some(name) = name.strip_prefix(prefix) {
                    functions.entry(name).or_default()[at] = Some(id);
                }
            }
        }
        _ => {}
    });
    let one = |(name, id): (&[u8], u32)| {
        let text = str::from_utf8(name).ok().filter(|name| wanted(name))?;
        let arguments = arguments(types, id, functions.get(name).copied().unwrap_or_default())?;
        let arguments = arguments.into_iter().map(|it| (it.name, types.c_name(it.id))).collect();
        Some(Listed { name: text.to_owned(), module: module.map(str::to_owned), arguments })
    };
    typedefs.into_iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This host's kernel has BTF, or the tests of programs could not run either.
    #[test]
    fn the_arguments_of_a_tracepoint_have_names_and_types() {
        let Ok(found) = list(|name| name.starts_with("sched_process_ex")) else { return };
        let names: Vec<_> = found.iter().map(|it| it.name.as_str()).collect();
        assert!(names.contains(&"sched_process_exec") && names.contains(&"sched_process_exit"), "{names:?}");
        let exec = found.iter().find(|it| it.name == "sched_process_exec").unwrap();
        let told: Vec<_> = exec.arguments.iter().map(|(name, kind)| (name.as_str(), kind.as_str())).collect();
        assert_eq!(told, [("p", "struct task_struct *"), ("old_pid", "pid_t"), ("bprm", "struct linux_binprm *")]);
        assert!(exec.module.is_none());
    }
}
