//! The kernel's types for libbpf: no more of them than it needs. Those of modules it does not look at then; the programs
//! need none.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::slice;
use std::sync::OnceLock;

use libbpf_rs::{AsRawLibbpf, OpenObject};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::btf::parse::{FUNC, STRUCT, TYPEDEF, Types};
use crate::btf::subset::subset_of;
use crate::memory::{self, OutOfMemory};
use crate::sys::fd::owned;
use crate::sys::mmap::probe_mapping;

/// The kernel's numbers for what the programs name.
#[derive(Debug, Clone, Copy)]
pub struct TypeIds {
    /// The type of the tracepoint that the exit program is attached to.
    pub sys_exit: Option<u32>,
    /// The function `bpf_rdonly_cast`, from Linux 6.2 on.
    pub rdonly_cast: Option<u32>,
    /// The type `struct task_struct`.
    pub task_struct: u32,
    /// The type `struct dentry`.
    pub dentry: Option<u32>,
    /// The type `struct mount`.
    pub mount: Option<u32>,
}

impl TypeIds {
    fn of(kernel: &Types<'_>) -> Option<Self> {
        Some(Self {
            sys_exit: kernel.find("btf_trace_sys_exit", TYPEDEF),
            rdonly_cast: kernel.find("bpf_rdonly_cast", FUNC),
            task_struct: kernel.find("task_struct", STRUCT)?,
            dentry: kernel.find("dentry", STRUCT),
            mount: kernel.find("mount", STRUCT),
        })
    }
}

struct Needed {
    types: Vec<u8>,
    numbers: Option<TypeIds>,
}

const KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// Of the programs' object, which is always the same, as the kernel is: `None` when they cannot be told from this
/// kernel's.
static NEEDED: OnceLock<Option<Needed>> = OnceLock::new();

/// A file in memory for libbpf to read them from, which it does when it loads what it has opened.
pub struct VmlinuxBtf(File);

impl VmlinuxBtf {
    /// Empty as yet. `None` where it would be of no use: libbpf then goes through all of the kernel's types by itself.
    #[must_use]
    pub fn new() -> Option<Self> {
        if NEEDED.get().is_some_and(Option::is_none) {
            return None;
        }
        // SAFETY: a name that outlives the call.
        let fd = owned(unsafe { libc::memfd_create(c"rawtp".as_ptr(), libc::MFD_CLOEXEC) }.into()).ok()?;
        let file = Self(File::from(fd));
        file.path().exists().then_some(file)
    }

    /// Where libbpf finds it.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Writes those that the object needs. Whether that could be done.
    ///
    /// # Errors
    ///
    /// [`OutOfMemory`].
    pub fn fill(&mut self, object: &OpenObject) -> Result<bool, OutOfMemory> {
        let needed = if let Some(needed) = NEEDED.get() {
            needed
        } else {
            let needed = look(object)?;
            NEEDED.get_or_init(|| needed)
        };
        Ok(needed.as_ref().is_some_and(|needed| self.0.write_all(&needed.types).is_ok()))
    }

    /// The numbers; none before the first [`fill`](Self::fill), and none when that failed.
    #[must_use]
    pub fn numbers() -> Option<TypeIds> {
        NEEDED.get()?.as_ref()?.numbers
    }
}

/// Reads them. `None` where the kernel's types are none that are known here: that stays so, while a lack of memory does not.
fn look(object: &OpenObject) -> Result<Option<Needed>, OutOfMemory> {
    let kernel_bytes = fs::metadata(KERNEL).map_or(0, |found| found.len() as usize);
    // At its height: the kernel's types, where each of them begins, and a number for each.
    let bytes = kernel_bytes + kernel_bytes / 2;
    probe_mapping(bytes)?;
    let needed = own_types(object).and_then(|own| {
        with_kernel(|kernel| {
            let kernel = Types::new(kernel)?;
            Some(Needed { types: subset_of(&kernel, own)?, numbers: TypeIds::of(&kernel) })
        })
        .ok()?
    });
    if needed.is_none() {
        // Another thread may have taken it meanwhile.
        probe_mapping(bytes)?;
    }
    Ok(needed)
}

/// All that the kernel has: mapped, where that can be done (6.16), since each read(2) gives but a page of it.
fn with_kernel<T>(look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    let mut file = File::open(KERNEL)?;
    let bytes = file.metadata()?.len() as usize;
    let length = NonZeroUsize::new(bytes).ok_or(io::ErrorKind::InvalidData)?;
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
    if let Ok(start) = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, &file, 0) } {
        // SAFETY: the kernel never changes it, and it stays mapped until after the last look at it.
        let looked = look(unsafe { slice::from_raw_parts(start.cast().as_ptr(), bytes) });
        // SAFETY: the mapping is ours, and nothing borrows from it any more.
        let _ = unsafe { munmap(start, bytes) };
        return Ok(looked);
    }
    let mut read = memory::with_capacity(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.read_to_end(&mut read)?;
    Ok(look(&read))
}

/// The object's own.
fn own_types(object: &OpenObject) -> Option<&[u8]> {
    let mut bytes = 0;
    // SAFETY: the object is open; what it has as BTF is its own for as long as it is, and is not changed meanwhile.
    unsafe {
        let types = libbpf_sys::bpf_object__btf(object.as_libbpf_object().as_ptr());
        let start = libbpf_sys::btf__raw_data(types.as_ref()?, &raw mut bytes);
        (!start.is_null()).then(|| slice::from_raw_parts(start.cast(), bytes as usize))
    }
}
