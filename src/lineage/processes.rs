//! What processes run, and who forked them: learned from the kernel's reports, and once from `/proc`.
//!
//! The drain thread takes the reports out of the ring, so that they never wait for a reader, and the table is ahead of
//! the events. Each image has a key of its own that is never used again, so an event still finds what was run when it
//! happened.

use std::fmt;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::memory::{OutOfMemory, check, fallible, reserve};
use crate::record::segments::{Name, NameStatus};
use crate::record::{ImageReport, Record, parse, record_at};
use crate::skel::types;
use crate::sys::process::{Process, each_process, exists, ticks};

/// The number of images at which the older half of the table is dropped, but for those of processes that still live.
pub const HALF: usize = 16_384;

/// The bytes of arguments at which that is done, too.
const HALF_BYTES: usize = 8 << 20;

/// The processes that are taken from `/proc`, and the bytes of their arguments.
const SCANNED: usize = HALF;
const SCANNED_BYTES: usize = HALF_BYTES;

/// The bytes of a command's name.
pub const COMM_BYTES: usize = 16;

/// The key of a process image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageId {
    /// The process.
    pub pid: u32,
    /// When it started.
    pub start_ns: u64,
    /// The number of its last exec.
    pub exec_id: u64,
}

/// An image with the name of its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// The key.
    pub id: ImageId,
    /// The name, as the kernel has it.
    pub comm: [u8; COMM_BYTES],
}

impl Image {
    /// Whether it is of the same process.
    #[must_use]
    pub fn is_of_process(&self, other: &ImageId) -> bool {
        (self.id.pid, self.id.start_ns) == (other.pid, other.start_ns)
    }
}

impl From<&types::image> for Image {
    fn from(image: &types::image) -> Self {
        let id = ImageId { pid: image.pid, start_ns: image.start_ns, exec_id: image.exec_id };
        Self { id, comm: image.comm }
    }
}

/// The arguments of an image, each followed by a NUL. Forked processes share them.
pub type Argv = Arc<[u8]>;

/// What is known about an image.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The image that forked the process, as it was then. Of a process whose fork was not seen it is the parent at the
    /// exec.
    pub forked_by: Option<Image>,
    /// The arguments.
    pub argv: Option<Argv>,
    /// The parent when the tracer began, of a process that was there already.
    pub above: Option<Arc<Older>>,
}

/// A process that was there when the tracer began, as it was then.
#[derive(Debug)]
pub struct Older {
    /// Its process id.
    pub pid: u32,
    /// Its name, as the kernel has it.
    pub comm: [u8; COMM_BYTES],
    /// Its arguments.
    pub argv: Option<Argv>,
    /// Its parent.
    pub above: Option<Arc<Older>>,
}

impl Known {
    fn bytes(&self) -> usize {
        self.argv.as_ref().map_or(0, |argv| argv.len())
    }
}

/// A process that was there before the tracer. `/proc` does not tell the number of its exec. That becomes known with
/// the first report or event of it, if none of its execs can have been missed.
#[derive(Debug)]
struct Scanned {
    start_ticks: u64,
    read_ns: u64,
    process: Arc<Older>,
}

#[derive(Debug, Default)]
struct Table {
    /// The images that were added or used lately, and those before them.
    young: FxHashMap<ImageId, Known>,
    old: FxHashMap<ImageId, Known>,
    young_bytes: usize,
    scanned: FxHashMap<u32, Scanned>,
}

impl Table {
    fn add(&mut self, id: ImageId, known: Known, dropped: &AtomicU64) -> Result<(), OutOfMemory> {
        check()?;
        if self.young.len() == self.young.capacity() {
            fallible(|| self.young.try_reserve(1))?;
        }
        self.young_bytes += known.bytes();
        self.young.insert(id, known);
        if self.young.len() >= HALF || self.young_bytes >= HALF_BYTES {
            self.turn(dropped);
        }
        Ok(())
    }

