//! The mounts of one namespace, from the text of `/proc/PID/mountinfo` (see proc(5)).

use crate::record::segments;

/// A file's place: a path in a file system. It is the same through whichever mount and in whichever namespace the file
/// is seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file system, as the kernel numbers devices (major << 20 | minor).
    pub dev: u32,
    /// The path from the root of the file system; "" for the root itself.
    pub path: Vec<u8>,
}

/// Whether a path is `above`, or below it. The root is "".
#[must_use]
pub fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}

/// Appends `/name` for each of the names of a walk, which come from the leaf to the root, each followed by a NUL.
pub fn push_upwards(path: &mut Vec<u8>, names: &[u8]) {
    let names = names.strip_suffix(&[0]).unwrap_or(names);
    if !names.is_empty() {
        for name in names.rsplit(|byte| *byte == 0) {
            path.push(b'/');
            path.extend_from_slice(name);
        }
    }
}

impl Place {
    /// Takes over the place that a walk found.
    pub fn set(&mut self, walked: &segments::Place<'_>) {
        self.dev = walked.dev;
        self.path.clear();
        push_upwards(&mut self.path, walked.above);
        push_upwards(&mut self.path, walked.names);
    }

    /// Whether the place is `above`, or below it.
    #[must_use]
    pub fn is_at_or_below(&self, above: &Self) -> bool {
        self.dev == above.dev && is_at_or_below(&self.path, &above.path)
    }
}

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mount {
    id: u32,
    parent: u32,
    /// The part of the file system that is mounted: the place of its root.
    root: Place,
    /// The path that it is mounted on; "" for the root.
    point: Vec<u8>,
}

/// The mounts of one namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountTable {
    mounts: Vec<Mount>,
}

/// Decodes a field, in which the kernel writes blanks and backslashes as three octal digits.
#[must_use]
pub fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        if let [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..] = rest {
            out.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
            rest = tail;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    out
}

fn number(field: &[u8]) -> Option<u32> {
    str::from_utf8(field).ok()?.parse().ok()
}

fn without_slash(path: Vec<u8>) -> Vec<u8> {
    if path == b"/" { Vec::new() } else { path }
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let (id, parent) = (number(fields.next()?)?, number(fields.next()?)?);
        let mut numbers = fields.next()?.split(|byte| *byte == b':').map(number);
        let (major, minor) = (numbers.next()??, numbers.next()??);
        // Namespaces and the like have no path in their file system ("net:[4026531840]").
        let root = Some(unescape(fields.next()?)).filter(|root| root.first() == Some(&b'/'))?;
        let point = unescape(fields.next()?);
        let dev = major.checked_mul(1 << 20)?.checked_add(minor)?;
        Some(Self { id, parent, root: Place { dev, path: without_slash(root) }, point: without_slash(point) })
    }

    /// Returns the place of a path on this mount.
    fn place_of(&self, path: &[u8]) -> Option<Place> {
        let below = path.strip_prefix(&*self.point)?;
        Some(Place { dev: self.root.dev, path: [&self.root.path, below].concat() })
    }
}

impl MountTable {
    /// Parses a `mountinfo`. Lines that are no mount with a path are skipped.
    #[must_use]
    pub fn parse(mountinfo: &[u8]) -> Self {
        Self { mounts: mountinfo.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect() }
    }

    /// Parses the `mountinfo` of a process whose root is at a path of its namespace. It has the mounts below that alone.
    #[must_use]
    pub fn parse_below(mountinfo: &[u8], root: &[u8]) -> Self {
        let mut table = Self::parse(mountinfo);
        for mount in &mut table.mounts {
            mount.point.splice(..0, root.iter().copied());
        }
        table
    }

