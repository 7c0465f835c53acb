//! Which recorded events are wanted.

use std::cell::RefCell;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BinaryArray, BooleanArray, RecordBatch, StringArray};

use crate::columns::text::escape;
use crate::error::{Error, Result};
use crate::history::schema::{ints, texts};
use crate::path::glob::parse;
use crate::path::glob_states::Glob;

/// The columns that name files. The first is the one by which sealed files are sorted.
pub(crate) const NAMES: [&str; 4] = ["real_path", "new_real_path", "path", "new_path"];

/// Whether events that failed are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcome {
    /// All events.
    #[default]
    Any,
    /// Those that did not fail, or are not known to have.
    Ok,
    /// Those that failed.
    Failed,
}

/// The wanted events. Everything that is given must hold; of a list, any value will do.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs, reason = "each is the argument of the same name, which _core.pyi documents")]
pub struct Filter {
    pub since_ns: Option<i64>,
    pub until_ns: Option<i64>,
    /// Paths, any of which an event names.
    pub paths: Option<Vec<Vec<u8>>>,
    pub under: Option<Vec<u8>>,
    /// [`parse_glob`] made it.
    pub glob: Option<WantedGlob>,
    pub pid: Option<Vec<i64>>,
    pub uid: Option<Vec<i64>>,
    pub comm: Option<Vec<String>>,
    pub container: Option<Vec<String>>,
    pub syscall: Option<Vec<String>>,
    pub action: Option<Vec<String>>,
    pub outcome: Outcome,
}

/// A name as its column has it, and as its bytes are.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) text: String,
    bytes: Vec<u8>,
}

impl Name {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut text = String::new();
        escape(bytes, &mut text);
        Self { text, bytes: bytes.to_vec() }
    }
}

/// A glob, and the deepest directory that everything is in which it matches.
#[derive(Debug, Clone)]
pub struct WantedGlob {
    glob: Glob,
    directory: Vec<u8>,
}

/// Parses a glob of absolute paths. It wants what it matches, and all below.
///
/// # Errors
///
/// [`Error::Value`] says what is wrong with it.
pub fn parse_glob(pattern: &[u8]) -> Result<WantedGlob> {
    let steps = parse(pattern).map_err(|reason| Error::Value(format!("the glob means nothing: {reason}")))?;
    let special = pattern.iter().position(|byte| b"*?[{\\".contains(byte)).unwrap_or(pattern.len());
    let end = pattern[..special].iter().rposition(|byte| *byte == b'/').unwrap_or_default();
    let directory = if end == 0 { b"/".to_vec() } else { pattern[..end].to_vec() };
    Ok(WantedGlob { glob: Glob::new(steps), directory })
}

/// What a column of names is compared with.
#[derive(Debug)]
pub(crate) enum Wanted {
    Exactly(Vec<Name>),
    Under(Name),
    /// A match keeps what it has found out for the next one.
    Glob(Box<RefCell<Glob>>, Name),
}

impl Wanted {
    /// Whether a range of texts may have a wanted one. `None` is no bound.
    pub(crate) fn may_be_within(&self, least: Option<&[u8]>, most: Option<&[u8]>) -> bool {
        let is_within = |text: &[u8]| least.is_none_or(|least| least <= text) && most.is_none_or(|most| text <= most);
        match self {
            Self::Exactly(names) => names.iter().any(|name| is_within(name.text.as_bytes())),
            Self::Under(name) | Self::Glob(_, name) => {
                let name = name.text.trim_end_matches('/').as_bytes();
                // All that is below is between "name/" and "name0", the next character.
                let [first, end] = [b'/', b'0'].map(|last| [name, &[last]].concat());
                is_within(name)
                    || least.is_none_or(|least| least < end.as_slice())
                        && most.is_none_or(|most| most >= first.as_slice())
            }
        }
    }

    /// Whether a text may stand for a wanted name. One that is not text is known for certain only by its bytes.
    pub(crate) fn may_be(&self, text: &str) -> bool {
        match self {
            Self::Exactly(names) => names.iter().any(|name| name.text == text),
            Self::Under(name) | Self::Glob(_, name) => {
                let rest = text.strip_prefix(name.text.trim_end_matches('/'));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }

    fn matches(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Exactly(names) => names.iter().any(|name| name.bytes == bytes),
            Self::Under(name) => {
                let name = name.bytes.strip_suffix(b"/").unwrap_or(&name.bytes);
                bytes.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
            }
            Self::Glob(glob, _) => glob.borrow_mut().matches(bytes),
        }
    }
}

/// A column of names, with the bytes of those that are not text.
pub(crate) struct NameColumn<'a> {
    texts: Option<&'a StringArray>,
    bytes: Option<&'a BinaryArray>,
}

