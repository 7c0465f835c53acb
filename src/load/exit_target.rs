//! Passes libbpf the BTF id of the `sys_exit` tracepoint, which it would otherwise search for in the whole kernel BTF
//! on every load.

use std::sync::{Once, OnceLock};

use libbpf_rs::{OpenProgramMut, ProgramType};
use libbpf_sys::{
    BPF_PROG_TYPE_RAW_TRACEPOINT, BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, bpf_prog_load_opts, bpf_program,
    libbpf_prog_handler_opts,
};

use crate::btf::vmlinux::TypeIds;

/// The BTF id of the exit program's tracepoint.
static EXIT_TARGET: OnceLock<u32> = OnceLock::new();

/// Registers the handler of the exit program. Call it before the object is opened. libbpf then treats the exit program
/// as one of another type until it is loaded. For its real type, libbpf would search all of the kernel's types for the
/// target, which takes three milliseconds.
pub fn handle_exit_program() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        let options = libbpf_prog_handler_opts {
            sz: size_of::<libbpf_prog_handler_opts>() as _,
            cookie: 0,
            prog_setup_fn: None,
            prog_prepare_load_fn: Some(prepare_exit_program),
            prog_attach_fn: None,
        };
        let section = c"tp_btf/sys_exit".as_ptr();
        // SAFETY: libbpf copies the section's name and the options. If it cannot, it uses its own handler.
        unsafe {
            libbpf_sys::libbpf_register_prog_handler(
                section,
                BPF_PROG_TYPE_RAW_TRACEPOINT,
                BPF_TRACE_RAW_TP,
                &raw const options,
            )
        };
    });
}

/// # Safety
///
/// libbpf calls it with a program that it is about to load, and with the options of that load.
unsafe extern "C" fn prepare_exit_program(
    program: *mut bpf_program,
    options: *mut bpf_prog_load_opts,
    _cookie: std::ffi::c_long,
) -> std::ffi::c_int {
    let Some(&target) = EXIT_TARGET.get() else { return -libc::EINVAL };
    // SAFETY: the caller guarantees both pointers.
    unsafe {
        (*options).attach_btf_id = target;
        libbpf_sys::bpf_program__set_type(program, BPF_PROG_TYPE_TRACING)
    }
}

/// Returns the BTF id of the exit program's tracepoint, if it is known.
#[must_use]
pub fn exit_target() -> Option<u32> {
    EXIT_TARGET.get().copied()
}

/// Sets the target of the exit program. If its id is unknown, libbpf has to find it.
///
/// # Errors
///
/// Those of libbpf.
pub fn set_exit_target(program: &mut OpenProgramMut<'_>, ids: Option<TypeIds>) -> libbpf_rs::Result<()> {
    if let Some(target) = ids.and_then(|ids| ids.sys_exit) {
        EXIT_TARGET.get_or_init(|| target);
        return Ok(());
    }
    program.set_prog_type(ProgramType::Tracing);
    program.set_attach_target(0, Some("sys_exit".into()))
}
