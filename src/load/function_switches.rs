//! Variables of the programs for the kernel's functions: some tell them what is attached, and others that they ran.

use std::ptr;

use crate::skel::RawtpSkel;

/// The addresses of the variables that the programs set, or that tell them what is attached.
pub(super) struct Switches {
    runs: *mut u32,
    result_runs: *mut u32,
    sees_results: *mut u32,
    work_begins: *mut u32,
    hides_rmdir: *mut u32,
    sees_freed: *mut u32,
    is_closed: *mut u32,
}

impl Switches {
    /// Finds the variables, and resets them. `None` where they are not mapped.
    pub(super) fn new(skel: &RawtpSkel<'_>) -> Option<Self> {
        let bss = skel.maps.bss_data.as_deref()?;
        let address = |variable: &u32| ptr::from_ref(variable).cast_mut();
        let switches = Self {
            runs: address(&bss.truth_runs),
            result_runs: address(&bss.result_runs),
            sees_results: address(&bss.sees_results),
            work_begins: address(&bss.work_begins),
            hides_rmdir: address(&bss.hides_rmdir),
            sees_freed: address(&bss.sees_freed),
            is_closed: address(&skel.maps.data_live_data.as_deref()?.live.is_closed),
        };
        for variable in [switches.runs, switches.result_runs, switches.sees_results, switches.sees_freed] {
            Self::set(variable, 0);
        }
        Some(switches)
    }

    fn set(variable: *mut u32, value: u32) {
        // SAFETY: it points into the mapping of the skeleton, which outlives the attachment. The programs read and write
        // whole words.
        unsafe { variable.write_volatile(value) };
    }

    fn is_set(variable: *mut u32) -> bool {
        // SAFETY: as above. A program may write it at the same time, and any value but 0 means that it ran.
        unsafe { variable.read_volatile() != 0 }
    }

    pub(super) fn has_run(&self) -> bool {
        Self::is_set(self.runs)
    }

    pub(super) fn has_ended(&self) -> bool {
        Self::is_set(self.result_runs)
    }

    pub(super) fn forget_begin(&self) {
        Self::set(self.work_begins, 0);
    }

    pub(super) fn has_begun(&self) -> bool {
        Self::is_set(self.work_begins)
    }

    pub(super) fn set_hides_rmdir(&self, hides: bool) {
        Self::set(self.hides_rmdir, hides.into());
    }

    pub(super) fn set_results(&self, sees: bool) {
        Self::set(self.sees_results, sees.into());
    }

    pub(super) fn set_freed(&self) {
        Self::set(self.sees_freed, 1);
    }

    pub(super) fn set_closed(&self, is_closed: bool) {
        Self::set(self.is_closed, is_closed.into());
    }
}
