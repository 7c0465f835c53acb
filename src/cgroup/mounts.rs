//! The mount points of the cgroup hierarchies, and the choice of the hierarchy that names containers.

use std::ffi::OsString;
use std::fs::{self, File};
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::mounts::table::unescape;
use crate::skel::types::cgroup_v1;

/// A controller of cgroup version 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Controller {
    /// Its name in a mount's options.
    pub name: &'static str,
    /// Its number in the BPF programs.
    pub cgroup_v1: cgroup_v1,
}

/// The controllers in whose hierarchy every runtime creates its containers, and systemd its units. The first one that
/// is mounted is used.
pub const CONTROLLERS: [Controller; 4] = [
    Controller { name: "memory", cgroup_v1: cgroup_v1::CGROUP_V1_MEMORY },
    Controller { name: "pids", cgroup_v1: cgroup_v1::CGROUP_V1_PIDS },
    Controller { name: "devices", cgroup_v1: cgroup_v1::CGROUP_V1_DEVICES },
    Controller { name: "cpu", cgroup_v1: cgroup_v1::CGROUP_V1_CPU },
];

/// A hierarchy of cgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hierarchy {
    /// The hierarchy of version 2.
    V2,
    /// The hierarchy of version 1 with this controller.
    V1(Controller),
}

/// Returns the controller of the version 1 hierarchy to use, if this host has one.
#[must_use]
pub fn controller() -> Option<Controller> {
    let mountinfo = fs::read("/proc/self/mountinfo").ok()?;
    CONTROLLERS.into_iter().find(|controller| !Hierarchy::V1(*controller).mounts(&mountinfo).is_empty())
}

impl Hierarchy {
    /// Returns the hierarchy's mounts from the text of a `mountinfo`, each as the mounted cgroup and the mount point.
    /// Mounts of the whole tree come first.
    #[must_use]
    pub fn mounts(self, mountinfo: &[u8]) -> Vec<(OsString, PathBuf)> {
        let mut mounts: Vec<_> = mountinfo
            .split(|&byte| byte == b'\n')
            .filter_map(|line| {
                let mut fields = line.split(|&byte| byte == b' ');
                let (root, point) = (fields.nth(3)?, fields.next()?);
                // A dash ends the optional fields between these and the type.
                let mut fields = fields.skip_while(|field| *field != b"-").skip(1);
                let (kind, options) = (fields.next()?, fields.nth(1));
                self.is_mounted(kind, options.unwrap_or_default())
                    .then(|| (OsString::from_vec(unescape(root)), PathBuf::from(OsString::from_vec(unescape(point)))))
            })
            .collect();
        mounts.sort_by_key(|(root, _)| root != "/");
        mounts
    }

    fn is_mounted(self, kind: &[u8], options: &[u8]) -> bool {
        match self {
            Self::V2 => kind == b"cgroup2",
            Self::V1(controller) => {
                let mut options = options.split(|&byte| byte == b',');
                kind == b"cgroup" && options.any(|option| option == controller.name.as_bytes())
            }
        }
    }

    /// Whether the directory is in a hierarchy of this version.
    #[must_use]
    pub fn has(self, dir: &File) -> bool {
        let magic = match self {
            Self::V2 => libc::CGROUP2_SUPER_MAGIC,
            Self::V1(_) => libc::CGROUP_SUPER_MAGIC,
        };
        // SAFETY: all zeroes is a valid value of this struct of numbers.
        let mut stat: libc::statfs = unsafe { mem::zeroed() };
        // SAFETY: the descriptor is open, and the kernel writes no more than the struct.
        let ret = unsafe { libc::fstatfs(dir.as_raw_fd(), &raw mut stat) };
        // Both types depend on the C library.
        ret == 0 && u64::try_from(stat.f_type).ok() == u64::try_from(magic).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &[u8] = b"37 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
        38 31 0:39 / /sys/fs/cgroup/memory rw shared:4 - cgroup cgroup rw,memory\n\
        39 31 0:40 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
        40 31 0:38 /a\\040b /mnt/part rw - cgroup2 cgroup2 rw\n\
        41 31 0:38 / /sys/fs/cgroup/uni\\134fied rw - cgroup2 none rw\n\
        42 31 0:38 / /cut";

    #[test]
    fn mounts_of_version_2_are_found_wherever_they_are() {
        let unified = "24 31 0:22 / /sys rw shared:7 - sysfs sysfs rw\n\
            31 24 0:27 / /sys/fs/cgroup rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(Hierarchy::V2.mounts(unified.as_bytes()), [("/".into(), "/sys/fs/cgroup".into())]);
        assert_eq!(
            Hierarchy::V2.mounts(HYBRID),
            [("/".into(), r"/sys/fs/cgroup/uni\fied".into()), ("/a b".into(), "/mnt/part".into())]
        );
        assert!(Hierarchy::V2.mounts(b"\n - cgroup2\n1 2 3 4 5 - \n").is_empty());
    }

    #[test]
    fn mounts_of_version_1_are_found_by_their_controller() {
        let found = CONTROLLERS.map(|controller| Hierarchy::V1(controller).mounts(HYBRID));
        let mount = |point: &str| vec![("/".into(), point.into())];
        assert_eq!(found, [mount("/sys/fs/cgroup/memory"), vec![], vec![], mount("/sys/fs/cgroup/cpu,cpuacct"),]);
    }

    #[test]
    fn a_mounts_file_system_is_checked() {
        let mountinfo = fs::read("/proc/self/mountinfo").unwrap();
        for hierarchy in [Hierarchy::V2, Hierarchy::V1(CONTROLLERS[0])] {
            let listed = hierarchy.mounts(&mountinfo);
            assert!(listed.is_empty() || listed.iter().any(|(_, point)| hierarchy.has(&File::open(point).unwrap())));
            assert!(!hierarchy.has(&File::open("/proc").unwrap()));
        }
    }
}
