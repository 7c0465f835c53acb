//! What the path filters mean now: the places that they lead to through symbolic links and mounts.
//!
//! A filter names a path. What a process does is done to a place, whatever name it used. The links and mounts on the
//! filter's path can change while a tracer runs, and the filter then follows its name.

use std::os::fd::{AsFd, OwnedFd};

use crate::config::path_filter::PathFilter;
use crate::mounts::host_mounts::HostMounts;
use crate::mounts::table::{Place, is_at_or_below};
use crate::path::glob_states::Glob;
use crate::skel::types::place_filter;
use crate::sys::cached_path::{Follow, NotFound, look_up, push_path_of};

/// The most bytes of a place that the programs compare (`PATH_FILTER_BYTES`).
const COMPARED_BYTES: usize = 256;

/// The meaning of all path filters.
#[derive(Debug, Default)]
pub struct WantedPlaces {
    wanted: Vec<Wanted>,
    unknown: Vec<Vec<u8>>,
}

/// The meaning of one path filter.
#[derive(Debug)]
struct Wanted {
    filter: PathFilter,
    path: Option<Meaning>,
    glob: Option<(Meaning, Glob)>,
}

/// The places of a path, or of the beginning of a glob.
#[derive(Debug, Default, PartialEq, Eq)]
struct Meaning {
    /// The paths without symbolic links: of the name itself, and of the file that it leads to if it is a link.
    paths: Vec<Vec<u8>>,
    /// The places of these paths, and of the mounts below them.
    places: Vec<Place>,
    /// The places of these paths and of the points at which the mounts above them are mounted. A directory above one of
    /// these takes the path along when it is renamed.
    way: Vec<Place>,
}

impl Meaning {
    fn new(paths: Vec<Vec<u8>>, own: &HostMounts) -> Self {
        let mut meaning = Self { paths, ..Self::default() };
        for path in &meaning.paths {
            let way = own.places_on_the_way(path);
            meaning.places.extend(way.first().cloned());
            meaning.places.extend(own.roots_below(path));
            meaning.way.extend(way);
        }
        meaning
    }

    /// Whether a renamed directory is above, or at, one of the paths.
    fn is_below(&self, place: &Place) -> bool {
        self.way.iter().any(|point| point.is_at_or_below(place))
    }

    fn has(&self, place: &Place, path: Option<&[u8]>) -> bool {
        self.places.iter().any(|wanted| place.is_at_or_below(wanted))
            || path.is_some_and(|path| self.paths.iter().any(|wanted| is_at_or_below(path, wanted)))
    }
}

/// Finds out what paths without symbolic links are.
struct Finder<'a> {
    /// The host's root.
    root: &'a OwnedFd,
    own: &'a HostMounts,
    /// The paths that are not in the kernel's cache.
    unknown: &'a mut Vec<Vec<u8>>,
}

impl Finder<'_> {
    /// Returns a path without the symbolic links in its part that exists, as far as that is known.
    fn real_path(&mut self, path: &[u8]) -> Vec<u8> {
        let mut left = path;
        loop {
            let mut real = Vec::new();
            let found =
                look_up(self.root.as_fd(), left, Follow::All, false).and_then(|fd| push_path_of(&fd, &mut real));
            if found == Err(NotFound::Unknown) && left.len() == path.len() {
                self.unknown.push(path.to_vec());
            }
            if found.is_ok() && self.own.strip_root(&mut real) {
                real.extend_from_slice(&path[left.len()..]);
                return real;
            }
            let Some(end) = left.iter().rposition(|byte| *byte == b'/') else { return path.to_vec() };
            left = &left[..end];
        }
    }

    /// Returns the paths that a filter's path leads to.
    fn real_paths(&mut self, path: &[u8]) -> Vec<Vec<u8>> {
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let name = [&self.real_path(&path[..end]), &path[end..]].concat();
        let mut paths = vec![name, self.real_path(path)];
        paths.dedup();
        paths
    }
}

impl WantedPlaces {
    /// Creates the meaning of the filters, which [`WantedPlaces::refresh`] finds out.
    #[must_use]
    pub fn new(filters: Vec<PathFilter>) -> Self {
        let wanted = filters.into_iter().map(|filter| Wanted { filter, path: None, glob: None }).collect();
        Self { wanted, unknown: Vec::new() }
    }

