//! `rawtp._core.HistoryReader`. Its documentation is in `python/rawtp/_core.pyi`: see `py_doc!`.
#![allow(clippy::doc_markdown, reason = "docstrings of Python, which has no such marks")]

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::history::filter::{Filter, Outcome, parse_glob};
use crate::history::follow::Window;
use crate::history::reader::Reader;
use crate::history::who::{Hit, Question, who};
use crate::py::args::{Arg, OptArg, count_arg, int_arg, names, path, refused};
use crate::py::dict::Decoder;
use crate::py::errors::check_memory;
use crate::py::history_batch::{HistoryBatch, to_dicts};
use crate::py::history_scan::{HistoryFile, HistoryScan};
use crate::py::objects;
use crate::py::recorder::name_arg;

#[doc = py_doc!("HistoryReader")]
#[pyclass(frozen, weakref, module = "rawtp._core")]
pub(crate) struct HistoryReader(Reader);

/// Makes a list with a dict of each item.
fn dicts<'py, T>(
    py: Python<'py>,
    items: Vec<T>,
    fill: impl Fn(&Bound<'py, PyDict>, T) -> PyResult<()>,
) -> PyResult<Bound<'py, PyList>> {
    let list = objects::list(py)?;
    for item in items {
        let dict = objects::dict(py)?;
        fill(&dict, item)?;
        list.append(dict)?;
    }
    Ok(list)
}

