//! This process's own mounts, read again when they may have changed.
//!
//! The programs report a mount that is made or taken away. A rename of a directory above a mount point, or of what a
//! bind mount shows, changes the paths of mounts and nobody is told. So the list is read again after a short time.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::mem;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use crate::mounts::host_mounts::HostMounts;
use crate::mounts::snapshots::{Snapshots, life_after};
use crate::sys::cached_path::NotFound;

/// The mounts of this process's namespace. The default is that none has been read.
#[derive(Debug, Default)]
pub struct OwnMounts {
    mounts: HostMounts,
    /// The list, which is open: whoever traces the opens of this very process sees one open.
    file: Option<File>,
    mountinfo: Vec<u8>,
    /// The memory of the list before.
    spare: Vec<u8>,
    /// Whether the host's root was at its path.
    is_root_seen: bool,
    /// How many changes were reported when the list was read.
    changes: Option<u64>,
    read_ns: u64,
    life_ns: u64,
}

impl OwnMounts {
    /// The mounts.
    #[must_use]
    pub fn mounts(&self) -> &HostMounts {
        &self.mounts
    }

    fn read(&mut self) -> io::Result<()> {
        let Self { file, spare, .. } = self;
        let file = match file {
            Some(file) => file,
            None => file.insert(File::open("/proc/self/mountinfo")?),
        };
        spare.clear();
        file.rewind()?;
        file.read_to_end(spare)?;
        Ok(())
    }

    /// Whether a change was reported, or what is known is too old for an event at `ts_ns`.
    #[must_use]
    pub fn is_due(&self, snapshots: &Snapshots, ts_ns: u64) -> bool {
        self.changes != Some(snapshots.own_changes()) || ts_ns.abs_diff(self.read_ns) >= self.life_ns
    }

    /// Reads the mounts again, for an event at `ts_ns`. `root` is this process's root, which is needed where the host's
    /// is another. Returns true if they may have changed.
    pub fn refresh(&mut self, snapshots: &Snapshots, root: Option<&Arc<OwnedFd>>, ts_ns: u64) -> bool {
        let changes = snapshots.own_changes();
        let is_reported = self.changes != Some(changes);
        let begin = Instant::now();
        if self.read().is_err() {
            self.spare.clear();
        }
        let host_root = snapshots.host_root();
        let is_gone = |root| matches!(host_root.look_up(root), Err(NotFound::Gone | NotFound::NoDirectory));
        let is_root_seen = host_root.is_own() || !root.is_some_and(is_gone);
        let has_changed = is_reported || self.spare != self.mountinfo || is_root_seen != self.is_root_seen;
        if has_changed {
            mem::swap(&mut self.spare, &mut self.mountinfo);
            // What is at the host's root instead of it has no path of the host.
            self.mounts =
                if is_root_seen { HostMounts::parse(&self.mountinfo, host_root.path()) } else { HostMounts::default() };
        }
        self.is_root_seen = is_root_seen;
        self.changes = Some(changes);
        self.read_ns = ts_ns;
        self.life_ns = life_after(begin.elapsed()).as_nanos().try_into().unwrap_or(u64::MAX);
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts::host_root::HostRoot;
    use crate::sys::cached_path::open_root;

    #[test]
    fn what_is_known_serves_for_a_short_time() {
        let snapshots = Snapshots::new(HostRoot::default());
        let mut own = OwnMounts::default();
        assert_eq!(own.mounts().place_of(b""), None);
        let begin = 1_000_000_000_000;
        assert!(own.refresh(&snapshots, None, begin));
        assert!(own.mounts().place_of(b"").is_some());
        // As if the list had been another one.
        own.mountinfo.clear();
        assert!(!own.is_due(&snapshots, begin + own.life_ns - 1) && own.is_due(&snapshots, begin + own.life_ns));
        assert!(own.refresh(&snapshots, None, begin + own.life_ns));
        assert!(!own.refresh(&snapshots, None, begin + 10 * own.life_ns), "it is the same");
        assert!(own.life_ns >= 100_000_000);
    }

    #[test]
    fn a_root_that_is_replaced_shows_nothing() {
        let directory = std::env::temp_dir().join(format!("rawtp-own-mounts-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("root")).unwrap();
        let host_root = HostRoot::open(&directory.join("root")).unwrap();
        let (snapshots, root) = (Snapshots::new(host_root), Arc::new(open_root().unwrap()));
        let mut own = OwnMounts::default();
        assert!(own.refresh(&snapshots, Some(&root), 1));
        assert!(own.mounts().place_of(b"").is_some());
        std::fs::rename(directory.join("root"), directory.join("moved")).unwrap();
        std::fs::create_dir(directory.join("root")).unwrap();
        assert!(own.refresh(&snapshots, Some(&root), 1 + own.life_ns));
        assert_eq!(own.mounts().place_of(b""), None);
        std::fs::remove_dir(directory.join("root")).unwrap();
        std::fs::rename(directory.join("moved"), directory.join("root")).unwrap();
        assert!(own.refresh(&snapshots, Some(&root), 1 + 3 * own.life_ns));
        assert!(own.mounts().place_of(b"").is_some());
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
