//! The files that count at one moment, while a recorder seals and removes them.
//!
//! The order matters. Sealed files are listed first, then the logs are opened, and then the journal is read. A log that
//! was sealed before the journal was read is known by its line, and one that is sealed later is open already. So each
//! event is in exactly one source.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use crate::error::{Error, Result};
use crate::history::catalogue::Catalogue;
use crate::history::contents;
use crate::history::files::{oddity, open_file, readable_size};
use crate::history::journal;
use crate::history::layout::{Layout, Stem, stem_of};
use crate::history::recovery::on_disk;
use crate::history::segment::Segment;
use crate::history::through;

/// A source of events.
#[derive(Debug)]
pub(crate) enum Source {
    /// A log that is not sealed.
    Log { stem: Stem, file: File, end_batch: u64, on_disk: u64 },
    /// A sealed file, and what the journal says of it.
    Segment { file: String, known: Option<Segment> },
    /// Something else under the name of a log, and what is wrong with it.
    Odd { file: String, reason: &'static str },
}

impl Source {
    /// The name, relative to the directory.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Log { stem, .. } => format!("wal/{stem}.arrows"),
            Self::Segment { file, .. } | Self::Odd { file, .. } => file.clone(),
        }
    }
}

/// The sources, the earliest first, and the journal.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) catalogue: Catalogue,
    pub(crate) sources: Vec<Source>,
}

/// Looks at a directory.
pub(crate) fn take(layout: &Layout) -> Result<Snapshot> {
    let os = || Error::os::<io::Error>("cannot read the history");
    let listed = layout.segments().map_err(os())?;
    let (mut logs, mut odd) = (Vec::new(), Vec::new());
    for stem in layout.logs().map_err(os())? {
        let path = layout.log(stem);
        match open_file(&path).and_then(|file| readable_size(&file, &path).map(|_| file)) {
            Ok(file) => logs.push((stem, file)),
            // Sealed by now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => odd.push((stem, oddity(&error).ok_or_else(|| os()(error))?)),
        }
    }
    let catalogue = Catalogue::new(&journal::read(&layout.journal()).map_err(os())?);
    logs.retain(|(stem, _)| !catalogue.sealed_logs.contains_key(stem));
    let is_orphan = |file: &&String| {
        let stem = stem_of(file);
        !catalogue.segments.contains_key(*file)
            && !catalogue.expired.contains_key(*file)
            && logs.iter().all(|(log, _)| Some(*log) != stem)
    };
    let orphans: Vec<_> = listed.iter().filter(is_orphan).cloned().collect();
    let mut sources: Vec<_> = orphans.into_iter().map(|file| Source::Segment { file, known: None }).collect();
    let known = catalogue.segments.values().cloned();
    sources.extend(known.map(|segment| Source::Segment { file: segment.file.clone(), known: Some(segment) }));
    sources.sort_by_key(|source| match source {
        Source::Segment { file, known } => (known.as_ref().map_or(i64::MIN, |segment| segment.first_ns), stem_of(file)),
        Source::Log { .. } | Source::Odd { .. } => (i64::MAX, None),
    });
    odd.retain(|(stem, _)| !catalogue.sealed_logs.contains_key(stem));
    sources.extend(odd.iter().map(|(stem, reason)| Source::Odd { file: format!("wal/{stem}.arrows"), reason }));
    let mut made = Vec::new();
    // Those behind come first, because they say where a log ends.
    let mut behind: BTreeMap<_, _> = odd.iter().map(|(stem, _)| (*stem, None)).collect();
    for (stem, file) in logs.into_iter().rev() {
        let state = through::read(&layout.through(stem.session)).map_err(os())?.unwrap_or_default();
        // One without a beginning may be one that was just made.
        behind.extend(contents::first_batch(&file).map_err(os())?.map(|first| (stem, Some(first))));
        let end_batch = catalogue.end_batch(stem, &behind);
        made.push(Source::Log { stem, file, end_batch, on_disk: on_disk(&state, stem) });
    }
    made.reverse();
    sources.extend(made);
    Ok(Snapshot { catalogue, sources })
}
