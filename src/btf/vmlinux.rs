//! The running kernel's BTF for libbpf, reduced to the types it needs. With it, libbpf does not look at the BTF of
//! modules, which the programs do not need.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::slice;
use std::sync::OnceLock;

use libbpf_rs::{AsRawLibbpf, OpenObject};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::btf::parse::{FUNC, STRUCT, TYPEDEF, Types, words};
use crate::btf::subset::subset_of;
use crate::memory::{self, OutOfMemory};
use crate::sys::fd::owned;
use crate::sys::mmap::probe_mapping;

/// The kernel's BTF ids of the types and functions that the programs name.
#[derive(Debug, Clone, Copy)]
pub struct TypeIds {
    /// The type of the tracepoint that the exit program attaches to.
    pub sys_exit: Option<u32>,
    /// The function `bpf_rdonly_cast`, since Linux 6.2.
    pub rdonly_cast: Option<u32>,
    /// The type `struct task_struct`.
    pub task_struct: u32,
    /// The type `struct pt_regs`.
    pub pt_regs: Option<u32>,
    /// The type `struct dentry`.
    pub dentry: Option<u32>,
    /// The type `struct mount`.
    pub mount: Option<u32>,
    /// The type `struct inode`.
    pub inode: Option<u32>,
    /// The functions of [`FUNCTIONS`], in its order.
    pub functions: [Option<Function>; FUNCTIONS.len()],
    /// Whether one link can attach a program to several functions (`kprobe.multi`): since Linux 5.18, with
    /// `CONFIG_FPROBE`.
    pub has_kprobe_multi: bool,
    /// Whether a program's attachment to a perf event is a link: since Linux 5.15.
    pub has_perf_link: bool,
    /// Whether RCU's readers can be preempted (`CONFIG_PREEMPT_RCU`).
    pub has_preemptible_rcu: bool,
}

/// A function of the kernel's.
#[derive(Debug, Clone, Copy)]
pub struct Function {
    /// Its BTF id.
    pub id: u32,
    /// The number of its parameters.
    pub parameters: usize,
}

/// The kernel's functions on the way to a removal. First those for its security modules, for calls and for whatever
/// removes; `security_file_truncate` exists since Linux 6.2. Then the functions that do the work, and the one that ends
/// an inode.
pub const FUNCTIONS: [&CStr; 14] = [
    c"security_path_unlink",
    c"security_path_rmdir",
    c"security_path_rename",
    c"security_path_truncate",
    c"security_file_truncate",
    c"security_inode_unlink",
    c"security_inode_rmdir",
    c"security_inode_rename",
    c"security_inode_setattr",
    c"vfs_unlink",
    c"vfs_rmdir",
    c"vfs_rename",
    c"do_truncate",
    c"evict",
];

/// The names and kinds of the other types and functions, in the order of [`TypeIds`].
const NAMED: [(&str, u32); 9] = [
    ("btf_trace_sys_exit", TYPEDEF),
    ("bpf_rdonly_cast", FUNC),
    ("task_struct", STRUCT),
    ("pt_regs", STRUCT),
    ("dentry", STRUCT),
    ("mount", STRUCT),
    ("inode", STRUCT),
    ("bpf_kprobe_multi_link", STRUCT),
    ("bpf_perf_link", STRUCT),
];

impl TypeIds {
    fn of(kernel: &Types<'_>) -> Option<Self> {
        let mut wanted = [("", FUNC); NAMED.len() + FUNCTIONS.len()];
        wanted[..NAMED.len()].copy_from_slice(&NAMED);
        for (wanted, name) in wanted[NAMED.len()..].iter_mut().zip(FUNCTIONS) {
            wanted.0 = name.to_str().unwrap_or_default();
        }
        let [
            sys_exit,
            rdonly_cast,
            task_struct,
            pt_regs,
            dentry,
            mount,
            inode,
            kprobe_multi,
            perf_link,
            functions @ ..,
        ] = kernel.find(wanted);
        let task_struct = task_struct?;
        let function = |id: Option<u32>| {
            let id = id?;
            Some(Function { id, parameters: kernel.get(kernel.get(id)?.size)?.count() })
        };
        let is_nesting = |[name, _, _]: [u32; 3]| kernel.name(name) == Some(b"rcu_read_lock_nesting");
        Some(Self {
            sys_exit,
            rdonly_cast,
            task_struct,
            pt_regs,
            dentry,
            mount,
            inode,
            functions: functions.map(function),
            has_kprobe_multi: kprobe_multi.is_some(),
            has_perf_link: perf_link.is_some(),
            has_preemptible_rcu: words(kernel.get(task_struct)?.rest).any(is_nesting),
        })
    }
}

