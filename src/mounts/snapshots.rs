//! The mounts of the namespaces in which events happened.
//!
//! The programs report each namespace with its first event, and again when its mounts have changed. A namespace can be
//! gone as soon as its last process is, so the drain thread opens its list of mounts at once, which keeps it. It does
//! not read that: a namespace can have a hundred thousand mounts, whoever made it. A thread of its own does.

use std::collections::VecDeque;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::memory::touch_thread_locals;
use crate::mounts::host_mounts::HostMounts;
use crate::mounts::host_root::HostRoot;
use crate::mounts::list::{List, open, open_of, read};
use crate::mounts::table::MountTable;
use crate::record::{Record, mounts_record, parse, record_at};
use crate::sys::signals::Blocked;

/// The most namespaces that are kept.
const NAMESPACES: usize = 1024;
/// The most namespaces that wait to be read. Each takes a descriptor.
const WAITING: usize = 64;
/// How long a reader waits for a namespace that is being read.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long a list of mounts is true at least. A rename can move mounts, and nobody is told.
const LIFE: Duration = Duration::from_millis(100);
/// How many times longer than it took to read a list is true. A list can have a hundred thousand mounts.
const LIFE_OF_COST: u32 = 50;

/// How many times longer than it took to read a list no other one is renewed. A user can have many namespaces.
const REST_OF_COST: u32 = 10;

/// How long a list of mounts is taken for true that took so long to read.
pub(super) fn life_after(cost: Duration) -> Duration {
    LIFE.max(cost.saturating_mul(LIFE_OF_COST))
}

/// The mounts of a namespace, as they were read.
#[derive(Debug)]
struct Known {
    table: Arc<MountTable>,
    end: Instant,
    /// The root below which they are.
    root: Vec<u8>,
}

#[derive(Debug, Default)]
struct State {
    tables: FxHashMap<u32, Known>,
    /// Namespaces whose mounts are to be read, and those that are being read.
    waiting: VecDeque<(u32, Option<List>)>,
    reading: Option<u32>,
    /// Until then no list is renewed.
    rest_end: Option<Instant>,
    /// Paths that are to be walked.
    walks: VecDeque<Vec<u8>>,
    /// Whether the thread runs.
    is_started: bool,
    is_closed: bool,
}

/// The mounts of namespaces, shared by the drain thread, the reading thread and the readers.
#[derive(Debug, Default)]
pub struct Snapshots {
    state: Mutex<State>,
    changed: Condvar,
    host_root: HostRoot,
    own_ns: u32,
    /// The namespace whose paths are the host's, if it is known.
    host_ns: Option<u32>,
    /// How often this process's own mounts were reported as changed.
    own_changes: AtomicU64,
    dropped: AtomicU64,
}

fn namespace_of(process: &str) -> Option<u32> {
    // The inode number is the namespace's, which has 32 bits.
    u32::try_from(fs::metadata(format!("/proc/{process}/ns/mnt")).ok()?.ino()).ok()
}

/// Reads this process's own mounts.
#[must_use]
pub fn own_mounts(host_root: &HostRoot) -> HostMounts {
    HostMounts::parse(&fs::read("/proc/self/mountinfo").unwrap_or_default(), host_root.path())
}

/// Returns the namespace of the host's first process, where this process sees that one and what it has for its root is
/// mounted at the host's root. The mounts there may show more than those here.
fn first_namespace(host_root: &HostRoot, own_ns: u32) -> Option<u32> {
    let first = namespace_of("1").filter(|first| *first != own_ns)?;
    let root = read(open_of(first, 1)?)?.place_of(b"")?;
    (own_mounts(host_root).place_of(b"")? == root).then_some(first)
}

impl Snapshots {
    /// Creates the snapshots of a process that is in its own namespace.
    #[must_use]
    pub fn new(host_root: HostRoot) -> Arc<Self> {
        let own_ns = namespace_of("self").unwrap_or_default();
        let host_ns = if host_root.is_own() { Some(own_ns) } else { first_namespace(&host_root, own_ns) };
        Arc::new(Self { host_root, own_ns, host_ns, ..Self::default() })
    }