    /// Makes the young half the old one. What was old and not used since is dropped, but for processes that still live.
    #[cold]
    fn turn(&mut self, dropped: &AtomicU64) {
        self.young_bytes = 0;
        let gone = mem::replace(&mut self.old, mem::take(&mut self.young));
        for (id, known) in gone {
            if !exists(id.pid) {
                continue;
            }
            let is_full = self.young.len() >= HALF / 2 || self.young_bytes >= HALF_BYTES / 2;
            if is_full || fallible(|| self.young.try_reserve(1)).is_err() {
                dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            self.young_bytes += known.bytes();
            self.young.insert(id, known);
        }
    }

    fn get(&mut self, id: &ImageId, dropped: &AtomicU64) -> Option<Known> {
        if let Some(known) = self.young.get(id) {
            return Some(known.clone());
        }
        let known = self.old.remove(id)?;
        if self.add(*id, known.clone(), dropped).is_err() {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
        Some(known)
    }
}

/// The table, which the drain thread fills and the reader reads.
pub struct Processes {
    table: Mutex<Table>,
    /// Returns the number of reports that the kernel could not send.
    lost: Box<dyn Fn() -> u64 + Send + Sync>,
    dropped: AtomicU64,
}

impl fmt::Debug for Processes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Processes").field("table", &self.table).field("dropped", &self.dropped).finish_non_exhaustive()
    }
}