struct Needed {
    types: Vec<u8>,
    type_ids: Option<TypeIds>,
}

const KERNEL: &str = "/sys/kernel/btf/vmlinux";

/// The subset for the programs' object. Object and kernel never change, so it is made once. `None` when it cannot be
/// made from this kernel's types.
static NEEDED: OnceLock<Option<Needed>> = OnceLock::new();

/// A file in memory with the subset. libbpf reads it when it loads an object that was opened with its path.
pub struct VmlinuxBtf(File);

impl VmlinuxBtf {
    /// Creates an empty file. `None` when it would be of no use: libbpf then searches all of the kernel's types itself.
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

    /// The path by which libbpf opens the file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Writes the types that the object needs. Returns whether that worked.
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

    /// Returns the ids. `None` before the first [`fill`](Self::fill), and when it failed.
    #[must_use]
    pub fn type_ids() -> Option<TypeIds> {
        NEEDED.get()?.as_ref()?.type_ids
    }
}

/// Makes the subset. `None` when the kernel's types are of an unknown form, which never changes. A lack of memory may.
fn look(object: &OpenObject) -> Result<Option<Needed>, OutOfMemory> {
    let kernel_bytes = fs::metadata(KERNEL).map_or(0, |found| found.len() as usize);
    // The peak: the kernel's types, the offset of each, and a number for each.
    let bytes = kernel_bytes + kernel_bytes / 2;
    probe_mapping(bytes)?;
    let needed = own_types(object).and_then(|own| {
        with_kernel(|kernel| {
            let kernel = Types::new(kernel)?;
            Some(Needed { types: subset_of(&kernel, own)?, type_ids: TypeIds::of(&kernel) })
        })
        .ok()?
    });
    if needed.is_none() {
        // Another thread may have taken the memory meanwhile.
        probe_mapping(bytes)?;
    }
    Ok(needed)
}

/// Hands the kernel's whole BTF to `look`.
pub(crate) fn with_kernel<T>(look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    with_btf(Path::new(KERNEL), look)
}

/// Hands a whole BTF of the kernel's to `look`. It is mapped where the kernel allows that (since Linux 6.16), because
/// each read(2) returns only one page of it.
pub(crate) fn with_btf<T>(path: &Path, look: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len() as usize;
    let length = NonZeroUsize::new(bytes).ok_or(io::ErrorKind::InvalidData)?;
    // SAFETY: a new mapping at an address of the kernel's choice overlaps nothing of ours.
    if let Ok(start) = unsafe { mmap(None, length, ProtFlags::PROT_READ, MapFlags::MAP_PRIVATE, &file, 0) } {
        // SAFETY: the kernel never changes the BTF, and it stays mapped until `look` has returned.
        let looked = look(unsafe { slice::from_raw_parts(start.cast().as_ptr(), bytes) });
        // SAFETY: the mapping is ours, and nothing borrows from it any more.
        let _ = unsafe { munmap(start, bytes) };
        return Ok(looked);
    }
    let mut read = memory::with_capacity(bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
    file.read_to_end(&mut read)?;
    Ok(look(&read))
}

/// Returns the object's own BTF.
fn own_types(object: &OpenObject) -> Option<&[u8]> {
    let mut bytes = 0;
    // SAFETY: the object is open. Its BTF lives as long as the object and does not change meanwhile.
    unsafe {
        let types = libbpf_sys::bpf_object__btf(object.as_libbpf_object().as_ptr());
        let start = libbpf_sys::btf__raw_data(types.as_ref()?, &raw mut bytes);
        (!start.is_null()).then(|| slice::from_raw_parts(start.cast(), bytes as usize))
    }
}