impl<'a> NameColumn<'a> {
    pub(crate) fn new(batch: &'a RecordBatch, name: &str) -> Self {
        let bytes = batch.column_by_name(&format!("{name}_bytes"));
        Self { texts: texts(batch, name), bytes: bytes.and_then(|bytes| bytes.as_binary_opt::<i32>()) }
    }

    /// The bytes of a row's name.
    pub(crate) fn get(&self, row: usize) -> Option<&'a [u8]> {
        if let Some(bytes) = self.bytes.filter(|bytes| bytes.is_valid(row)) {
            return Some(bytes.value(row));
        }
        self.texts.filter(|texts| texts.is_valid(row)).map(|texts| texts.value(row).as_bytes())
    }
}

impl Filter {
    /// What the columns of names are compared with.
    pub(crate) fn wanted(&self) -> Vec<Wanted> {
        let exactly =
            self.paths.iter().map(|paths| Wanted::Exactly(paths.iter().map(|path| Name::new(path)).collect()));
        let under = self.under.iter().map(|under| Wanted::Under(Name::new(under)));
        let glob = self
            .glob
            .iter()
            .map(|wanted| Wanted::Glob(Box::new(RefCell::new(wanted.glob.clone())), Name::new(&wanted.directory)));
        exactly.chain(under).chain(glob).collect()
    }

    /// Whether a stretch of time may have wanted events.
    pub(crate) fn may_be_between(&self, first_ns: i64, last_ns: i64) -> bool {
        self.since_ns.is_none_or(|since| last_ns >= since) && self.until_ns.is_none_or(|until| first_ns < until)
    }