    /// Whether there is no filter, so that every path is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Finds out what the filters mean now. `root` is the host's. Returns true if that has changed.
    pub fn refresh(&mut self, own: &HostMounts, root: &OwnedFd) -> bool {
        let mut has_changed = false;
        self.unknown.clear();
        let mut finder = Finder { root, own, unknown: &mut self.unknown };
        for wanted in &mut self.wanted {
            if let Some(path) = wanted.filter.path() {
                let meaning = Some(Meaning::new(finder.real_paths(path), own));
                has_changed |= wanted.path != meaning;
                wanted.path = meaning;
            }
            if let Some(beginning) = wanted.filter.glob_beginning() {
                let meaning = Meaning::new(vec![finder.real_path(&beginning)], own);
                if wanted.glob.as_ref().is_none_or(|(known, _)| *known != meaning) {
                    has_changed = true;
                    let glob = wanted.filter.glob_at(&meaning.paths[0]);
                    wanted.glob = glob.map(|glob| (meaning, glob));
                }
            }
        }
        has_changed
    }

    /// The paths of which the last look did not find out what they mean, because they are not in the kernel's cache.
    #[must_use]
    pub fn unknown(&self) -> &[Vec<u8>] {
        &self.unknown
    }

    /// Whether the file at a place is wanted. `path` is one of its paths.
    pub fn has(&mut self, place: &Place, path: Option<&[u8]>, own: &HostMounts) -> bool {
        self.wanted.iter_mut().any(|wanted| {
            wanted.path.as_ref().is_some_and(|meaning| meaning.has(place, path))
                || wanted.glob.as_mut().is_some_and(|(_, glob)| {
                    path.is_some_and(|path| glob.matches(path)) || own.paths_of(place).any(|path| glob.matches(&path))
                })
        })
    }

    /// Whether the rename of the file at a place takes a wanted file along.
    pub fn is_below(&mut self, place: &Place, own: &HostMounts, is_directory: impl Fn() -> bool) -> bool {
        self.wanted.iter_mut().any(|wanted| {
            wanted.path.as_ref().is_some_and(|meaning| meaning.is_below(place))
                || wanted.glob.as_mut().is_some_and(|(meaning, glob)| {
                    meaning.is_below(place)
                        || (own.paths_of(place).any(|path| glob.may_match_below(&path)) && is_directory())
                })
        })
    }

    /// Whether a text, of which no place is known, reads like a wanted path.
    pub fn reads_like(&mut self, path: &[u8]) -> bool {
        self.wanted.iter_mut().any(|wanted| {
            wanted.filter.matches(path)
                || wanted
                    .path
                    .as_ref()
                    .is_some_and(|meaning| meaning.paths.iter().any(|real| is_at_or_below(path, real)))
                || wanted.glob.as_mut().is_some_and(|(_, glob)| glob.matches(path))
        })
    }

    /// The paths of files that are wanted themselves, not only what is below them.
    pub fn paths(&self) -> impl Iterator<Item = &[u8]> {
        self.wanted
            .iter()
            .filter_map(|wanted| wanted.path.as_ref())
            .flat_map(|meaning| &meaning.paths)
            .map(Vec::as_slice)
    }

    /// Returns the places for the programs: those on the way to a wanted one, and the mounts below it.
    #[must_use]
    pub fn filters(&self) -> Vec<place_filter> {
        let meanings =
            self.wanted.iter().flat_map(|wanted| [wanted.path.as_ref(), wanted.glob.as_ref().map(|(it, _)| it)]);
        let mut places: Vec<_> =
            meanings.flatten().flat_map(|meaning| meaning.way.iter().chain(&meaning.places)).collect();
        places.sort_by_key(|place| (place.dev, &place.path));
        places.dedup();
        places.into_iter().map(compared).collect()
    }
}