fn time_arg(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<i64>> {
    value.map(|value| int_arg(name, value)).transpose()
}

fn limit_arg(value: OptArg<'_, '_>) -> PyResult<Option<usize>> {
    value.map(|_| count_arg("limit", value, 0)).transpose()
}

fn words(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<Vec<String>>> {
    value.map(|value| names(name, value)).transpose()
}

fn numbers(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<Vec<i64>>> {
    let Some(value) = value else { return Ok(None) };
    let items = value.try_iter().map_err(|error| refused(name, "an iterable of ints", error, value))?;
    items.map(|item| int_arg(name, &item?)).collect::<PyResult<_>>().map(Some)
}

fn absolute(name: &str, value: OptArg<'_, '_>) -> PyResult<Option<Vec<u8>>> {
    let Some(value) = value else { return Ok(None) };
    let path = name_arg(name, value)?;
    if !path.starts_with(b"/") {
        return Err(PyValueError::new_err(format!("{name} must be an absolute path")));
    }
    Ok(Some(path))
}

#[pymethods]
impl HistoryReader {
    #[new]
    fn new(py: Python<'_>, directory: &Bound<'_, PyAny>) -> PyResult<Self> {
        let directory = path("directory", "a path", directory)?;
        Ok(Self(py.detach(|| Reader::open(&directory))?))
    }

    #[doc = py_doc!("HistoryReader.scan")]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    #[pyo3(signature = (columns=None, *, since_ns=None, until_ns=None, path=None, under=None, glob=None, pid=None, uid=None, comm=None,
                        container=None, syscall=None, action=None, outcome=Arg(None), limit=None, newest_first=Arg(None)),
           text_signature = "($self, columns=None, *, since_ns=None, until_ns=None, path=None, under=None, glob=None, pid=None, uid=None, comm=None, container=None, syscall=None, action=None, outcome='any', limit=None, newest_first=False)")]
    fn scan(
        &self,
        py: Python<'_>,
        columns: OptArg<'_, '_>,
        since_ns: OptArg<'_, '_>,
        until_ns: OptArg<'_, '_>,
        path: OptArg<'_, '_>,
        under: OptArg<'_, '_>,
        glob: OptArg<'_, '_>,
        pid: OptArg<'_, '_>,
        uid: OptArg<'_, '_>,
        comm: OptArg<'_, '_>,
        container: OptArg<'_, '_>,
        syscall: OptArg<'_, '_>,
        action: OptArg<'_, '_>,
        outcome: Arg<'_, '_>,
        limit: OptArg<'_, '_>,
        newest_first: Arg<'_, '_>,
    ) -> PyResult<HistoryScan> {
        check_memory()?;
        let columns = words("columns", columns)?;
        let outcome = match &*outcome.word("outcome", "any")? {
            "any" => Outcome::Any,
            "ok" => Outcome::Ok,
            "failed" => Outcome::Failed,
            other => {
                return Err(PyValueError::new_err(format!("unknown outcome {other:?}: there are any, ok, failed")));
            }
        };
        let filter = Filter {
            since_ns: time_arg("since_ns", since_ns)?,
            until_ns: time_arg("until_ns", until_ns)?,
            paths: absolute("path", path)?.map(|path| vec![path]),
            under: absolute("under", under)?,
            glob: absolute("glob", glob)?.map(|glob| parse_glob(&glob)).transpose()?,
            pid: numbers("pid", pid)?,
            uid: numbers("uid", uid)?,
            comm: words("comm", comm)?,
            container: words("container", container)?,
            syscall: words("syscall", syscall)?,
            action: words("action", action)?,
            outcome,
        };
        let (limit, newest_first) = (limit_arg(limit)?, newest_first.flag("newest_first", false)?);
        Ok(HistoryScan::new(py.detach(|| self.0.scan(columns.as_deref(), filter, limit, newest_first))?))
    }

    #[doc = py_doc!("HistoryReader._journal")]
    fn _journal(&self, py: Python<'_>, offset: u64) -> PyResult<(Vec<String>, u64)> {
        check_memory()?;
        Ok(py.detach(|| self.0.follower().journal(offset))?)
    }

    #[doc = py_doc!("HistoryReader._acknowledged")]
    fn _acknowledged(&self, py: Python<'_>, session: i64) -> PyResult<Option<(i64, i64)>> {
        Ok(py.detach(|| self.0.follower().acknowledged(session))?)
    }

    #[doc = py_doc!("HistoryReader._first_batch")]
    fn _first_batch(&self, py: Python<'_>, session: i64, number: u32) -> PyResult<Option<u64>> {
        Ok(py.detach(|| self.0.follower().first_batch(session, number))?)
    }

    #[doc = py_doc!("HistoryReader._log")]
    #[pyo3(signature = (session, number, offset, first_batch, *, end=None, end_batch=None))]
    #[expect(clippy::too_many_arguments, reason = "Python's keyword arguments")]
    fn _log(
        &self,
        py: Python<'_>,
        session: i64,
        number: u32,
        offset: u64,
        first_batch: u64,
        end: Option<u64>,
        end_batch: Option<u64>,
    ) -> PyResult<Option<(HistoryBatch, u64, u64)>> {
        check_memory()?;
        let (end, end_batch) = (end.unwrap_or(u64::MAX), end_batch.unwrap_or(u64::MAX));
        let window = Window { offset, first_batch, end, end_batch };
        let step = py.detach(|| self.0.follower().step(session, number, window))?;
        Ok(step.map(|step| (HistoryBatch(step.batch), step.number, step.end)))
    }

    #[doc = py_doc!("HistoryReader._sealed")]
    fn _sealed(&self, py: Python<'_>, description: &str) -> PyResult<HistoryFile> {
        check_memory()?;
        Ok(HistoryFile::new(py.detach(|| self.0.follower().sealed(description))?))
    }

    #[doc = py_doc!("HistoryReader.who")]
    #[pyo3(signature = (path, *, since_ns=None, until_ns=None, limit=None, failed=Arg(None)),
           text_signature = "($self, path, *, since_ns=None, until_ns=None, limit=None, failed=False)")]
    fn who<'py>(
        &self,
        py: Python<'py>,
        path: &Bound<'py, PyAny>,
        since_ns: OptArg<'_, 'py>,
        until_ns: OptArg<'_, 'py>,
        limit: OptArg<'_, 'py>,
        failed: Arg<'_, 'py>,
    ) -> PyResult<(Bound<'py, PyList>, Vec<String>)> {
        check_memory()?;
        let question = Question {
            path: absolute("path", Some(path))?.unwrap_or_default(),
            since_ns: time_arg("since_ns", since_ns)?,
            until_ns: time_arg("until_ns", until_ns)?,
            failed: failed.flag("failed", false)?,
        };
        let limit = limit_arg(limit)?;
        let answer = py.detach(|| who(&self.0, &question, limit))?;
        let answers = objects::list(py)?;
        let decoder = Decoder::new(py)?;
        for Hit { row, relation, name, .. } in answer.hits {
            for dict in to_dicts(py, &row)? {
                dict.set_item("relation", relation.as_str())?;
                dict.set_item("name", decoder.text(py, &name)?)?;
                answers.append(dict)?;
            }
        }
        Ok((answers, answer.damaged))
    }

    #[doc = py_doc!("HistoryReader.gaps")]
    #[pyo3(signature = (since_ns=None, until_ns=None))]
    fn gaps<'py>(
        &self,
        py: Python<'py>,
        since_ns: OptArg<'_, 'py>,
        until_ns: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        check_memory()?;
        let (since_ns, until_ns) = (time_arg("since_ns", since_ns)?, time_arg("until_ns", until_ns)?);
        let gaps = py.detach(|| self.0.gaps(since_ns, until_ns))?;
        dicts(py, gaps, |dict, gap| {
            dict.set_item("from_ns", gap.from_ns)?;
            dict.set_item("to_ns", gap.to_ns)?;
            dict.set_item("reason", gap.reason)?;
            dict.set_item("session", gap.session)
        })
    }

    #[doc = py_doc!("HistoryReader.losses")]
    #[pyo3(signature = (since_ns=None, until_ns=None))]
    fn losses<'py>(
        &self,
        py: Python<'py>,
        since_ns: OptArg<'_, 'py>,
        until_ns: OptArg<'_, 'py>,
    ) -> PyResult<Bound<'py, PyList>> {
        check_memory()?;
        let (since_ns, until_ns) = (time_arg("since_ns", since_ns)?, time_arg("until_ns", until_ns)?);
        let losses = py.detach(|| self.0.losses(since_ns, until_ns))?;
        dicts(py, losses, |dict, loss| {
            dict.set_item("from_ns", loss.from_ns)?;
            dict.set_item("to_ns", loss.to_ns)?;
            dict.set_item("count", loss.count)?;
            dict.set_item("kind", loss.kind)?;
            dict.set_item("cpu", loss.cpu)?;
            dict.set_item("via", loss.via)?;
            dict.set_item("session", loss.session)
        })
    }

    #[doc = py_doc!("HistoryReader.sessions")]
    fn sessions<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        check_memory()?;
        let sessions = py.detach(|| self.0.sessions())?;
        dicts(py, sessions, |dict, info| {
            dict.set_item("session", info.session)?;
            dict.set_item("start_ns", info.start_ns)?;
            dict.set_item("through_ns", info.through_ns)?;
            dict.set_item("closed", info.closed)?;
            dict.set_item("host", info.host)?;
            dict.set_item("boot_id", info.boot_id)?;
            dict.set_item("machine_id", info.machine_id)?;
            dict.set_item("info", info.info)
        })
    }

    #[doc = py_doc!("HistoryReader.coverage")]
    fn coverage(&self, py: Python<'_>) -> PyResult<Vec<(i64, i64)>> {
        Ok(py.detach(|| self.0.coverage())?)
    }

    #[doc = py_doc!("HistoryReader.is_recording")]
    fn is_recording(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(py.detach(|| self.0.is_recording())?)
    }

    #[doc = py_doc!("HistoryReader.stats")]
    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        check_memory()?;
        let stats = py.detach(|| self.0.stats())?;
        let dict = objects::dict(py)?;
        let counts = [
            ("segments", stats.segments),
            ("segment_bytes", stats.segment_bytes),
            ("wal_files", stats.wal_files),
            ("wal_bytes", stats.wal_bytes),
            ("quarantined", stats.quarantined),
            ("expired", stats.expired),
            ("journal_lines", stats.journal_lines),
            ("journal_damaged_lines", stats.journal_damaged_lines),
        ];
        for (name, count) in counts {
            dict.set_item(name, count)?;
        }
        dict.set_item("events", stats.events)?;
        dict.set_item("first_ns", stats.first_ns)?;
        dict.set_item("last_ns", stats.last_ns)?;
        Ok(dict)
    }

    #[doc = py_doc!("HistoryReader.verify")]
    fn verify(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(py.detach(|| self.0.verify())?)
    }
}
