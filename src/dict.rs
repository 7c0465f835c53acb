//! [`Event`] to dict, fast: a copy of the dict made for the same thread, with what differs set anew.

use nix::errno::Errno;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use rustc_hash::FxHashMap;

use crate::event::{Event, NameStatus, enter_record};
use crate::skel::types::syscall_shape;
use crate::syscalls::{NATIVE_ABI, by_nr};

/// Threads whose dict is kept. Beyond it all are dropped and made again as they come.
const TEMPLATES: usize = 4096;

/// The fields that differ between calls of a thread, but seldom from one to the next.
#[derive(PartialEq, Eq)]
struct Sticky {
    cpu: u32,
    lost: u32,
    dfd: i32,
    flags: u32,
    status: NameStatus,
    ret: Option<i64>,
}

impl Sticky {
    fn of(event: &Event<'_>) -> Self {
        let record = &event.enter.record;
        Self {
            cpu: record.cpu,
            lost: record.lost,
            dfd: record.dfd,
            flags: record.flags,
            status: event.name().status,
            ret: event.exit.map(|exit| exit.record.ret),
        }
    }
}

/// The fields that a thread keeps: all the others of the record.
type Identity = (u32, u32, u32, u32, u32, [u8; 16], u32);

fn identity(record: &enter_record) -> Identity {
    (record.pid, record.tid, record.ppid, record.uid, record.gid, record.comm, record.nr)
}

struct Template {
    identity: Identity,
    sticky: Sticky,
    dict: Py<PyDict>,
}

/// Makes the dicts of one tracer.
pub(crate) struct Dicts {
    templates: FxHashMap<u32, Template>,
    errnos: FxHashMap<i32, Py<PyString>>,
    utf8: bool,
}

impl Dicts {
    pub(crate) fn new(py: Python<'_>) -> PyResult<Self> {
        let encoding: String = py.import("sys")?.call_method0("getfilesystemencoding")?.extract()?;
        Ok(Self { templates: FxHashMap::default(), errnos: FxHashMap::default(), utf8: encoding == "utf-8" })
    }

    /// `os.fsdecode`.
    fn text<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyString>> {
        if self.utf8
            && let Ok(text) = str::from_utf8(bytes)
        {
            return Ok(PyString::new(py, text));
        }
        // SAFETY: pointer and length are those of the slice; the result is a new reference or NULL with an exception set.
        unsafe {
            let text = pyo3::ffi::PyUnicode_DecodeFSDefaultAndSize(bytes.as_ptr().cast(), bytes.len().cast_signed());
            Ok(Bound::from_owned_ptr_or_err(py, text)?.cast_into_unchecked())
        }
    }

    fn errno<'py>(&mut self, py: Python<'py>, errno: i32) -> Bound<'py, PyString> {
        let name = self.errnos.entry(errno).or_insert_with(|| PyString::new(py, &errno_name(errno)).unbind());
        name.bind(py).clone()
    }

    fn set_sticky(&mut self, py: Python<'_>, dict: &Bound<'_, PyDict>, event: &Event<'_>) -> PyResult<()> {
        let Sticky { cpu, lost, dfd, flags, status, ret } = Sticky::of(event);
        let at = by_nr(event.enter.record.nr).is_some_and(|syscall| syscall.shape == syscall_shape::SHAPE_AT);
        let action = if event.removes_directory() { intern!(py, "rmdir") } else { intern!(py, "delete") };
        let errno = match ret {
            Some(ret @ -4095..=-1) => Some(self.errno(py, -(ret as i32))),
            _ => None,
        };
        dict.set_item(intern!(py, "cpu"), cpu)?;
        dict.set_item(intern!(py, "lost"), lost)?;
        dict.set_item(intern!(py, "action"), action)?;
        dict.set_item(intern!(py, "dfd"), at.then_some(dfd))?;
        dict.set_item(intern!(py, "flags"), at.then_some(flags))?;
        dict.set_item(intern!(py, "name_status"), status.as_str())?;
        dict.set_item(intern!(py, "ret"), ret)?;
        dict.set_item(intern!(py, "errno"), errno)
    }

    /// A dict with every key, in the order that [`rawtp.Event`] documents.
    fn template(&mut self, py: Python<'_>, event: &Event<'_>) -> PyResult<Template> {
        let record = &event.enter.record;
        let dict = PyDict::new(py);
        for key in ["ts_ns", "duration_ns", "cpu", "seq", "lost"] {
            dict.set_item(PyString::intern(py, key), py.None())?;
        }
        dict.set_item(intern!(py, "pid"), record.pid)?;
        dict.set_item(intern!(py, "tid"), record.tid)?;
        dict.set_item(intern!(py, "ppid"), record.ppid)?;
        dict.set_item(intern!(py, "uid"), record.uid)?;
        dict.set_item(intern!(py, "gid"), record.gid)?;
        let comm = record.comm.split(|byte| *byte == 0).next().unwrap_or_default();
        dict.set_item(intern!(py, "comm"), self.text(py, comm)?)?;
        let syscall = by_nr(record.nr).map_or_else(|| record.nr.to_string(), |syscall| syscall.name.into());
        dict.set_item(intern!(py, "syscall"), PyString::intern(py, &syscall))?;
        dict.set_item(intern!(py, "abi"), PyString::intern(py, NATIVE_ABI))?;
        dict.set_item(intern!(py, "via"), intern!(py, "syscall"))?;
        for key in ["action", "dfd", "flags", "filename"] {
            dict.set_item(PyString::intern(py, key), py.None())?;
        }
        self.set_sticky(py, &dict, event)?;
        Ok(Template { identity: identity(record), sticky: Sticky::of(event), dict: dict.unbind() })
    }

    /// The event as a dict of its own.
    pub(crate) fn make<'py>(&mut self, py: Python<'py>, event: &Event<'_>) -> PyResult<Bound<'py, PyDict>> {
        let tid = event.enter.record.tid;
        let known = self.templates.remove(&tid).filter(|template| template.identity == identity(&event.enter.record));
        let template = match known {
            Some(template) if template.sticky == Sticky::of(event) => template,
            Some(mut template) => {
                self.set_sticky(py, template.dict.bind(py), event)?;
                template.sticky = Sticky::of(event);
                template
            }
            None => self.template(py, event)?,
        };
        let dict = template.dict.bind(py).copy()?;
        if self.templates.len() >= TEMPLATES {
            self.templates.clear();
        }
        self.templates.insert(tid, template);

        let name = event.name();
        dict.set_item(intern!(py, "ts_ns"), event.ts_ns())?;
        dict.set_item(intern!(py, "duration_ns"), event.duration_ns())?;
        dict.set_item(intern!(py, "seq"), event.enter.record.seq)?;
        if name.status != NameStatus::Fault {
            dict.set_item(intern!(py, "filename"), self.text(py, name.bytes)?)?;
        }
        Ok(dict)
    }
}

/// errno(3)'s names, and those of the kernel's own that only a tracer sees (include/linux/errno.h).
fn errno_name(errno: i32) -> String {
    match errno {
        512 => "ERESTARTSYS".into(),
        513 => "ERESTARTNOINTR".into(),
        514 => "ERESTARTNOHAND".into(),
        516 => "ERESTART_RESTARTBLOCK".into(),
        _ => match Errno::from_raw(errno) {
            Errno::UnknownErrno => errno.to_string(),
            known => format!("{known:?}"),
        },
    }
}
