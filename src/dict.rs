//! [`Event`] to dict, fast: a copy of the dict made for the same thread, with what differs set anew.

use nix::errno::Errno;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};
use rustc_hash::FxHashMap;

use crate::event::Event;
use crate::fields::{CGROUP, Fields, IDENTITY, Key, PATHS};
use crate::path::{PathKind, Paths};
use crate::places::Places;
use crate::record::{self, Identity, Name, NameStatus, Segments, same_identity};
use crate::syscalls::Abi;

/// An id of audit's that nobody has set (`AUDIT_UID_UNSET`, include/uapi/linux/audit.h).
const UNSET: u32 = u32::MAX;

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
            status: event.name_status(),
            ret: event.exit.map(|exit| exit.record.ret),
        }
    }
}

/// What a process runs: kept as it came, to see whether it is still the same.
#[derive(Default)]
struct Program {
    exe: Vec<u8>,
    argv: Vec<u8>,
    ancestors: Vec<u8>,
}

impl Program {
    fn is(&self, event: &Event<'_>) -> bool {
        let segments = &event.enter.segments;
        same(&self.exe, segments.exe.map_or(b"", |exe| exe.names))
            && same(&self.argv, segments.argv.map_or(b"", |argv| argv.bytes))
            && same(&self.ancestors, segments.ancestors)
    }
}

/// `==`, but for two empty ones without memcmp: with AVX-512 it touches what an empty slice points to, which is nowhere,
/// and that takes the processor over 100 ns.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && (one.is_empty() || one == other)
}

struct Template {
    identity: Identity,
    sticky: Sticky,
    program: Program,
    dict: Py<PyDict>,
}

/// Sets the keys that are wanted.
struct Keys {
    fields: Fields,
    names: Vec<Py<PyString>>,
    utf8: bool,
}

impl Keys {
    fn set<'py>(&self, dict: &Bound<'py, PyDict>, key: Key, value: impl IntoPyObject<'py>) -> PyResult<()> {
        if self.fields.has(key) {
            dict.set_item(self.names[key as usize].bind(dict.py()), value)?;
        }
        Ok(())
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

    fn set_text(&self, dict: &Bound<'_, PyDict>, key: Key, bytes: Option<&[u8]>) -> PyResult<()> {
        match bytes {
            Some(bytes) if self.fields.has(key) => self.set(dict, key, self.text(dict.py(), bytes)?),
            // The template has None there.
            _ => Ok(()),
        }
    }
}

/// Makes the dicts of one tracer.
pub(crate) struct Dicts {
    keys: Keys,
    templates: FxHashMap<u32, Template>,
    errnos: FxHashMap<i32, Py<PyString>>,
    /// By [`PathKind`].
    kinds: [Option<Py<PyString>>; PathKind::ALL.len()],
    paths: Paths,
    new_paths: Paths,
    places: Places,
}

impl Dicts {
    pub(crate) fn new(py: Python<'_>, fields: Fields) -> PyResult<Self> {
        let encoding: String = py.import("sys")?.call_method0("getfilesystemencoding")?.extract()?;
        let names = Key::ALL.iter().map(|key| PyString::intern(py, key.as_str()).unbind()).collect();
        Ok(Self {
            keys: Keys { fields, names, utf8: encoding == "utf-8" },
            templates: FxHashMap::default(),
            errnos: FxHashMap::default(),
            kinds: PathKind::ALL.map(|kind| kind.as_str().map(|text| PyString::intern(py, text).unbind())),
            paths: Paths::default(),
            new_paths: Paths::default(),
            places: Places::default(),
        })
    }

