//! Whether the kernel preempts programs of raw tracepoints.

use libbpf_rs::btf::{Btf, types::Struct};
use libbpf_sys::BPF_F_SLEEPABLE;

use crate::load::libbpf_log::keep_off_stderr;
use crate::sys::bpf::{load, nothing};

/// Whether the kernel can preempt a raw tracepoint's program. While one is preempted, the kernel skips it for every
/// other task on that CPU, and only the program's own count shows that.
///
/// Such a kernel lets these programs sleep (`BPF_F_SLEEPABLE`), and its preemptible RCU protects them.
#[must_use]
pub fn is_preemptible() -> bool {
    keep_off_stderr();
    sleeps() && has_preemptible_rcu()
}

fn sleeps() -> bool {
    load(&nothing(), BPF_F_SLEEPABLE).is_ok()
}

fn has_preemptible_rcu() -> bool {
    let Ok(btf) = Btf::from_vmlinux() else { return false };
    btf.type_by_name::<Struct<'_>>("task_struct")
        .is_some_and(|task| task.iter().any(|member| member.name.is_some_and(|name| name == "rcu_read_lock_nesting")))
}
