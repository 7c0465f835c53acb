//! What a look-up found.

use crate::event::real_name::{RealName, State};
use crate::mounts::host_mounts::HostMounts;
use crate::mounts::table::Place;

/// A directory, or a file whose link is followed, that was looked up.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) place: Place,
    /// The path on this host.
    pub(super) path: Option<Vec<u8>>,
}

impl Found {
    /// Gives what was found to `out`, with the name in the directory that it is.
    pub(super) fn give(&self, out: &mut RealName, own: &HostMounts, entry: Option<&[u8]>) {
        // In the memory that `out` has.
        out.place.dev = self.place.dev;
        out.place.path.clone_from(&self.place.path);
        out.state = State::LookUp;
        if let Some(path) = &self.path {
            out.path.extend_from_slice(path);
            out.has_path = true;
        }
        let Some(entry) = entry else { return };
        out.push(entry);
        // A mount can show a file without showing its directory.
        if !out.has_path {
            out.take_path_of_place(own);
        }
    }
}