    fn errno<'py>(&mut self, py: Python<'py>, errno: i32) -> Bound<'py, PyString> {
        let name = self.errnos.entry(errno).or_insert_with(|| PyString::new(py, &errno_name(errno)).unbind());
        name.bind(py).clone()
    }

    fn set_sticky(&mut self, py: Python<'_>, dict: &Bound<'_, PyDict>, event: &Event<'_>) -> PyResult<()> {
        let Sticky { cpu, lost, dfd, flags, status, ret } = Sticky::of(event);
        let has =
            |argument: fn(&crate::skel::types::call) -> u8| event.call().is_some_and(|call| argument(&call.shape) > 0);
        let errno = match ret {
            Some(ret @ -4095..=-1) => Some(self.errno(py, -(ret as i32))),
            _ => None,
        };
        self.keys.set(dict, Key::Cpu, cpu)?;
        self.keys.set(dict, Key::Lost, lost)?;
        self.keys.set(dict, Key::Action, PyString::intern(py, event.action().as_str()))?;
        self.keys.set(dict, Key::Dfd, has(|shape| shape.dfd).then_some(dfd))?;
        self.keys.set(dict, Key::Flags, has(|shape| shape.flags).then_some(flags))?;
        self.keys.set(dict, Key::NameStatus, PyString::intern(py, status.as_str()))?;
        self.keys.set(dict, Key::Ret, ret)?;
        self.keys.set(dict, Key::Errno, errno)
    }

    /// A dict with every key that is wanted, in the order that [`rawtp.Event`] documents.
    fn template(&mut self, py: Python<'_>, event: &Event<'_>) -> PyResult<Template> {
        let record = &event.enter.record;
        let dict = PyDict::new(py);
        for key in Key::ALL {
            self.keys.set(&dict, *key, py.None())?;
        }
        let abi = Abi::of_record(record.abi.into());
        let comm = record.comm.split(|byte| *byte == 0).next();
        self.keys.set(&dict, Key::Pid, record.pid)?;
        self.keys.set(&dict, Key::Tid, record.tid)?;
        self.keys.set(&dict, Key::Ppid, record.ppid)?;
        self.keys.set(&dict, Key::Uid, record.uid)?;
        self.keys.set(&dict, Key::Gid, record.gid)?;
        self.keys.set_text(&dict, Key::Comm, comm)?;
        self.keys.set(&dict, Key::Syscall, event.call().map(|call| PyString::intern(py, call.name)))?;
        self.keys.set(&dict, Key::Abi, PyString::intern(py, abi.as_str()))?;
        self.keys.set(&dict, Key::Via, PyString::intern(py, event.via()))?;
        self.set_identity(&dict, event)?;
        self.set_sticky(py, &dict, event)?;
        let (identity, sticky) = (event.enter.identity(), Sticky::of(event));
        let mut made = Template { identity, sticky, program: Program::default(), dict: dict.unbind() };
        self.set_program(py, &mut made, event)?;
        Ok(made)
    }

    fn set_identity(&mut self, dict: &Bound<'_, PyDict>, event: &Event<'_>) -> PyResult<()> {
        if !self.keys.fields.any(&IDENTITY) {
            return Ok(());
        }
        let record = &event.enter.record;
        let audit = |id: u32| (id != UNSET).then_some(id);
        self.keys.set_text(dict, Key::ParentComm, record.parent_comm.split(|byte| *byte == 0).next())?;
        self.keys.set(dict, Key::Euid, record.euid)?;
        self.keys.set(dict, Key::Auid, audit(record.auid))?;
        self.keys.set(dict, Key::SessionId, audit(record.session_id))?;
        self.keys.set(dict, Key::StartNs, event.start_ns())?;
        self.keys.set(dict, Key::NsPid, record.ns_pid)?;
        self.keys.set(dict, Key::PidNs, record.pid_ns)?;
        self.keys.set(dict, Key::MntNs, record.mnt_ns)?;
        self.keys.set(dict, Key::CgroupId, record.cgroup_id)?;
        if self.keys.fields.any(&CGROUP) {
            let place = self.places.place(record.cgroup_id, record.cgroup_v1_id);
            self.keys.set(dict, Key::ContainerId, place.container_id.as_deref())?;
            self.keys.set(dict, Key::PodId, place.pod_id.as_deref())?;
            self.keys.set(dict, Key::Unit, place.unit.as_deref())?;
        }
        Ok(())
    }

    /// What the process runs. The arguments are a tuple, which events can share, and which spares the garbage collector their
    /// dicts: with a list in each it takes a third of the time.
    fn set_program(&mut self, py: Python<'_>, template: &mut Template, event: &Event<'_>) -> PyResult<()> {
        let dict = template.dict.bind(py);
        let Segments { exe, argv, ancestors, .. } = event.enter.segments;
        template.program = Program {
            exe: exe.map_or_else(Vec::new, |exe| exe.names.to_vec()),
            argv: argv.map_or_else(Vec::new, |argv| argv.bytes.to_vec()),
            ancestors: ancestors.to_vec(),
        };
        self.keys.set(dict, Key::Exe, py.None())?;
        if let Some(exe) = exe {
            self.keys.set_text(dict, Key::Exe, self.paths.resolve_file(exe))?;
        }
        self.keys.set(dict, Key::ArgvTruncated, argv.map(|argv| argv.status == NameStatus::Truncated))?;
        self.keys.set(dict, Key::Argv, py.None())?;
        if let Some(argv) = argv.filter(|_| self.keys.fields.has(Key::Argv)) {
            let whole = argv.bytes.strip_suffix(&[0]).unwrap_or(argv.bytes);
            let texts: Vec<_> =
                whole.split(|byte| *byte == 0).map(|text| self.keys.text(py, text)).collect::<PyResult<_>>()?;
            self.keys.set(dict, Key::Argv, PyTuple::new(py, texts)?)?;
        }
        if self.keys.fields.has(Key::Ancestors) {
            let pairs: Vec<_> = record::ancestors(ancestors)
                .map(|(pid, comm)| Ok((pid, self.keys.text(py, comm)?)))
                .collect::<PyResult<_>>()?;
            self.keys.set(dict, Key::Ancestors, PyTuple::new(py, pairs)?)?;
        }
        Ok(())
    }

    fn set_paths(&mut self, dict: &Bound<'_, PyDict>, event: &Event<'_>) -> PyResult<()> {
        let record = &event.enter.record;
        let segments = &event.enter.segments;
        let (filename, new_filename) = (event.filename(), event.new_filename());
        self.paths.resolve(filename, segments.directory, record.dfd == libc::AT_FDCWD);
        self.keys.set_text(dict, Key::Path, self.paths.path())?;
        self.keys.set_text(dict, Key::HostPath, self.paths.host_path())?;
        let mut kind = self.paths.kind();
        if new_filename.is_some() {
            self.new_paths.resolve(new_filename, segments.new_directory, true);
            self.keys.set_text(dict, Key::NewPath, self.new_paths.path())?;
            if self.new_paths.kind() == PathKind::Partial {
                kind = PathKind::Partial;
            }
        }
        // The template has None there.
        self.kinds[kind as usize].as_ref().map_or(Ok(()), |kind| self.keys.set(dict, Key::PathKind, kind))
    }

    /// The event as a dict of its own.
    pub(crate) fn make<'py>(&mut self, py: Python<'py>, event: &Event<'_>) -> PyResult<Bound<'py, PyDict>> {
        let tid = event.enter.record.tid;
        let identity = event.enter.identity();
        let known = self.templates.remove(&tid).filter(|known| same_identity(&known.identity, &identity));
        let mut template = match known {
            Some(template) => template,
            None => self.template(py, event)?,
        };
        if template.sticky != Sticky::of(event) {
            self.set_sticky(py, template.dict.bind(py), event)?;
            template.sticky = Sticky::of(event);
        }
        if !template.program.is(event) {
            self.set_program(py, &mut template, event)?;
        }
        let dict = template.dict.bind(py).copy()?;
        if self.templates.len() >= TEMPLATES {
            self.templates.clear();
        }
        self.templates.insert(tid, template);

        self.keys.set(&dict, Key::TsNs, event.ts_ns())?;
        self.keys.set(&dict, Key::DurationNs, event.duration_ns())?;
        self.keys.set(&dict, Key::Seq, event.enter.record.seq)?;
        self.keys.set_text(&dict, Key::Filename, readable(event.filename()))?;
        self.keys.set_text(&dict, Key::NewFilename, readable(event.new_filename()))?;
        if self.keys.fields.any(&PATHS) {
            self.set_paths(&dict, event)?;
        }
        Ok(dict)
    }
}

fn readable(name: Option<Name<'_>>) -> Option<&[u8]> {
    name.filter(|name| name.status != NameStatus::Fault).map(|name| name.bytes)
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