    /// Returns the mounts that a path runs through, from the root on. The path needs no symbolic link to be followed.
    fn way_to(&self, path: &[u8]) -> Vec<&Mount> {
        let is_parent_known =
            |mount: &&Mount| mount.parent != mount.id && self.mounts.iter().any(|other| other.id == mount.parent);
        let mut way: Vec<&Mount> = Vec::new();
        // Of a process with a root of its own the mount that this is on may not be in the list, but some below it.
        let is_start = |mount: &&Mount| is_at_or_below(path, &mount.point) && !is_parent_known(mount);
        let mut next = self.mounts.iter().filter(is_start).min_by_key(|mount| mount.point.len());
        // No mount comes twice, whatever the text says.
        while let Some(mount) = next.filter(|_| way.len() <= self.mounts.len()) {
            way.push(mount);
            // The first one that the path meets on this mount. A second one on the same point is that one's child.
            next = self
                .mounts
                .iter()
                .filter(|child| child.parent == mount.id && child.id != mount.id && is_at_or_below(path, &child.point))
                .min_by_key(|child| child.point.len());
        }
        way
    }

    /// Returns the place that a path without symbolic links leads to. The root is "".
    #[must_use]
    pub fn place_of(&self, path: &[u8]) -> Option<Place> {
        self.way_to(path).last()?.place_of(path)
    }

    /// Returns the place of a path without symbolic links, and behind it the places of the points at which the mounts on
    /// the way are mounted, below the path `root`, which is above it.
    #[must_use]
    pub fn places_on_the_way(&self, path: &[u8], root: &[u8]) -> Vec<Place> {
        let way = self.way_to(path);
        let mut at = path;
        let mut places = Vec::new();
        for mount in way.iter().rev() {
            places.extend(mount.place_of(at));
            at = &mount.point;
            if at.len() <= root.len() {
                break;
            }
        }
        places
    }

    /// Returns the places of the roots of the mounts below a path.
    #[must_use]
    pub fn roots_below(&self, path: &[u8]) -> Vec<Place> {
        let below = self.mounts.iter().filter(|mount| mount.point != path && is_at_or_below(&mount.point, path));
        below.map(|mount| mount.root.clone()).collect()
    }