impl Processes {
    /// Creates an empty table. `lost` returns the number of reports that the kernel could not send.
    #[must_use]
    pub fn new(lost: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self { table: Mutex::default(), lost: Box::new(lost), dropped: AtomicU64::new(0) }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the processes that are there already. The programs must be attached, so that none is missed in between.
    pub fn scan(&self) {
        let mut all = Vec::new();
        each_process(SCANNED, |process| {
            if check().is_ok() && reserve(&mut all, 1).is_ok() {
                all.push(process);
            } else {
                self.drop_one();
            }
        });
        self.add_scanned(all);
    }

    fn add_scanned(&self, mut all: Vec<Process>) {
        let (mut table, mut bytes) = (self.lock(), 0);
        // Parents first. A parent that is not older than its child is another process, with the id of one that ended.
        all.sort_unstable_by_key(|process| (process.start_ticks, process.pid));
        for Process { pid, ppid, start_ticks, comm, cmdline, read_ns } in all {
            if check().is_err() || fallible(|| table.scanned.try_reserve(1)).is_err() {
                self.drop_one();
                continue;
            }
            bytes += cmdline.len();
            let argv = (bytes <= SCANNED_BYTES && !cmdline.is_empty()).then(|| Argv::from(cmdline));
            let above = table.scanned.get(&ppid).map(|parent| Arc::clone(&parent.process));
            let mut name = [0; COMM_BYTES];
            name.iter_mut().zip(comm).for_each(|(to, from)| *to = from);
            let process = Arc::new(Older { pid, comm: name, argv, above });
            table.scanned.insert(pid, Scanned { start_ticks, read_ns, process });
        }
    }

    /// Takes the reports among a run's records.
    pub fn keep(&self, run: &[u8]) {
        let (mut table, mut position) = (self.lock(), 0);
        // The reader reports a malformed record when it gets there.
        while let Ok(Some((bytes, end))) = record_at(run, position) {
            position = end;
            let taken = match parse(bytes) {
                Ok(Record::Fork(report)) => self.fork(&mut table, &report),
                Ok(Record::Exec(report)) => self.exec(&mut table, &report),
                _ => continue,
            };
            if taken.is_err() {
                self.drop_one();
            }
        }
    }

    fn fork(&self, table: &mut Table, report: &ImageReport<'_>) -> Result<(), OutOfMemory> {
        let (child, parent) = (Image::from(&report.record.image), Image::from(&report.record.parent));
        let argv = self.find(table, &parent.id, report.record.ts_ns).and_then(|known| known.argv);
        table.scanned.remove(&child.id.pid);
        table.add(child.id, Known { forked_by: Some(parent), argv, above: None }, &self.dropped)
    }

    fn exec(&self, table: &mut Table, report: &ImageReport<'_>) -> Result<(), OutOfMemory> {
        let id = Image::from(&report.record.image).id;
        let before = ImageId { exec_id: id.exec_id.wrapping_sub(1), ..id };
        let before = table.get(&before, &self.dropped).unwrap_or_default();
        let forked_by = before.forked_by.or_else(|| Some(Image::from(&report.record.parent)));
        let above = before.above;
        let argv = report.argv.and_then(whole_argv);
        let argv = argv.map(|bytes| check().map(|()| Argv::from(bytes))).transpose()?;
        table.scanned.remove(&id.pid);
        table.add(id, Known { forked_by, argv, above }, &self.dropped)
    }

    /// Returns what is known about an image, which existed at this time of `CLOCK_BOOTTIME`.
    #[must_use]
    pub fn get(&self, id: &ImageId, ts_ns: u64) -> Option<Known> {
        self.find(&mut self.lock(), id, ts_ns)
    }

    fn find(&self, table: &mut Table, id: &ImageId, ts_ns: u64) -> Option<Known> {
        if let Some(known) = table.get(id, &self.dropped) {
            return Some(known);
        }
        let scanned = table.scanned.get(&id.pid)?;
        let is_same = scanned.start_ticks == ticks(id.start_ns) && ts_ns >= scanned.read_ns;
        if !is_same || (self.lost)() > 0 || self.dropped() > 0 {
            return None;
        }
        let Older { argv, above, .. } = &*scanned.process;
        let known = Known { forked_by: None, argv: argv.clone(), above: above.clone() };
        if table.add(*id, known.clone(), &self.dropped).is_ok() {
            table.scanned.remove(&id.pid);
        }
        Some(known)
    }

    fn drop_one(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of reports without memory, and of living processes that were forgotten.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

fn whole_argv(argv: Name<'_>) -> Option<&[u8]> {
    (argv.status != NameStatus::Fault).then_some(argv.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::refusal;
    use crate::record::testing::{framed, image, reported};

    fn id(pid: u32, exec_id: u64) -> ImageId {
        ImageId { pid, start_ns: u64::from(pid), exec_id }
    }

    fn shown(pid: u32, exec_id: u64) -> Vec<u8> {
        image(pid, u64::from(pid), exec_id, b"sh")
    }

    fn forked(child: u32, parent: u32, exec_id: u64) -> Vec<u8> {
        framed(&reported(None, &shown(child, exec_id), &shown(parent, exec_id)), 0)
    }

    fn executed(pid: u32, exec_id: u64, argv: &[u8], parent: u32) -> Vec<u8> {
        framed(&reported(Some(argv), &shown(pid, exec_id), &shown(parent, 1)), 0)
    }

    fn argv(processes: &Processes, pid: u32, exec_id: u64) -> Option<String> {
        let argv = processes.get(&id(pid, exec_id), u64::MAX)?.argv?;
        Some(String::from_utf8_lossy(&argv).replace('\0', " "))
    }

    fn forker(processes: &Processes, pid: u32, exec_id: u64) -> Option<u32> {
        processes.get(&id(pid, exec_id), u64::MAX)?.forked_by.map(|image| image.id.pid)
    }

    #[test]
    fn a_child_runs_what_its_parent_does_until_its_own_exec() {
        let processes = Processes::new(|| 0);
        let run = [executed(10, 5, b"sh\0x\0", 1), forked(11, 10, 5), executed(11, 6, b"rm\0y\0", 1)].concat();
        processes.keep(&run);
        assert_eq!(argv(&processes, 10, 5).as_deref(), Some("sh x "));
        assert_eq!(argv(&processes, 11, 5).as_deref(), Some("sh x "));
        assert_eq!(argv(&processes, 11, 6).as_deref(), Some("rm y "));
        assert_eq!((argv(&processes, 11, 7), argv(&processes, 12, 5)), (None, None));
        // At its exec the parent of 11 was 1 already, because 10 had ended.
        assert_eq!((forker(&processes, 11, 6), forker(&processes, 10, 5)), (Some(10), Some(1)));
    }

    #[test]
    fn a_process_of_another_start_is_another_one() {
        let processes = Processes::new(|| 0);
        processes.keep(&executed(10, 5, b"sh\0", 1));
        assert!(processes.get(&ImageId { start_ns: 11, ..id(10, 5) }, 900).is_none());
    }

    fn scanned(lost: u64) -> Processes {
        let processes = Processes::new(move || lost);
        let process = |pid, ppid, comm: &[u8], cmdline: &[u8]| {
            let (comm, cmdline) = (comm.to_vec(), cmdline.to_vec());
            Process { pid, ppid, start_ticks: 0, comm, cmdline, read_ns: 500 }
        };
        processes.add_scanned(vec![process(10, 2, b"cron", b"cron\0"), process(2, 11, b"kthreadd", b"")]);
        processes
    }

    #[test]
    fn a_process_from_proc_is_known_from_then_on_until_its_exec() {
        let processes = scanned(0);
        assert!(processes.get(&id(10, 3), 499).is_none());
        assert!(processes.get(&ImageId { start_ns: 10_000_000, ..id(10, 3) }, 500).is_none(), "another start");
        assert_eq!(argv(&processes, 10, 3).as_deref(), Some("cron "));
        assert_eq!(argv(&processes, 10, 4), None, "it has executed something since");
        let above = processes.get(&id(10, 3), 900).unwrap().above.unwrap();
        assert_eq!((above.pid, &above.comm, above.argv.is_none()), (2, b"kthreadd\0\0\0\0\0\0\0\0", true));
        assert!(above.above.is_none(), "11 is not older");
        let processes = scanned(0);
        processes.keep(&forked(11, 10, 3));
        assert_eq!(argv(&processes, 11, 3).as_deref(), Some("cron "));
        let processes = scanned(0);
        processes.keep(&executed(10, 4, b"sh\0", 1));
        assert_eq!((argv(&processes, 10, 3), argv(&processes, 10, 4)), (None, Some("sh ".into())));
    }

    #[test]
    fn after_a_loss_a_process_from_proc_may_have_executed_anything() {
        assert_eq!(argv(&scanned(1), 10, 3), None);
        let processes = scanned(0);
        processes.drop_one();
        assert_eq!(argv(&processes, 10, 3), None);
    }

    #[test]
    fn ended_processes_are_forgotten_and_living_ones_are_not() {
        let processes = Processes::new(|| 0);
        let (living, ended) = (std::process::id(), 4_194_305);
        processes.keep(&executed(living, 1, b"me\0", 1));
        for pid in 0..2 * HALF as u32 {
            processes.keep(&executed(ended + pid, 1, b"sh\0", 1));
        }
        assert_eq!(argv(&processes, living, 1).as_deref(), Some("me "));
        assert_eq!(argv(&processes, ended, 1), None);
        assert_eq!(argv(&processes, ended + 2 * HALF as u32 - 1, 1).as_deref(), Some("sh "));
        let table = processes.lock();
        assert!(table.young.len() + table.old.len() <= 2 * HALF && processes.dropped() == 0);
    }

    #[test]
    fn the_arguments_are_bounded_too() {
        let processes = Processes::new(|| 0);
        let long = [vec![b'x'; 1000], vec![0]].concat();
        for pid in 0..20_000 {
            processes.keep(&executed(4_194_305 + pid, 1, &long, 1));
        }
        let table = processes.lock();
        let bytes: usize = table.young.values().chain(table.old.values()).map(Known::bytes).sum();
        assert!(bytes <= 2 * HALF_BYTES, "{bytes}");
    }

    #[test]
    fn more_living_processes_than_there_is_room_for_are_counted() {
        let processes = Processes::new(|| 0);
        let own = std::process::id();
        for exec_id in 0..4 * HALF as u64 {
            processes.keep(&executed(own, exec_id, b"me\0", 1));
        }
        assert!(processes.dropped() > 0);
        let table = processes.lock();
        assert!(table.young.len() + table.old.len() <= 2 * HALF);
    }

    #[test]
    fn a_report_without_memory_is_counted() {
        let processes = Processes::new(|| 0);
        refusal::after(0);
        processes.keep(&executed(10, 5, b"sh\0", 1));
        assert!(refusal::end());
        assert_eq!((processes.dropped(), argv(&processes, 10, 5)), (1, None));
    }
}
