//! The filters that the programs cannot decide alone: by the whole path, by result, and by what was lost.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::config::outcome::Outcome;
use crate::config::path_filter::PathFilter;
use crate::config::wanted_places::WantedPlaces;
use crate::config::when::When;
use crate::event::Event;
use crate::event::file_facts::{FileFacts, FileInfo};
use crate::event::real_paths::RealPaths;
use crate::mounts::host_root::HostRoot;
use crate::mounts::snapshots::Snapshots;
use crate::path::resolve::Paths;
use crate::ring::counters::KernelCounters;
use crate::sys::cached_path::{Follow, is_supported, look_up};
use crate::sys::clock::since_boot_ns;
use crate::syscall::Action;

/// How often the meaning of the path filters is found out again, by the times of the events. A symbolic link can change
/// without an event.
const REFRESH_NS: u64 = 100_000_000;

/// A filter that decides on each event before it is made.
#[derive(Debug, Default)]
pub struct ResidualFilter {
    outcome: Outcome,
    wanted: WantedPlaces,
    /// What opens and truncations that lose or change nothing are left out for.
    leaves_out: Option<When>,
    paths: Paths,
    real_paths: RealPaths,
    /// The programs, which compare the places too.
    programs: Option<Arc<KernelCounters>>,
    refreshed_ns: u64,
    /// Losses before filtered events since the last delivered one, by CPU and `via`.
    unreported_losses: FxHashMap<(u32, u8), u32>,
}

impl ResidualFilter {
    /// Creates a filter by result and by path. No paths let every path through.
    #[must_use]
    pub fn new(outcome: Outcome, wanted: Vec<PathFilter>) -> Self {
        Self { outcome, wanted: WantedPlaces::new(wanted), ..Self::default() }
    }

    /// Leaves out truncations that lose nothing, or opens that change nothing. The records must tell their files.
    #[must_use]
    pub fn without_harmless(self, leaves_out: Option<When>) -> Self {
        Self { leaves_out, ..self }
    }

    /// Keeps the programs informed of what the path filters mean, and takes the mounts of other namespaces from
    /// `snapshots`.
    #[must_use]
    pub fn informing(mut self, programs: &Arc<KernelCounters>, snapshots: &Arc<Snapshots>) -> Self {
        if !self.wanted.is_empty() {
            self.real_paths.learn_from(Arc::clone(snapshots));
            self.programs = Some(Arc::clone(programs));
            self.refresh(0);
        }
        self
    }

    /// Whether it lets every event through.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.outcome == Outcome::Any && self.wanted.is_empty() && self.leaves_out.is_none()
    }

    /// Finds out again what the path filters mean, if that may have changed since.
    fn refresh(&mut self, ts_ns: u64) {
        let has_other_mounts = self.real_paths.refresh(ts_ns);
        if !has_other_mounts && ts_ns.abs_diff(self.refreshed_ns) < REFRESH_NS {
            return;
        }
        self.refreshed_ns = ts_ns;
        let Some(root) = self.real_paths.host_root() else { return };
        if self.wanted.refresh(self.real_paths.own(), &root)
            && let Some(programs) = &self.programs
        {
            programs.set_places(&self.wanted.filters());
        }
        if !self.wanted.unknown().is_empty() {
            self.real_paths.snapshots().walk(self.wanted.unknown());
            // The next event looks again: the walk may take longer than until this one.
            self.refreshed_ns = 0;
        }
    }

    /// Finds out again what the path filters mean although no event came. The programs leave out what the filters did not
    /// mean before, so that no event might ever come.
    pub fn refresh_idle(&mut self) {
        if !self.wanted.is_empty() {
            self.refresh(since_boot_ns());
        }
    }

    /// Returns the event with the losses of filtered events before it; `None` when it is filtered itself.
    pub fn pass<'a>(&mut self, event: &Event<'a>) -> Option<Event<'a>> {
        let record = event.enter.record;
        let origin = (record.cpu, record.via);
        if !self.outcome.matches(event.ret())
            || self.leaves_out.is_some_and(|when| is_harmless(event, when))
            || !(self.wanted.is_empty() || self.is_wanted(event))
        {
            if event.lost() > 0 {
                let unreported_losses = self.unreported_losses.entry(origin).or_default();
                *unreported_losses = unreported_losses.saturating_add(event.lost());
            }
            return None;
        }
        let lost_before =
            if self.unreported_losses.is_empty() { 0 } else { self.unreported_losses.remove(&origin).unwrap_or(0) };
        Some(Event { lost_before, ..*event })
    }

    /// Takes back an event that was let through but is read again, and with it the losses it would have reported.
    pub fn put_back(&mut self, event: &Event<'_>) {
        if event.lost_before > 0 {
            let record = event.enter.record;
            self.unreported_losses.insert((record.cpu, record.via), event.lost_before);
        }
    }

    /// The number of losses that no event has reported.
    #[must_use]
    pub fn unreported_losses(&self) -> u64 {
        self.unreported_losses.values().map(|lost| u64::from(*lost)).sum()
    }

    /// Whether the event passes the filter by path.
    fn is_wanted(&mut self, event: &Event<'_>) -> bool {
        if event.has_pathless_name() {
            return false;
        }
        self.refresh(event.enter.record.ts_ns);
        self.real_paths.resolve(event);
        let (is_rename, has_new_name) = (event.is_rename(), event.has_new_name());
        let Self { wanted, real_paths, paths, .. } = self;
        let root = real_paths.host_root();
        let names = [Some(real_paths.name()), has_new_name.then(|| real_paths.new_name())];
        for (at, name) in names.into_iter().enumerate().filter_map(|(at, name)| Some((at, name?))) {
            if name.is_nowhere() {
                continue;
            }
            let Some(place) = name.place() else {
                if is_unknown_wanted(wanted, paths, event, at > 0) {
                    return true;
                }
                continue;
            };
            let is_directory = || {
                let Some((root, path)) = root.as_ref().zip(real_paths.new_name().path()) else { return true };
                look_up(root.as_fd(), path, Follow::Nothing, true).is_ok()
            };
            if wanted.has(place, name.path(), real_paths.own())
                || (is_rename && wanted.is_below(place, real_paths.own(), is_directory))
            {
                return true;
            }
        }
        let takes_name = matches!(event.action(), Some(Action::Delete | Action::Rmdir | Action::Rename));
        event.file_facts().file.filter(|_| !takes_name).is_some_and(|file| is_linked(wanted, &file, root.as_deref()))
    }
}