    /// The columns that are looked at.
    pub(crate) fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = Vec::new();
        let mut add = |is_needed: bool, names: &[&str]| {
            columns.extend(names.iter().filter(|_| is_needed).map(ToString::to_string));
        };
        add(self.since_ns.is_some() || self.until_ns.is_some(), &["ts_ns"]);
        add(self.pid.is_some(), &["pid"]);
        add(self.uid.is_some(), &["uid", "euid", "fsuid"]);
        add(self.comm.is_some(), &["comm"]);
        add(self.container.is_some(), &["container_id"]);
        add(self.syscall.is_some(), &["syscall"]);
        add(self.action.is_some(), &["action"]);
        add(self.outcome != Outcome::Any, &["errno"]);
        if self.paths.is_some() || self.under.is_some() || self.glob.is_some() {
            columns.extend(NAMES.iter().flat_map(|name| [(*name).to_owned(), format!("{name}_bytes")]));
        }
        columns
    }

    /// Whether it lets everything through.
    pub(crate) fn is_off(&self) -> bool {
        self.columns().is_empty()
    }

    /// Which rows are wanted. A column that was not recorded has no value, which no filter wants.
    pub(crate) fn mask(&self, batch: &RecordBatch, wanted: &[Wanted]) -> BooleanArray {
        let mut mask = vec![true; batch.num_rows()];
        let mut keep = |pass: &dyn Fn(usize) -> bool| {
            for (row, is_wanted) in mask.iter_mut().enumerate() {
                *is_wanted = *is_wanted && pass(row);
            }
        };
        let number = |name: &str, pass: &dyn Fn(i64) -> bool| -> Vec<bool> {
            let column = ints(batch, name);
            let value = |row| column.filter(|column| column.is_valid(row)).map(|column| column.value(row));
            (0..batch.num_rows()).map(|row| value(row).is_some_and(pass)).collect()
        };
        let text = |name: &str, pass: &dyn Fn(&str) -> bool| -> Vec<bool> {
            let column = texts(batch, name);
            let value = |row| column.filter(|column| column.is_valid(row)).map(|column| column.value(row));
            (0..batch.num_rows()).map(|row| value(row).is_some_and(pass)).collect()
        };
        if self.since_ns.is_some() || self.until_ns.is_some() {
            let rows = number("ts_ns", &|ts_ns| self.may_be_between(ts_ns, ts_ns));
            keep(&|row| rows[row]);
        }
        if let Some(pids) = &self.pid {
            let rows = number("pid", &|pid| pids.contains(&pid));
            keep(&|row| rows[row]);
        }
        if let Some(uids) = &self.uid {
            let rows = ["uid", "euid", "fsuid"].map(|name| number(name, &|uid| uids.contains(&uid)));
            keep(&|row| rows.iter().any(|rows| rows[row]));
        }
        let prefix = |wanted: &str, value: &str| match wanted.strip_suffix('*') {
            Some(beginning) => value.starts_with(beginning),
            None => value == wanted,
        };
        let is_any = |wanted: &Vec<String>, value: &str| wanted.iter().any(|wanted| wanted == value);
        if let Some(comms) = &self.comm {
            let rows = text("comm", &|comm| comms.iter().any(|wanted| prefix(wanted, comm)));
            keep(&|row| rows[row]);
        }
        if let Some(containers) = &self.container {
            let rows = text("container_id", &|id| containers.iter().any(|wanted| id.starts_with(wanted.as_str())));
            keep(&|row| rows[row]);
        }
        for (name, words) in [("syscall", &self.syscall), ("action", &self.action)] {
            if let Some(words) = words {
                let rows = text(name, &|word| is_any(words, word));
                keep(&|row| rows[row]);
            }
        }
        if self.outcome != Outcome::Any {
            let failed = text("errno", &|_| true);
            keep(&|row| failed[row] == (self.outcome == Outcome::Failed));
        }
        if !wanted.is_empty() {
            let names = NAMES.map(|name| NameColumn::new(batch, name));
            keep(&|row| {
                let is_named = |wanted: &Wanted| {
                    names.iter().any(|column| column.get(row).is_some_and(|name| wanted.matches(name)))
                };
                wanted.iter().all(is_named)
            });
        }
        mask.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_ranges() {
        let under = Wanted::Under(Name::new(b"/srv/db"));
        for (name, is_under) in
            [("/srv/db", true), ("/srv/db/x", true), ("/srv/db0", false), ("/srv/d", false), ("/srv/db-x", false)]
        {
            assert_eq!(under.matches(name.as_bytes()), is_under, "{name}");
            assert_eq!(under.may_be(name), is_under, "{name}");
            let range = Some(name.as_bytes());
            assert!(!is_under || under.may_be_within(range, range), "{name}");
        }
        assert!(under.may_be_within(Some(b"/a"), Some(b"/z")) && under.may_be_within(None, None));
        assert!(!under.may_be_within(Some(b"/srv/db0"), None) && !under.may_be_within(None, Some(b"/srv/d")));
        let root = Wanted::Under(Name::new(b"/"));
        assert!(root.matches(b"/x") && root.may_be_within(Some(b"/x"), Some(b"/y")));
        let filter = |glob: &str| Filter { glob: Some(parse_glob(glob.as_bytes()).unwrap()), ..Filter::default() };
        let [wanted] = &filter("/srv/**/*.log").wanted()[..] else { panic!() };
        for (name, is_wanted) in [
            ("/srv/a.log", true),
            ("/srv/x/y/a.log", true),
            ("/srv/a.log/b", true),
            ("/srv/a", false),
            ("/x.log", false),
        ] {
            assert_eq!(wanted.matches(name.as_bytes()), is_wanted, "{name}");
            let range = Some(name.as_bytes());
            assert!(!is_wanted || wanted.may_be_within(range, range), "{name}");
        }
        assert!(!wanted.may_be_within(Some(b"/x"), Some(b"/y")));
        for (glob, directory) in [("/srv/d*", "/srv"), ("/*", "/"), ("/a/b", "/a"), ("/a\\*/b", "/"), ("/", "/")] {
            assert_eq!(filter(glob).glob.unwrap().directory, directory.as_bytes(), "{glob}");
        }
        assert!(parse_glob(b"/[a").is_err());
        let raw = Wanted::Exactly(vec![Name::new(b"/a\xff")]);
        assert!(raw.matches(b"/a\xff") && !raw.matches(b"/a\\xff"));
        assert!(raw.may_be("/a\\xff") && root.may_be("/x") && root.may_be("/"));
        assert!(raw.may_be_within(Some(b"/a\\xff"), Some(b"/a\\xff")));
    }
}
