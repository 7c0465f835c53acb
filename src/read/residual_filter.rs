//! The filters that the programs cannot decide alone: by the whole path and by result.

use rustc_hash::FxHashMap;

use crate::config::outcome::Outcome;
use crate::config::path_filter::PathFilter;
use crate::event::Event;
use crate::path::resolve::Paths;

/// A filter that decides on each event before it is made.
#[derive(Debug, Default)]
pub struct ResidualFilter {
    outcome: Outcome,
    wanted: Vec<PathFilter>,
    paths: Paths,
    /// Losses before filtered events since the last delivered one, by CPU and `via`.
    unreported_losses: FxHashMap<(u32, u8), u32>,
}

impl ResidualFilter {
    /// Creates a filter by result and by path. No paths let every path through.
    #[must_use]
    pub fn new(outcome: Outcome, wanted: Vec<PathFilter>) -> Self {
        Self { outcome, wanted, ..Self::default() }
    }

    /// Whether it lets every event through.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.outcome == Outcome::Any && self.wanted.is_empty()
    }

    /// Returns the event with the losses of filtered events before it; `None` when it is filtered itself.
    pub fn pass<'a>(&mut self, event: &Event<'a>) -> Option<Event<'a>> {
        let record = event.enter.record;
        let origin = (record.cpu, record.via);
        if !self.outcome.matches(event.ret()) || !(self.wanted.is_empty() || self.is_wanted(event)) {
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

    /// Whether the event passes the filter by path. An unknown or incomplete path could be any path, so it passes,
    /// unless the kernel did not reach a file either.
    fn is_wanted(&mut self, event: &Event<'_>) -> bool {
        if event.has_pathless_name() {
            return false;
        }
        let segments = &event.enter.segments;
        let reached_nothing = event.errno().is_some_and(|errno| [libc::EBADF, libc::EFAULT].contains(&errno.into()));
        let is_cwd = event.enter.record.dfd == libc::AT_FDCWD;
        let names =
            [(event.filename(), segments.directory(), is_cwd), (event.new_filename(), segments.new_directory(), true)];
        names.into_iter().enumerate().any(|(at, (name, directory, is_cwd))| {
            if at > 0 && name.is_none() {
                return false;
            }
            self.paths.resolve(name, directory, segments.root(), is_cwd);
            if event.is_request() {
                self.paths.doubt();
            }
            let (paths, wanted) = (&self.paths, &mut self.wanted);
            let mut has = |path: Option<&[u8]>| path.is_some_and(|path| wanted.iter_mut().any(|one| one.matches(path)));
            !paths.is_nowhere() && ((paths.is_cut() && !reached_nothing) || has(paths.path()) || has(paths.host_path()))
        })
    }
}