/// Whether an event whose place is not known passes the filter by path. It could be any place, so it passes, unless the
/// kernel did not reach a file either. A call that failed is compared by what it said, and so is every call where the
/// kernel's cache alone cannot be looked at.
fn is_unknown_wanted(wanted: &mut WantedPlaces, paths: &mut Paths, event: &Event<'_>, is_new: bool) -> bool {
    let segments = &event.enter.segments;
    let (name, directory, is_cwd) = if is_new {
        (event.new_filename(), segments.new_directory(), true)
    } else {
        (event.filename(), segments.directory(), event.enter.record.dfd == libc::AT_FDCWD)
    };
    paths.resolve(name, directory, segments.root(), is_cwd);
    if event.is_request() {
        paths.doubt();
    }
    if paths.is_nowhere() {
        return false;
    }
    let errno = event.errno().map(i32::from);
    match errno {
        Some(libc::EBADF | libc::EFAULT) => return false,
        Some(_) if !paths.is_cut() => {}
        None if !paths.is_cut() && !is_supported() => {}
        _ => return true,
    }
    [paths.path(), paths.host_path()].into_iter().flatten().any(|path| wanted.reads_like(path))
}

/// Whether the content of a wanted file goes by another of its names.
fn is_linked(wanted: &WantedPlaces, file: &FileInfo, root: Option<&OwnedFd>) -> bool {
    let Some(root) = root.filter(|_| file.nlink > 1) else { return false };
    wanted.paths().any(|path| {
        let found = look_up(root.as_fd(), path, Follow::Nothing, false).map(fs::File::from);
        found.is_ok_and(|found| found.metadata().is_ok_and(|it| (it.dev(), it.ino()) == (file.dev(), file.ino)))
    })
}

/// Whether a successful truncation loses nothing, or an open changes nothing.
fn is_harmless(event: &Event<'_>, when: When) -> bool {
    if event.ret().is_none_or(|ret| ret < 0) {
        return false;
    }
    let facts = event.file_facts();
    let is_created = event.is_created();
    let is_no_file = facts.file.is_some_and(|file| file.mode & libc::S_IFMT != libc::S_IFREG);
    let is_truncation = event.action() == Some(Action::Truncate);
    match when {
        When::Always => false,
        When::Change => event.opens() && !is_created && (is_no_file || !is_truncation),
        When::Loss => is_created || is_truncation && (is_no_file || grows(&facts)),
    }
}

/// Whether a truncation makes the file larger. One that leaves it as large as it is stays an event, because without a
/// hook its size is not known.
fn grows(facts: &FileFacts) -> bool {
    facts.file.and_then(|file| file.size).zip(facts.length).is_some_and(|(size, length)| length > size)
}

/// Lets the kernel walk the paths once, so that they are in its cache from then on. A file system that does not answer
/// keeps it waiting.
pub fn walk_once(paths: &[PathFilter], host_root: &HostRoot) {
    for path in paths.iter().flat_map(|path| [path.path().map(<[u8]>::to_vec), path.glob_beginning()]).flatten() {
        host_root.walk(&path);
    }
}
