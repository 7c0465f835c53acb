//! What is known of where a name of an event leads.

use crate::mounts::host_mounts::HostMounts;
use crate::mounts::table::Place;

/// What is known of one name of an event.
#[derive(Debug, Default)]
pub struct RealName {
    pub(super) place: Place,
    pub(super) path: Vec<u8>,
    pub(super) has_path: bool,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is known.
    #[default]
    Unknown,
    /// The name surely leads to no file that has a path.
    Nowhere,
    /// The kernel's own structures showed it.
    Kernel,
    /// It was looked up.
    LookUp,
}

impl RealName {
    /// Forgets what is known.
    pub(super) fn clear(&mut self) {
        self.path.clear();
        self.has_path = false;
        self.state = State::Unknown;
    }

    /// Adds a name in the directory that is known so far.
    pub(super) fn push(&mut self, name: &[u8]) {
        for path in [&mut self.place.path, &mut self.path] {
            path.push(b'/');
            path.extend_from_slice(name);
        }
    }

    /// Takes the host's path by which a mount shows the place.
    pub(super) fn take_path_of_place(&mut self, own: &HostMounts) {
        if let Some(path) = own.paths_of(&self.place).next() {
            self.path = path;
            self.has_path = true;
        }
    }

    /// The place of the file in its file system, if it is known.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        matches!(self.state, State::Kernel | State::LookUp).then_some(&self.place)
    }

    /// The path of the file on this host, if it is known and a mount shows the file.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        self.has_path.then_some(if self.path.is_empty() { b"/" } else { &self.path })
    }

    /// Whether the name surely leads to no file that has a path.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.state == State::Nowhere
    }

    /// The way in which the path was found: an event's `real_path_by`.
    #[must_use]
    pub fn by(&self) -> Option<&'static str> {
        match self.state {
            State::Kernel => self.path().and(Some("kernel")),
            State::LookUp => self.path().and(Some("lookup")),
            State::Unknown | State::Nowhere => None,
        }
    }
}
