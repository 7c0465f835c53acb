//! The paths that the kernel found: through all symbolic links and mounts.

use crate::event::Event;
use crate::record::segments::{Directory, WalkStatus};

/// The real paths of one event. The buffers are reused.
#[derive(Debug, Default)]
pub struct RealPaths {
    path: Vec<u8>,
    new_path: Vec<u8>,
    by: Option<&'static str>,
}

impl RealPaths {
    /// Finds the real paths of an event.
    pub fn resolve(&mut self, event: &Event<'_>) {
        self.path.clear();
        self.new_path.clear();
        self.by = None;
        let found = event.truth.and_then(|truth| truth.real()).or_else(|| event.exit?.segments().real());
        if let Some(found) = found
            && push_file(&mut self.path, found)
        {
            self.by = Some("kernel");
        }
        if let Some(found) = event.truth.and_then(|truth| truth.new_real()) {
            push_file(&mut self.new_path, found);
        }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        (!self.path.is_empty()).then_some(&self.path)
    }

    /// The new path of a renamed file.
    #[must_use]
    pub fn new_path(&self) -> Option<&[u8]> {
        (!self.new_path.is_empty()).then_some(&self.new_path)
    }

    /// The way in which the paths were found.
    #[must_use]
    pub fn by(&self) -> Option<&'static str> {
        self.by
    }
}

/// Appends the path of a walk that began at the file itself. Returns false when it is not whole.
fn push_file(path: &mut Vec<u8>, file: Directory<'_>) -> bool {
    if !matches!(file.status, WalkStatus::Whole | WalkStatus::Deleted) {
        return false;
    }
    let names = file.names.strip_suffix(&[0]).unwrap_or(file.names);
    for name in names.rsplit(|byte| *byte == 0) {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    true
}
