//! This process's own mounts, as far as they show the host: those at and below the host's root (see [`HostRoot`]).
//!
//! [`HostRoot`]: crate::mounts::host_root::HostRoot

use crate::mounts::table::{MountTable, Place, is_at_or_below};

/// The mounts by which this process sees the host's files. The default is that it sees none of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostMounts {
    table: MountTable,
    /// The path of the host's root in this namespace; "" where it is this process's own, `None` where it is not seen.
    root: Option<Vec<u8>>,
}

impl HostMounts {
    /// Parses a `mountinfo` of this process's own namespace.
    #[must_use]
    pub fn parse(mountinfo: &[u8], root: &[u8]) -> Self {
        Self { table: MountTable::parse(mountinfo), root: Some(root.to_vec()) }
    }

    /// All mounts of the namespace.
    #[must_use]
    pub fn table(&self) -> &MountTable {
        &self.table
    }

    /// Turns a path of this namespace into the host's. Returns false, and leaves it, where it is outside of the host's
    /// root.
    pub fn strip_root(&self, path: &mut Vec<u8>) -> bool {
        let Some(root) = self.root.as_ref().filter(|root| is_at_or_below(path, root)) else { return false };
        path.drain(..root.len());
        true
    }

    fn own_path(&self, path: &[u8]) -> Option<Vec<u8>> {
        Some([self.root.as_ref()?, path].concat())
    }

    /// Returns the place that a path of the host without symbolic links leads to. The root is "".
    #[must_use]
    pub fn place_of(&self, path: &[u8]) -> Option<Place> {
        self.table.place_of(&self.own_path(path)?)
    }

    /// Returns the place of a path of the host without symbolic links, and behind it the places of the points at which
    /// the mounts on the way are mounted, up to the host's root.
    #[must_use]
    pub fn places_on_the_way(&self, path: &[u8]) -> Vec<Place> {
        let Some((root, path)) = self.root.as_ref().zip(self.own_path(path)) else { return Vec::new() };
        self.table.places_on_the_way(&path, root)
    }

    /// Returns the places of the roots of the mounts below a path of the host.
    #[must_use]
    pub fn roots_below(&self, path: &[u8]) -> Vec<Place> {
        self.own_path(path).map_or_else(Vec::new, |path| self.table.roots_below(&path))
    }

    /// Returns the host's paths at which a place is seen, those through mounts of whole file systems first.
    pub fn paths_of(&self, place: &Place) -> impl Iterator<Item = Vec<u8>> {
        self.table.paths_of(place).filter_map(|mut path| self.strip_root(&mut path).then_some(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A container with the host's file systems at /host, and one of the host's directories at /var/lib/rawtp.
    const CONTAINER: &[u8] = b"28 1 0:50 / / ro - overlay overlay ro\n\
        30 28 254:1 / /host ro - ext4 /dev/vda1 ro\n\
        31 30 0:30 / /host/srv rw - tmpfs tmpfs rw\n\
        32 28 254:1 /var/lib/rawtp /var/lib/rawtp rw - ext4 /dev/vda1 rw\n\
        33 28 0:60 / /tmp rw - tmpfs tmpfs rw\n\
        34 28 254:2 / /host2 rw - ext4 /dev/vdb1 rw\n";
    const ROOT: u32 = 254 << 20 | 1;

    fn place(dev: u32, path: &str) -> Place {
        Place { dev, path: path.into() }
    }

    fn paths(mounts: &HostMounts, dev: u32, path: &str) -> Vec<String> {
        mounts.paths_of(&place(dev, path)).map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn places_have_the_hosts_paths() {
        let mounts = HostMounts::parse(CONTAINER, b"/host");
        assert_eq!(paths(&mounts, 30, "/x"), ["/srv/x"]);
        // Both show it. The host's path is told.
        assert_eq!(paths(&mounts, ROOT, "/var/lib/rawtp/x"), ["/var/lib/rawtp/x"]);
        assert_eq!(paths(&mounts, ROOT, ""), [""]);
        for (dev, path) in [(50, "/bin/sh"), (60, "/x"), (254 << 20 | 2, "/x"), (ROOT, "/srv/hidden")] {
            assert_eq!(paths(&mounts, dev, path), Vec::<String>::new(), "{path} is not on the host");
        }
        assert_eq!(paths(&HostMounts::parse(CONTAINER, b""), 60, "/x"), ["/tmp/x"]);
    }

    #[test]
    fn a_directory_of_another_mount_bounds_too() {
        let mounts = HostMounts::parse(CONTAINER, b"/host/srv/chroot");
        assert_eq!(paths(&mounts, 30, "/chroot/x"), ["/x"]);
        assert_eq!(paths(&mounts, 30, "/chroot2/x"), Vec::<String>::new());
    }

    #[test]
    fn the_hosts_paths_have_places() {
        let mounts = HostMounts::parse(CONTAINER, b"/host");
        assert_eq!(mounts.place_of(b"/srv/x"), Some(place(30, "/x")));
        assert_eq!(mounts.place_of(b""), Some(place(ROOT, "")));
        // The point /host itself is no place of the host's.
        assert_eq!(mounts.places_on_the_way(b"/srv/x"), [place(30, "/x"), place(ROOT, "/srv")]);
        assert_eq!(mounts.roots_below(b""), [place(30, "")]);
        assert_eq!(mounts.roots_below(b"/srv"), []);
    }

    #[test]
    fn a_root_that_is_not_seen_has_no_paths() {
        let mounts = HostMounts::default();
        let mut path = b"/own/x".to_vec();
        assert!(!mounts.strip_root(&mut path));
        assert_eq!((path, mounts.place_of(b"/own/x")), (b"/own/x".to_vec(), None));
        assert_eq!((mounts.places_on_the_way(b"/own/x"), mounts.roots_below(b"")), (Vec::new(), Vec::new()));
        assert_eq!(paths(&mounts, 30, "/x"), Vec::<String>::new());
    }

    #[test]
    fn a_path_outside_is_left() {
        let mounts = HostMounts::parse(CONTAINER, b"/host");
        let stripped = |path: &str| {
            let mut path = path.as_bytes().to_vec();
            (mounts.strip_root(&mut path), String::from_utf8(path).unwrap())
        };
        assert_eq!(stripped("/host/srv/x"), (true, "/srv/x".into()));
        assert_eq!(stripped("/host"), (true, String::new()));
        assert_eq!(stripped("/host2/x"), (false, "/host2/x".into()));
        assert_eq!(stripped("/x"), (false, "/x".into()));
    }
}