    /// Returns the paths at which a place is seen, those through mounts of whole file systems first.
    pub fn paths_of(&self, place: &Place) -> impl Iterator<Item = Vec<u8>> {
        let mut shown: Vec<_> = self.mounts.iter().filter(|mount| place.is_at_or_below(&mount.root)).collect();
        shown.sort_by_key(|mount| mount.root.path.len());
        let paths = shown.into_iter().map(|mount| [&mount.point, &place.path[mount.root.path.len()..]].concat());
        // Another mount may hide it.
        paths.filter(|path| self.place_of(path).as_ref() == Some(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &[u8] = b"22 28 0:21 / /proc rw shared:5 - proc proc rw\n\
        28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
        40 28 0:30 / /tmp rw - tmpfs tmpfs rw\n\
        41 40 254:1 /srv/b\\040c /tmp/bound rw - ext4 /dev/vda1 rw\n\
        42 41 0:31 / /tmp/bound/deep rw - tmpfs tmpfs rw\n\
        43 28 0:32 / /over rw - tmpfs tmpfs rw\n\
        44 43 0:33 / /over rw - tmpfs tmpfs rw\n\
        45 28 0:4 net:[4026531840] /run/netns/x rw - nsfs nsfs rw\n\
        46 28 254:1 /gone//deleted /odd rw - ext4 /dev/vda1 rw\n\
        not a mount\n";
    const ROOT: u32 = 254 << 20 | 1;

    fn place(dev: u32, path: &str) -> Place {
        Place { dev, path: path.into() }
    }

    #[test]
    fn a_path_leads_to_a_place() {
        let table = MountTable::parse(HOST);
        let found = |path: &str| table.place_of(path.as_bytes());
        assert_eq!(found("/srv/x"), Some(place(ROOT, "/srv/x")));
        assert_eq!(found(""), Some(place(ROOT, "")));
        assert_eq!(found("/tmp/x"), Some(place(30, "/x")));
        assert_eq!(found("/tmpx"), Some(place(ROOT, "/tmpx")));
        assert_eq!(found("/tmp/bound/x"), Some(place(ROOT, "/srv/b c/x")));
        assert_eq!(found("/tmp/bound/deep/x"), Some(place(31, "/x")));
        assert_eq!(found("/over/x"), Some(place(33, "/x")), "the upper one of two on one point");
        assert_eq!(MountTable::default().place_of(b"/x"), None);
    }

    #[test]
    fn a_place_has_all_its_paths() {
        let table = MountTable::parse(HOST);
        let paths = |dev, path| table.paths_of(&place(dev, path)).collect::<Vec<_>>();
        assert_eq!(paths(ROOT, "/srv/b c/x"), [b"/srv/b c/x".to_vec(), b"/tmp/bound/x".to_vec()]);
        assert_eq!(paths(ROOT, "/srv/b c/deep/x"), [b"/srv/b c/deep/x".to_vec()], "hidden below the other");
        assert_eq!(paths(32, "/x"), Vec::<Vec<u8>>::new(), "hidden");
        assert_eq!(paths(99, "/x"), Vec::<Vec<u8>>::new());
        assert_eq!(paths(30, ""), [b"/tmp".to_vec()]);
    }

    #[test]
    fn the_mounts_above_and_below() {
        let table = MountTable::parse(HOST);
        let above = [place(31, "/x"), place(ROOT, "/srv/b c/deep"), place(30, "/bound"), place(ROOT, "/tmp")];
        assert_eq!(table.places_on_the_way(b"/tmp/bound/deep/x", b""), above);
        assert_eq!(table.places_on_the_way(b"/tmp/bound/deep/x", b"/tmp/bound"), above[..2]);
        assert_eq!(table.places_on_the_way(b"/tmp/bound/deep/x", b"/tmp"), above[..3]);
        assert_eq!(table.roots_below(b"/tmp"), [place(ROOT, "/srv/b c"), place(31, "")]);
    }

    #[test]
    fn a_process_with_its_own_root_shows_what_is_below_it() {
        // The root is the directory /srv/jail, or the mount there.
        let text = b"51 40 0:21 / /proc rw - proc proc rw\n52 40 0:30 / /tmp rw - tmpfs tmpfs rw\n";
        let table = MountTable::parse_below(text, b"/srv/jail");
        assert_eq!(table.place_of(b"/srv/jail/tmp/x"), Some(place(30, "/x")));
        assert_eq!(table.place_of(b"/srv/jail/x"), None, "on a mount that is not shown");
        assert_eq!(table.place_of(b"/tmp/x"), None);
        let text = [b"40 28 0:40 / / rw - tmpfs tmpfs rw\n".as_slice(), text].concat();
        let table = MountTable::parse_below(&text, b"/srv/jail");
        assert_eq!(table.place_of(b"/srv/jail/x"), Some(place(40, "/x")));
        assert_eq!(table.place_of(b"/srv/jail/proc/1"), Some(place(21, "/1")));
        assert_eq!(table.place_of(b"/srv/x"), None);
    }

    #[test]
    fn a_text_that_goes_round_in_circles_ends() {
        let table = MountTable::parse(b"1 2 0:1 / / rw\n2 1 0:2 / / rw\n3 3 0:3 / / rw\n");
        assert_eq!(table.place_of(b"/x"), Some(place(3, "/x")));
        let table = MountTable::parse(b"1 9 0:1 / / rw\n2 1 0:2 / /a rw\n3 2 0:2 / /a rw\n2 3 0:2 / /a rw\n");
        assert!(table.place_of(b"/a/x").is_some());
    }

    #[test]
    fn this_hosts_own_mounts() {
        let table = MountTable::parse(&std::fs::read("/proc/self/mountinfo").unwrap());
        let found = table.place_of(b"/proc/self").unwrap();
        assert_eq!(found.path, b"/self");
        assert!(table.paths_of(&found).any(|path| path == b"/proc/self"));
    }

    #[test]
    fn a_walk_gives_a_place() {
        let mut found = place(7, "/old");
        found.set(&segments::Place { dev: 8, names: b"x\0b\0", above: b"mounted\0srv\0" });
        assert_eq!(found, place(8, "/srv/mounted/b/x"));
        found.set(&segments::Place { dev: 8, names: b"", above: b"" });
        assert_eq!(found, place(8, ""));
        assert!(place(8, "/a/b").is_at_or_below(&place(8, "/a")) && !place(8, "/ab").is_at_or_below(&place(8, "/a")));
        assert!(!place(9, "/a/b").is_at_or_below(&place(8, "/a")));
    }
}
