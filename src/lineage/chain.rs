//! The ancestors of one process: who forked it, who forked that one, and so on.

use crate::lineage::processes::{Argv, COMM_BYTES, Image, Older, Processes};
use crate::skel::types;

/// The most ancestors of a process (`ANCESTORS_MAX`).
const MOST: usize = 16;

/// The length that stands for unknown arguments.
const UNKNOWN: u32 = u32::MAX;

/// An ancestor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ancestor<'a> {
    /// Its process id.
    pub pid: u32,
    /// Its name, without NUL.
    pub comm: &'a [u8],
    /// Its arguments, each followed by a NUL.
    pub argv: Option<&'a [u8]>,
}

/// The processes above one process. The buffers are reused.
#[derive(Debug, Default)]
pub struct Chain {
    images: Vec<Image>,
    /// The ancestors, in the form that [`ancestors`] reads.
    ancestors: Vec<u8>,
    parent_argv: Option<Argv>,
}

impl Chain {
    /// Finds the processes above the first of these images, which were the process, its parent, the parent of that one,
    /// and so on at this time of `CLOCK_BOOTTIME`.
    pub fn find(&mut self, images: impl Iterator<Item = types::image>, ts_ns: u64, processes: &Processes) {
        self.images.clear();
        self.images.extend(images.map(|image| Image::from(&image)));
        self.ancestors.clear();
        let Some(own) = self.images.first() else {
            self.parent_argv = None;
            return;
        };
        let argv = |image: &Image| processes.get(&image.id, ts_ns).and_then(|known| known.argv);
        self.parent_argv = self.images.get(1).and_then(argv);
        let (mut current, mut at) = (own.id, Some(0));
        for count in 0..MOST {
            let known = processes.get(&current, ts_ns).unwrap_or_default();
            // A process whose parent has ended has another one, which did not fork it.
            let (image, place) = if let Some(forker) = known.forked_by {
                let place = self.images.iter().position(|image| image.is_of_process(&forker.id));
                (place.map_or(forker, |place| self.images[place]), place)
            } else if let Some(place) = at.map(|at: usize| at + 1).filter(|place| *place < self.images.len()) {
                (self.images[place], Some(place))
            } else {
                let all = std::iter::successors(known.above.as_deref(), |older| older.above.as_deref());
                for Older { pid, comm, argv, .. } in all.take(MOST - count) {
                    push(&mut self.ancestors, *pid, comm, argv.as_deref());
                }
                break;
            };
            push(&mut self.ancestors, image.id.pid, &image.comm, argv(&image).as_deref());
            (current, at) = (image.id, place);
        }
    }

    /// The ancestors, in the form that [`ancestors`] reads.
    #[must_use]
    pub fn ancestors(&self) -> &[u8] {
        &self.ancestors
    }

    /// The arguments of the parent at the time of the call, each followed by a NUL.
    #[must_use]
    pub fn parent_argv(&self) -> Option<&[u8]> {
        self.parent_argv.as_deref()
    }
}

fn push(ancestors: &mut Vec<u8>, pid: u32, comm: &[u8; COMM_BYTES], argv: Option<&[u8]>) {
    ancestors.extend(pid.to_ne_bytes());
    ancestors.extend(comm);
    ancestors.extend(argv.map_or(UNKNOWN, |argv| argv.len() as u32).to_ne_bytes());
    ancestors.extend(argv.unwrap_or_default());
}

/// Reads the ancestors of [`Chain::ancestors`].
pub fn ancestors(bytes: &[u8]) -> impl Iterator<Item = Ancestor<'_>> + Clone {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (pid, after) = rest.split_first_chunk()?;
        let (comm, after) = after.split_first_chunk::<COMM_BYTES>()?;
        let (bytes, after) = after.split_first_chunk()?;
        let bytes = u32::from_ne_bytes(*bytes);
        let (argv, after) = if bytes == UNKNOWN {
            (None, after)
        } else {
            after.split_at_checked(bytes as usize).map(|(argv, after)| (Some(argv), after))?
        };
        rest = after;
        let comm = comm.split(|byte| *byte == 0).next().unwrap_or_default();
        Some(Ancestor { pid: u32::from_ne_bytes(*pid), comm, argv })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::segments::images;
    use crate::record::testing::{framed, image, reported};

    fn shown(pid: u32) -> Vec<u8> {
        image(pid, u64::from(pid), 1, format!("p{pid}").as_bytes())
    }

    fn found(processes: &Processes, above: &[u32]) -> (Vec<String>, Option<String>) {
        let text = |argv: &[u8]| String::from_utf8_lossy(argv).replace('\0', "");
        let mut chain = Chain::default();
        let kernel: Vec<u8> = above.iter().flat_map(|pid| shown(*pid)).collect();
        chain.find(images(&kernel), 900, processes);
        let all = ancestors(chain.ancestors()).map(|ancestor| {
            let argv = ancestor.argv.map_or("?".into(), text);
            format!("{} {} {argv}", ancestor.pid, String::from_utf8_lossy(ancestor.comm))
        });
        (all.collect(), chain.parent_argv().map(text))
    }

    fn told(processes: &Processes, reports: &[(Option<&[u8]>, u32, u32)]) {
        for (argv, pid, parent) in reports {
            processes.keep(&framed(&reported(*argv, &shown(*pid), &shown(*parent)), 0));
        }
    }

    #[test]
    fn without_reports_it_is_what_the_kernel_has() {
        let processes = Processes::new(|| 0);
        assert_eq!(found(&processes, &[30, 20, 1]), (vec!["20 p20 ?".into(), "1 p1 ?".into()], None));
        assert_eq!(found(&processes, &[30]), (vec![], None));
        assert_eq!(found(&processes, &[]), (vec![], None));
    }

    #[test]
    fn a_process_whose_parent_ended_is_below_who_forked_it() {
        let processes = Processes::new(|| 0);
        let reports = [(Some(b"cron\0".as_slice()), 10, 1), (None, 20, 10), (None, 30, 20)];
        told(&processes, &reports);
        // 20 has ended, and 30 was given to 1. 10 lives, but is not above 30 any more.
        let (all, parent) = found(&processes, &[30, 1]);
        assert_eq!((all.join(", "), parent), ("20 p20 cron, 10 p10 cron, 1 p1 ?".into(), None));
        // A subreaper is both.
        let (all, parent) = found(&processes, &[30, 10, 1]);
        assert_eq!((all.join(", "), parent.as_deref()), ("20 p20 cron, 10 p10 cron, 1 p1 ?".into(), Some("cron")));
    }

    #[test]
    fn there_are_at_most_sixteen() {
        let processes = Processes::new(|| 0);
        let reports: Vec<_> = (2..60).map(|pid| (None, pid, pid - 1)).collect();
        told(&processes, &reports);
        assert_eq!(found(&processes, &[59, 1]).0.len(), MOST);
    }

    #[test]
    fn what_is_written_is_read() {
        let all =
            [(7, b"sh".as_slice(), Some(b"sh\0-c\0".as_slice())), (1, b"sixteen bytes ab", None), (2, b"", Some(b""))];
        let mut bytes = Vec::new();
        for (pid, name, argv) in all {
            let mut comm = [0; COMM_BYTES];
            comm[..name.len()].copy_from_slice(name);
            push(&mut bytes, pid, &comm, argv);
        }
        let read: Vec<_> = ancestors(&bytes).map(|one| (one.pid, one.comm, one.argv)).collect();
        assert_eq!(read, all);
        for end in 0..bytes.len() {
            assert!(ancestors(&bytes[..end]).count() < all.len());
        }
    }
}