/// Returns a place in the form that the programs compare, cut to the components that fit.
fn compared(place: &Place) -> place_filter {
    let mut filter = place_filter { dev: place.dev, ..Default::default() };
    let mut start = filter.upwards.len();
    // The components are stored from the root to the leaf, and the root's child ends the array.
    for part in place.path.split(|byte| *byte == b'/').skip(1) {
        if filter.bytes as usize + part.len() + 1 > COMPARED_BYTES {
            break;
        }
        start -= part.len() + 1;
        filter.upwards[start..start + part.len()].copy_from_slice(part);
        filter.bytes += part.len() as u32 + 1;
    }
    filter
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::sys::cached_path::open_root;

    const MOUNTS: &[u8] = b"28 1 0:1 / / rw - ext4 a rw\n40 28 0:2 / /srv rw - ext4 b rw\n\
        41 40 0:3 /in/side /srv/db rw - ext4 c rw\n42 28 0:3 /in /bound rw - ext4 c rw\n";

    fn wanted(paths: &[&str]) -> (WantedPlaces, HostMounts) {
        let own = HostMounts::parse(MOUNTS, b"");
        let filters = paths.iter().map(|path| PathFilter::new(OsStr::new(path)).unwrap()).collect();
        let mut wanted = WantedPlaces::new(filters);
        // None of these exist, so they are taken by their names.
        assert!(wanted.refresh(&own, &open_root().unwrap()));
        assert!(!wanted.refresh(&own, &open_root().unwrap()));
        (wanted, own)
    }

    fn place(dev: u32, path: &str) -> Place {
        Place { dev, path: path.into() }
    }

    #[test]
    fn a_place_is_wanted_through_every_mount() {
        let (mut wanted, own) = wanted(&["/srv/db/nonexistent"]);
        let mut has = |dev, path: &str| wanted.has(&place(dev, path), None, &own);
        assert!(has(3, "/in/side/nonexistent") && has(3, "/in/side/nonexistent/below"));
        assert!(!has(3, "/in/side") && !has(2, "/in/side/nonexistent") && !has(3, "/in/side/nonexistent2"));
    }

    #[test]
    fn what_is_mounted_below_is_wanted() {
        let (mut wanted, own) = wanted(&["/srv"]);
        assert!(wanted.has(&place(3, "/in/side/x"), None, &own) && !wanted.has(&place(3, "/in/x"), None, &own));
        assert!(wanted.has(&place(2, "/x"), None, &own) && !wanted.has(&place(1, "/x"), None, &own));
    }

    #[test]
    fn a_directory_above_takes_the_path_along() {
        let (mut wanted, own) = wanted(&["/srv/db/nonexistent/x"]);
        let mut below = |dev, path: &str| wanted.is_below(&place(dev, path), &own, || true);
        assert!(below(3, "/in/side/nonexistent") && below(3, "/in") && below(1, "/srv"));
        assert!(!below(3, "/in/other") && !below(2, "/dbx") && !below(1, "/srv/x"));
    }

    #[test]
    fn globs_are_wanted_by_any_path() {
        let (mut wanted, own) = wanted(&["/bound/side/*/nonexistent/*.db"]);
        let inside = |name: &str| place(3, &format!("/in/side/{name}"));
        assert!(wanted.has(&inside("a/nonexistent/x.db"), None, &own));
        assert!(!wanted.has(&inside("a/nonexistent/x.txt"), None, &own));
        assert!(wanted.is_below(&inside("a"), &own, || true) && !wanted.is_below(&inside("a"), &own, || false));
        assert!(!wanted.is_below(&inside("a/other"), &own, || true));
    }

    #[test]
    fn the_programs_compare_what_is_on_the_way() {
        let (wanted, _) = wanted(&["/srv/db/nonexistent"]);
        let upwards = |filter: &place_filter| {
            let start = filter.upwards.len() - filter.bytes as usize;
            (filter.dev, String::from_utf8(filter.upwards[start..].to_vec()).unwrap())
        };
        let filters: Vec<_> = wanted.filters().iter().map(upwards).collect();
        let expected = [(1, "srv\0".into()), (2, "db\0".into()), (3, "nonexistent\0side\0in\0".into())];
        assert_eq!(filters, expected);
        let long = place(1, &format!("/{}/{}", "x".repeat(200), "y".repeat(60)));
        assert_eq!(compared(&long).bytes, 201);
        assert_eq!(compared(&place(7, "")).bytes, 0);
    }
}