    /// The directory at which the host's root is mounted.
    #[must_use]
    pub fn host_root(&self) -> &HostRoot {
        &self.host_root
    }

    /// Whether the paths of a namespace, as an event has it, are those of the host.
    #[must_use]
    pub fn is_host(&self, mnt_ns: u32) -> bool {
        self.host_ns == Some(mnt_ns)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The namespace of this process, as an event has it; 0 if it is not known.
    #[must_use]
    pub fn own_ns(&self) -> u32 {
        self.own_ns
    }

    /// How often this process's own mounts were reported as changed.
    #[must_use]
    pub fn own_changes(&self) -> u64 {
        self.own_changes.load(Ordering::Acquire)
    }

    /// The number of reports that were dropped because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Takes the mount namespaces among a run's records.
    pub fn keep(self: &Arc<Self>, run: &[u8]) {
        let mut position = 0;
        while let Ok(Some((bytes, end))) = record_at(run, position) {
            position = end;
            match parse(bytes) {
                Ok(Record::Mounts(record)) if record.mnt_ns == self.own_ns => {
                    self.own_changes.fetch_add(1, Ordering::Release);
                }
                Ok(Record::Mounts(record)) => {
                    // What is mounted on the host is mounted below the host's root here, too.
                    if self.is_host(record.mnt_ns) {
                        self.own_changes.fetch_add(1, Ordering::Release);
                    }
                    self.ask(record);
                }
                _ => {}
            }
        }
    }

    fn ask(self: &Arc<Self>, record: &mounts_record) {
        let state = self.lock();
        // The list is made when it is read, so it will have the change.
        if state.waiting.iter().any(|(waiting, list)| *waiting == record.mnt_ns && list.is_some()) {
            return;
        }
        let is_full = state.waiting.len() >= WAITING;
        drop(state);
        let processes = [record.pid, record.ppid].into_iter().chain(self.first_process(record.mnt_ns));
        let list = if is_full { None } else { open(record.mnt_ns, processes) };
        if !self.have_read(&mut self.lock(), record.mnt_ns, list) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The first process, if it is in this namespace.
    fn first_process(&self, mnt_ns: u32) -> Option<u32> {
        self.is_host(mnt_ns).then_some(1)
    }

    /// Has the thread read a list of mounts. Returns false if too many wait.
    fn have_read(self: &Arc<Self>, state: &mut State, mnt_ns: u32, list: Option<List>) -> bool {
        if state.waiting.len() >= WAITING || state.waiting.try_reserve(1).is_err() {
            return false;
        }
        state.waiting.push_back((mnt_ns, list));
        let is_started = self.start(state);
        if !is_started {
            state.waiting.clear();
        }
        self.changed.notify_all();
        is_started
    }

    /// Has the thread walk paths of the host, so that they are in the kernel's cache. It may wait for a file system that
    /// does not answer, which a reader must not.
    pub fn walk(self: &Arc<Self>, paths: &[Vec<u8>]) {
        let mut state = self.lock();
        if state.walks.is_empty() && self.start(&mut state) {
            state.walks.extend(paths.iter().cloned());
        }
        drop(state);
        self.changed.notify_all();
    }

    fn start(self: &Arc<Self>, state: &mut State) -> bool {
        if !state.is_started {
            let snapshots = Arc::clone(self);
            // The drain thread has blocked its signals, which belong to Python's threads. A reader has not.
            let blocked = Blocked::new();
            let started = thread::Builder::new().name("rawtp-mounts".into()).spawn(move || snapshots.run());
            drop(blocked);
            state.is_started = started.is_ok();
        }
        state.is_started
    }

    /// The reading thread.
    fn run(&self) {
        touch_thread_locals();
        let mut state = self.lock();
        loop {
            let Some((mnt_ns, list)) = state.waiting.pop_front() else {
                if state.is_closed {
                    return;
                }
                if let Some(path) = state.walks.pop_front() {
                    drop(state);
                    self.host_root.walk(&path);
                    state = self.lock();
                    continue;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.reading = Some(mnt_ns);
            drop(state);
            let begin = Instant::now();
            let root = list.as_ref().map(|list| list.root.clone()).unwrap_or_default();
            let table = list.and_then(read);
            let cost = begin.elapsed();
            let end = begin + cost + life_after(cost);
            state = self.lock();
            state.rest_end = Some(begin + cost.saturating_mul(REST_OF_COST));
            state.reading = None;
            match table {
                Some(table) => {
                    if state.tables.len() >= NAMESPACES {
                        state.tables.clear();
                    }
                    state.tables.insert(mnt_ns, Known { table: Arc::new(table), end, root });
                }
                // What is known of it is of before the change.
                None => drop(state.tables.remove(&mnt_ns)),
            }
            self.changed.notify_all();
        }
    }

    /// Returns the mounts of another namespace, in which a thread is. What is too old is read again, if that or another
    /// thread there still lives. It waits a moment for what is being read.
    #[must_use]
    pub fn table(self: &Arc<Self>, mnt_ns: u32, tid: u32) -> Option<Arc<MountTable>> {
        let deadline = Instant::now() + PATIENCE;
        let is_due = |state: &State| {
            state.reading == Some(mnt_ns) || state.waiting.iter().any(|(waiting, _)| *waiting == mnt_ns)
        };
        let mut state = self.lock();
        let now = Instant::now();
        let old = state.tables.get(&mnt_ns).filter(|known| known.end <= now).map(|known| known.root.clone());
        let may_renew = !is_due(&state) && state.rest_end.is_none_or(|end| end <= now);
        if let Some(root) = old.filter(|_| may_renew) {
            drop(state);
            let list = open(mnt_ns, [tid].into_iter().chain(self.first_process(mnt_ns)));
            state = self.lock();
            // Below another root than before, less or something else is seen.
            if list.as_ref().is_some_and(|list| list.root.is_empty() || list.root == root) {
                self.have_read(&mut state, mnt_ns, list);
            }
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if !is_due(&state) || left.is_zero() {
                return state.tables.get(&mnt_ns).map(|known| Arc::clone(&known.table));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends the thread once it has read what waits.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        drop(state);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::{enter, framed, mounts};

    /// A pid that no process has.
    const NOBODY: u32 = u32::MAX;

    fn report(mnt_ns: u32, pid: u32, parent: u32) -> Vec<u8> {
        [framed(&enter(1, 263, 1), 0), framed(&mounts(mnt_ns, pid, parent), 0)].concat()
    }

    fn own() -> u32 {
        namespace_of("self").unwrap()
    }

    #[test]
    fn a_namespace_is_read_through_a_process_in_it() {
        // As if this process were in another one.
        for (pid, parent) in [(std::process::id(), NOBODY), (NOBODY, std::process::id())] {
            let snapshots = Arc::new(Snapshots::default());
            assert_eq!(snapshots.table(own(), NOBODY), None);
            snapshots.keep(&report(own(), pid, parent));
            let table = snapshots.table(own(), NOBODY).unwrap();
            assert_eq!(table.place_of(b"/proc/self").unwrap().path, b"/self");
            assert_eq!(snapshots.own_changes(), 0);
            snapshots.close();
        }
    }

    #[test]
    fn a_namespace_whose_processes_are_gone_is_not_known() {
        let snapshots = Arc::new(Snapshots::default());
        snapshots.keep(&report(own(), std::process::id(), NOBODY));
        assert!(snapshots.table(own(), NOBODY).is_some());
        snapshots.keep(&report(own(), NOBODY, NOBODY));
        // What was known is of before the change.
        assert_eq!(snapshots.table(own(), NOBODY), None);
        // This process is in no namespace of this number.
        snapshots.keep(&report(7, std::process::id(), NOBODY));
        assert_eq!(snapshots.table(7, NOBODY), None);
        snapshots.close();
    }

    #[test]
    fn what_is_old_is_read_again_through_a_thread_that_lives() {
        let snapshots = Arc::new(Snapshots::default());
        snapshots.keep(&report(own(), std::process::id(), NOBODY));
        let first = snapshots.table(own(), NOBODY).unwrap();
        let is_first = |found: Option<Arc<MountTable>>| Arc::ptr_eq(&first, &found.unwrap());
        assert!(is_first(snapshots.table(own(), std::process::id())), "it is fresh");
        let mut state = snapshots.lock();
        state.tables.get_mut(&own()).unwrap().end = Instant::now();
        state.rest_end = Some(Instant::now() + Duration::from_secs(3600));
        drop(state);
        assert!(is_first(snapshots.table(own(), std::process::id())), "the thread has a rest");
        snapshots.lock().rest_end = None;
        assert!(is_first(snapshots.table(own(), NOBODY)), "nobody is there any more");
        assert!(!is_first(snapshots.table(own(), std::process::id())));
        snapshots.close();
    }

    #[test]
    fn a_long_list_is_read_rarely() {
        assert_eq!(life_after(Duration::from_micros(100)), LIFE);
        assert_eq!(life_after(Duration::from_millis(20)), Duration::from_secs(1));
    }

    #[test]
    fn a_change_of_the_own_namespace_is_counted() {
        let snapshots = Snapshots::new(HostRoot::default());
        assert_eq!((snapshots.own_ns(), snapshots.own_changes()), (own(), 0));
        assert!(snapshots.is_host(own()));
        snapshots.keep(&report(own(), NOBODY, NOBODY));
        assert_eq!(snapshots.own_changes(), 1);
        // Nothing is read for that.
        assert!(!snapshots.lock().is_started);
    }

    #[test]
    fn a_change_on_the_host_is_one_here() {
        let snapshots = Arc::new(Snapshots { own_ns: own(), host_ns: Some(7), ..Snapshots::default() });
        snapshots.keep(&report(7, NOBODY, NOBODY));
        assert_eq!(snapshots.own_changes(), 1);
        snapshots.keep(&report(8, NOBODY, NOBODY));
        assert_eq!(snapshots.own_changes(), 1);
        snapshots.close();
    }

    #[test]
    fn a_directory_that_is_not_the_first_process_s_root_has_no_namespace() {
        let root = HostRoot::open(std::path::Path::new("/proc")).unwrap();
        let snapshots = Snapshots::new(root);
        assert!(!snapshots.is_host(own()) && !snapshots.is_host(0));
    }

    #[test]
    fn too_many_reports_are_dropped_and_counted() {
        let snapshots = Arc::new(Snapshots::default());
        // No thread takes them.
        snapshots.lock().is_started = true;
        for number in 0..WAITING as u32 + 5 {
            snapshots.keep(&report(number + 1, NOBODY, NOBODY));
        }
        assert_eq!((snapshots.lock().waiting.len(), snapshots.dropped()), (WAITING, 5));
    }

    #[test]
    fn a_namespace_that_waits_takes_one_descriptor() {
        let snapshots = Arc::new(Snapshots::default());
        snapshots.lock().is_started = true;
        for _ in 0..3 {
            snapshots.keep(&report(own(), std::process::id(), NOBODY));
        }
        assert_eq!((snapshots.lock().waiting.len(), snapshots.dropped()), (1, 0));
    }

    #[test]
    fn a_path_is_walked_by_the_thread() {
        let snapshots = Arc::new(Snapshots::default());
        snapshots.walk(&[b"/nonexistent/x".to_vec()]);
        let end = Instant::now() + Duration::from_secs(60);
        while !snapshots.lock().walks.is_empty() {
            assert!(Instant::now() < end);
            thread::yield_now();
        }
        snapshots.close();
    }
}
