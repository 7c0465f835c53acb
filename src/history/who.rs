//! What happened to one path: to the name itself, to directories above it, and to the file behind it under other names.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};

use arrow_array::{Array, RecordBatch};

use crate::error::{Error, Result};
use crate::history::filter::{Filter, NameColumn, Outcome};
use crate::history::reader::Reader;
use crate::history::schema::{ints, texts};

/// The most renames that a file is followed through, in either direction.
const STEPS: usize = 16;

/// The most renames away from the path that are followed.
const DEPARTURES: usize = 8;

/// Why an event is an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It was done to the path itself.
    Path,
    /// It was done to a directory above the path.
    Above,
    /// It was done to the file under an earlier name.
    Before,
    /// It was done to the file under a later name.
    After,
}

impl Relation {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Above => "above",
            Self::Before => "before",
            Self::After => "after",
        }
    }
}

/// An event that is an answer: a batch of one row.
#[derive(Debug, Clone)]
pub struct Hit {
    /// The event.
    pub row: RecordBatch,
    /// Why it is here.
    pub relation: Relation,
    /// The path that it is here for.
    pub name: Vec<u8>,
    ts_ns: i64,
}

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The events, the latest first.
    pub hits: Vec<Hit>,
    /// What is wrong with each damaged file, which is left out.
    pub damaged: Vec<String>,
}

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct Question {
    /// An absolute path.
    pub path: Vec<u8>,
    /// The earliest time.
    pub since_ns: Option<i64>,
    /// The time before which it happened.
    pub until_ns: Option<i64>,
    /// Whether failed calls count.
    pub failed: bool,
}

/// An event, as far as its names matter.
struct Facts {
    ts_ns: i64,
    id: (i64, i64, i64, String),
    action: String,
    failed: bool,
    ino: Option<i64>,
    old: Option<Vec<u8>>,
    new: Option<Vec<u8>>,
    /// The names as the process passed them.
    claimed: [Option<Vec<u8>>; 2],
    row: RecordBatch,
}

impl Facts {
    fn new(batch: &RecordBatch, row: usize) -> Self {
        let int = |name: &str| ints(batch, name).filter(|it| it.is_valid(row)).map(|it| it.value(row));
        let text = |name: &str| texts(batch, name).filter(|it| it.is_valid(row)).map(|it| it.value(row).to_owned());
        let name = |name: &str| NameColumn::new(batch, name).get(row).map(<[u8]>::to_vec);
        let number = |name: &str| int(name).unwrap_or_default();
        let claimed = ["path", "new_path"].map(name);
        Self {
            ts_ns: number("ts_ns"),
            id: (number("session"), number("cpu"), number("seq"), text("via").unwrap_or_default()),
            action: text("action").unwrap_or_default(),
            failed: text("errno").is_some(),
            ino: int("ino"),
            old: name("real_path").or_else(|| claimed[0].clone()),
            new: name("new_real_path").or_else(|| claimed[1].clone()),
            claimed,
            row: batch.slice(row, 1),
        }
    }

    fn names(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.old.iter().chain(&self.new).chain(self.claimed.iter().flatten())
    }

    fn is_move(&self) -> bool {
        self.action == "rename" && !self.failed
    }

    fn is_removal(&self) -> bool {
        matches!(&*self.action, "delete" | "rmdir") && !self.failed
    }

    fn hit(&self, relation: Relation, name: &[u8]) -> Hit {
        Hit { row: self.row.clone(), relation, name: name.to_vec(), ts_ns: self.ts_ns }
    }
}

/// The directories above a path, but the root.
fn above(path: &[u8]) -> Vec<Vec<u8>> {
    let ends = path.iter().enumerate().filter(|(at, byte)| *at > 0 && **byte == b'/');
    ends.map(|(at, _)| path[..at].to_vec()).collect()
}

/// Whether a directory is above a path.
fn is_above(directory: &[u8], path: &[u8]) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}

struct Search<'a> {
    reader: &'a Reader,
    failed: bool,
    damaged: RefCell<BTreeSet<String>>,
}

impl Search<'_> {
    /// The events that name one of these paths, the earliest first.
    fn find(&self, paths: Vec<Vec<u8>>, since_ns: Option<i64>, until_ns: Option<i64>) -> Result<Vec<Facts>> {
        let outcome = if self.failed { Outcome::Any } else { Outcome::Ok };
        let filter = Filter { since_ns, until_ns, paths: Some(paths), outcome, ..Filter::default() };
        let mut scan = self.reader.scan(None, filter, None, false)?;
        let mut found = Vec::new();
        loop {
            match scan.read() {
                Ok(Some(batch)) => found.extend((0..batch.num_rows()).map(|row| Facts::new(&batch, row))),
                Ok(None) => break,
                // The scan goes on behind the file.
                Err(Error::Damaged(told)) => {
                    self.damaged.borrow_mut().insert(told);
                }
                Err(error) => return Err(error),
            }
        }
        found.sort_by_key(|facts| facts.ts_ns);
        Ok(found)
    }
}

/// Returns the name of a file below `directory` once that is `moved`.
fn carried(name: &[u8], directory: &[u8], moved: &[u8]) -> Option<Vec<u8>> {
    let rest = name.strip_prefix(directory)?;
    (rest.is_empty() || rest.starts_with(b"/")).then(|| [moved, rest].concat())
}

