//! Writes the filters into opened objects, and fills the maps of loaded ones.

use std::os::fd::AsRawFd;

use libbpf_rs::{MapCore, MapFlags};

use crate::config::filter_values::FILTER_MAX;
use crate::config::filters::{Filters, Process};
use crate::skel::counts::{CountsSkel, OpenCountsSkel};
use crate::skel::{OpenRawtpSkel, RawtpSkel};

/// Writes the filters into an opened object. The skeletons have no type in common, but the same names
/// (`bpf/lib/filter_task.bpf.h`).
macro_rules! configure_filters {
    ($filters:expr, $open:expr) => {{
        let (filters, open) = ($filters, $open);
        let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section");
        put(&mut rodata.cfg_pids, &mut rodata.cfg_pid_count, &filters.pids);
        put(&mut rodata.cfg_uids, &mut rodata.cfg_uid_count, &filters.uids);
        for (slot, comm) in rodata.cfg_comms.iter_mut().zip(&filters.comms) {
            (slot.words, slot.masks) = (comm.words, comm.masks);
        }
        rodata.cfg_comm_count = filters.comms.len() as u32;
        rodata.cfg_cgroup_count = filters.cgroups.len() as u32;
        rodata.cfg_follow = filters.follow;
        rodata.cfg_launcher = filters.launcher.unwrap_or_default();
        rodata.cfg_is_limited = filters.owner.is_some();
        rodata.cfg_owner = filters.owner.unwrap_or_default();
        if let Some(Process { pid, namespace }) = filters.without {
            rodata.cfg_self = pid;
            (rodata.cfg_self_dev, rodata.cfg_self_ino) = namespace.unwrap_or_default();
        }
        open.progs.handle_fork.set_autoload(filters.follow);
        open.progs.handle_process_exit.set_autoload(filters.follow);
        open.maps.followed.set_autocreate(filters.follow)?;
        open.maps.cgroups.set_autocreate(!filters.cgroups.is_empty())
    }};
}

/// Fills the filters' maps of a loaded object.
macro_rules! fill_filters {
    ($filters:expr, $skel:expr) => {{
        let (filters, skel) = ($filters, $skel);
        for pid in filters.pids.iter().filter(|_| filters.follow) {
            skel.maps.followed.update(&pid.to_ne_bytes(), &[1], MapFlags::ANY)?;
        }
        for (at, cgroup) in (0_u32..).zip(&filters.cgroups) {
            skel.maps.cgroups.update(&at.to_ne_bytes(), &cgroup.as_raw_fd().to_ne_bytes(), MapFlags::ANY)?;
        }
        Ok(())
    }};
}

/// Writes the filters into the programs of a tracer. Call it before the load.
pub(crate) fn configure(filters: &Filters, open: &mut OpenRawtpSkel<'_>) -> libbpf_rs::Result<()> {
    let rodata = open.maps.rodata_data.as_deref_mut().expect("the object has a .rodata section");
    rodata.cfg_has_paths = filters.has_paths();
    configure_filters!(filters, open)
}

/// Fills the filters' maps. Call it before the programs are attached.
pub(crate) fn fill(filters: &Filters, skel: &RawtpSkel<'_>) -> libbpf_rs::Result<()> {
    fill_filters!(filters, skel)
}

/// Writes the filters into the programs that count. Call it before the load.
pub(crate) fn configure_counts(filters: &Filters, open: &mut OpenCountsSkel<'_>) -> libbpf_rs::Result<()> {
    configure_filters!(filters, open)
}

/// Fills the maps of the programs that count. Call it before they are attached.
pub(crate) fn fill_counts(filters: &Filters, skel: &CountsSkel<'_>) -> libbpf_rs::Result<()> {
    fill_filters!(filters, skel)
}

fn put<T: Copy>(slots: &mut [T; FILTER_MAX], count: &mut u32, values: &[T]) {
    slots[..values.len()].copy_from_slice(values);
    *count = values.len() as u32;
}
