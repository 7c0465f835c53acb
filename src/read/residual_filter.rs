//! The filters that the kernel's programs cannot decide alone: the whole path, and the result.

use rustc_hash::FxHashMap;

use crate::config::outcome::Outcome;
use crate::config::path_filter::PathFilter;
use crate::event::Event;
use crate::path::resolve::Paths;

/// Looks at each event before it is made.
#[derive(Debug, Default)]
pub struct ResidualFilter {
    outcome: Outcome,
    wanted: Vec<PathFilter>,
    paths: Paths,
    /// By CPU and `via`: how many were lost before events that were left out since the last that was not.
    unreported_losses: FxHashMap<(u32, u8), u32>,
}

impl ResidualFilter {
    /// Leaves out what has another result, or no path that is wanted; no paths want all.
    #[must_use]
    pub fn new(outcome: Outcome, wanted: Vec<PathFilter>) -> Self {
        Self { outcome, wanted, ..Self::default() }
    }

    /// Whether it lets everything through.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.outcome == Outcome::Any && self.wanted.is_empty()
    }

    /// The event, with what was lost before others that are left out; `None` when it is left out itself.
    pub fn pass<'a>(&mut self, event: &Event<'a>) -> Option<Event<'a>> {
        let record = event.enter.record;
        let place = (record.cpu, record.via);
        if !self.outcome.matches(event.ret()) || !(self.wanted.is_empty() || self.is_wanted(event)) {
            if event.lost() > 0 {
                let unreported_losses = self.unreported_losses.entry(place).or_default();
                *unreported_losses = unreported_losses.saturating_add(event.lost());
            }
            return None;
        }
        let lost_before =
            if self.unreported_losses.is_empty() { 0 } else { self.unreported_losses.remove(&place).unwrap_or(0) };
        Some(Event { lost_before, ..*event })
    }

    /// An event that was let through is to be looked at again: what it would have told is still to be told.
    pub fn put_back(&mut self, event: &Event<'_>) {
        if event.lost_before > 0 {
            let record = event.enter.record;
            self.unreported_losses.insert((record.cpu, record.via), event.lost_before);
        }
    }

    /// How many were lost that no event has told of.
    #[must_use]
    pub fn unreported_losses(&self) -> u64 {
        self.unreported_losses.values().map(|lost| u64::from(*lost)).sum()
    }

    /// A path that is not known, or of which a part is missing, could be any; unless the kernel, too, found none.
    fn is_wanted(&mut self, event: &Event<'_>) -> bool {
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
            let (paths, wanted) = (&self.paths, &mut self.wanted);
            let mut has = |path: Option<&[u8]>| path.is_some_and(|path| wanted.iter_mut().any(|one| one.matches(path)));
            !paths.is_nowhere() && ((paths.is_cut() && !reached_nothing) || has(paths.path()) || has(paths.host_path()))
        })
    }
}
