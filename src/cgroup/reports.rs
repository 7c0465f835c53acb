//! Cgroups that the kernel reported, on their way from the drain thread to the reader.
//!
//! Reports overtake the events in the queue. The path of a cgroup that is older than the tracer comes when its last
//! process leaves it, so it comes after that process's events. A late reader still finds the path in time for them.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::cgroup::CACHE_ENTRIES;
use crate::memory::{OutOfMemory, fallible, with_capacity};
use crate::record::{Cgroup, Record, parse, record_at};

/// The kernel's report about one cgroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The version of its hierarchy: 1 or 2.
    pub version: u16,
    /// Its id within the hierarchy.
    pub id: u64,
    /// Whether it was just created. Of two cgroups with one id the newer counts.
    pub is_new: bool,
    /// Its path from the root of the hierarchy.
    pub path: Box<[u8]>,
}

impl Report {
    fn new(Cgroup { record, path }: Cgroup<'_>) -> Result<Self, OutOfMemory> {
        let mut copy = with_capacity(path.len())?;
        copy.extend_from_slice(path);
        Ok(Self { version: record.version, id: record.id, is_new: record.is_new != 0, path: copy.into() })
    }
}

/// Adds a report. If there are [`CACHE_ENTRIES`] already, the oldest is dropped. Returns false if one was.
fn add(waiting: &mut VecDeque<Report>, cgroup: Cgroup<'_>) -> Result<bool, OutOfMemory> {
    let report = Report::new(cgroup)?;
    let is_full = waiting.len() >= CACHE_ENTRIES;
    if is_full {
        waiting.pop_front();
    } else if waiting.len() == waiting.capacity() {
        fallible(|| waiting.try_reserve(1))?;
    }
    waiting.push_back(report);
    Ok(!is_full)
}

/// The reports that the reader has not taken yet: at most the latest [`CACHE_ENTRIES`].
#[derive(Debug, Default)]
pub struct CgroupReports {
    waiting: Mutex<VecDeque<Report>>,
    /// Lets the reader skip the lock when there is nothing to take.
    has_any: AtomicBool,
    dropped: AtomicU64,
}

impl CgroupReports {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Report>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the reports among a run's records. Returns false when the run has records that are no reports, so that
    /// the reader must get it.
    pub fn keep(&self, run: &[u8]) -> bool {
        let mut waiting = self.lock();
        let (mut position, mut is_all) = (0, true);
        // The reader reports a malformed record when it gets there.
        while let Ok(Some((bytes, end))) = record_at(run, position) {
            position = end;
            match parse(bytes) {
                Ok(Record::Cgroup(cgroup)) if add(&mut waiting, cgroup) != Ok(true) => self.drop_one(),
                Ok(Record::Cgroup(_) | Record::Mounts(_) | Record::Fork(_) | Record::Exec(_)) => {}
                _ => is_all = false,
            }
        }
        self.has_any.store(!waiting.is_empty(), Ordering::Release);
        is_all && position >= run.len()
    }

    /// Takes all reports, the oldest first.
    #[must_use]
    pub fn take(&self) -> VecDeque<Report> {
        if !self.has_any.load(Ordering::Acquire) {
            return VecDeque::new();
        }
        let mut waiting = self.lock();
        self.has_any.store(false, Ordering::Release);
        mem::take(&mut *waiting)
    }

    /// Counts a report that was dropped, here or by the reader.
    pub fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of dropped reports. A report is dropped when the reader is late or memory runs out.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::refusal;
    use crate::record::testing::{cgroup, exit, framed};

    fn report(id: u64, path: &str) -> Report {
        Report { version: 2, id, is_new: true, path: path.as_bytes().into() }
    }

    #[test]
    fn a_report_is_taken_once() {
        let reports = CgroupReports::default();
        assert!(reports.take().is_empty());
        let run = [framed(&cgroup(2, 7, true, b"/a"), 0), framed(&cgroup(1, 7, false, b"/b"), 0)].concat();
        assert!(reports.keep(&run));
        let other = Report { version: 1, is_new: false, ..report(7, "/b") };
        assert_eq!(reports.take(), [report(7, "/a"), other]);
        assert!(reports.take().is_empty());
        assert_eq!(reports.dropped(), 0);
    }

    #[test]
    fn a_run_with_other_records_goes_to_the_reader_too() {
        let reports = CgroupReports::default();
        let [told, ended] = [cgroup(2, 7, true, b"/a"), exit(1, 263, 0, 0)].map(|record| framed(&record, 0));
        assert!(!reports.keep(&[told.clone(), ended.clone(), told.clone()].concat()));
        assert_eq!(reports.take().len(), 2);
        assert!(!reports.keep(&ended));
        assert!(!reports.keep(&[told.as_slice(), &[0xff; 8]].concat()), "a length that leads out of the run");
        assert_eq!(reports.take(), [report(7, "/a")]);
    }

    #[test]
    fn a_report_without_memory_is_counted() {
        let run = [framed(&cgroup(2, 7, true, b"/a"), 0), framed(&cgroup(2, 8, true, b"/b"), 0)].concat();
        // The first one's path, the room for it, and the second one's path.
        for (granted, kept) in [(0, 8), (1, 8), (2, 7)] {
            let reports = CgroupReports::default();
            refusal::after(granted);
            assert!(reports.keep(&run));
            assert!(refusal::end());
            let taken: Vec<_> = reports.take().iter().map(|report| report.id).collect();
            assert_eq!((taken, reports.dropped()), (vec![kept], 1), "{granted}");
        }
    }

    #[test]
    fn the_latest_reports_are_kept() {
        let reports = CgroupReports::default();
        for id in 0..CACHE_ENTRIES as u64 + 10 {
            assert!(reports.keep(&framed(&cgroup(2, id, true, b"/x"), 0)));
        }
        let taken = reports.take();
        assert_eq!((taken.len(), taken[0].id, reports.dropped()), (CACHE_ENTRIES, 10, 10));
    }
}