/// Answers a question.
///
/// # Errors
///
/// [`Error::Os`].
pub fn who(reader: &Reader, question: &Question, limit: Option<usize>) -> Result<Answer> {
    let search = Search { reader, failed: question.failed, damaged: RefCell::default() };
    let (since_ns, until_ns) = (question.since_ns, question.until_ns);
    let path = &question.path;
    let directories = above(path);
    let names = directories.iter().cloned().chain([path.clone()]).collect();
    let found = search.find(names, since_ns, until_ns)?;
    let (mut hits, mut seen) = (Vec::new(), HashSet::new());
    for facts in &found {
        let directory = directories.iter().rev().find(|directory| facts.names().any(|name| name == *directory));
        let hit = if facts.names().any(|name| name == path) {
            facts.hit(Relation::Path, path)
        } else if let Some(directory) = directory.filter(|_| matches!(&*facts.action, "rename" | "rmdir" | "delete")) {
            facts.hit(Relation::Above, directory)
        } else {
            continue;
        };
        seen.insert(facts.id.clone());
        hits.push(hit);
    }
    // Forwards: the file left the name, or a directory above took it along.
    let leaves =
        |facts: &&Facts| facts.is_move() && facts.old.as_ref().is_some_and(|old| carried(path, old, b"").is_some());
    for facts in found.iter().rev().filter(leaves).take(DEPARTURES) {
        let (Some(old), Some(new)) = (&facts.old, &facts.new) else { continue };
        let ino = facts.ino.filter(|_| old == path);
        if let Some(name) = carried(path, old, new) {
            follow(&search, name, ino, facts.ts_ns, until_ns, &mut |facts, name| {
                if seen.insert(facts.id.clone()) {
                    hits.push(facts.hit(Relation::After, name));
                }
            })?;
        }
    }
    // Backwards: the file came to the name.
    let (mut name, mut before_ns, mut found) = (path.clone(), until_ns, found);
    for _ in 0..STEPS {
        let comes = |facts: &&Facts| {
            let is_before = before_ns.is_none_or(|before| facts.ts_ns < before);
            is_before && facts.is_move() && facts.new.as_ref().is_some_and(|new| carried(&name, new, b"").is_some())
        };
        let Some(arrival) = found.iter().rev().find(comes) else { break };
        let (Some(old), Some(new)) = (&arrival.old, &arrival.new) else { break };
        let Some(earlier) = carried(&name, new, old) else { break };
        before_ns = Some(arrival.ts_ns);
        name = earlier;
        let names = above(&name).into_iter().chain([name.clone()]).collect();
        found = search.find(names, since_ns, before_ns)?;
        for facts in found.iter().filter(|facts| facts.names().any(|it| *it == name)) {
            if seen.insert(facts.id.clone()) {
                hits.push(facts.hit(Relation::Before, &name));
            }
        }
    }
    hits.sort_by_key(|hit| std::cmp::Reverse(hit.ts_ns));
    hits.truncate(limit.unwrap_or(usize::MAX));
    Ok(Answer { hits, damaged: search.damaged.into_inner().into_iter().collect() })
}

/// Follows a file from a name that it got, through what happens to it there, as long as it is renamed.
fn follow(
    search: &Search<'_>,
    mut name: Vec<u8>,
    ino: Option<i64>,
    mut after_ns: i64,
    until_ns: Option<i64>,
    take: &mut impl FnMut(&Facts, &[u8]),
) -> Result<()> {
    for _ in 0..STEPS {
        let names = above(&name).into_iter().chain([name.clone()]).collect();
        let found = search.find(names, Some(after_ns.saturating_add(1)), until_ns)?;
        let is_same = |facts: &Facts| facts.ino.zip(ino).is_none_or(|(one, other)| one == other);
        let mut moved = None;
        for facts in &found {
            let is_there = facts.old.as_ref() == Some(&name) && is_same(facts);
            let is_replaced = facts.new.as_ref() == Some(&name) && facts.is_move();
            // A subvolume goes with all that is in it.
            let goes_along = facts.is_removal() && facts.old.as_ref().is_some_and(|old| is_above(old, &name));
            if is_there || is_replaced || goes_along {
                take(facts, &name);
            }
            let carrier = facts.old.as_ref().zip(facts.new.as_ref()).filter(|_| facts.is_move());
            let next = carrier.and_then(|(old, new)| carried(&name, old, new));
            if let Some(next) = next.filter(|_| is_there || facts.old.as_ref() != Some(&name)) {
                moved = Some((next, facts.ts_ns));
                break;
            }
            // Gone, or another file from here on.
            if is_replaced || goes_along || is_there && facts.is_removal() {
                return Ok(());
            }
        }
        let Some((next, ts_ns)) = moved else { return Ok(()) };
        (name, after_ns) = (next, ts_ns);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_and_names() {
        assert_eq!(above(b"/srv/db/x"), [b"/srv".to_vec(), b"/srv/db".to_vec()]);
        assert_eq!(above(b"/x"), Vec::<Vec<u8>>::new());
        assert_eq!(carried(b"/a/b/c", b"/a/b", b"/z"), Some(b"/z/c".to_vec()));
        assert_eq!(carried(b"/a/b", b"/a/b", b"/z"), Some(b"/z".to_vec()));
        assert_eq!(carried(b"/a/bc", b"/a/b", b"/z"), None);
    }
}
