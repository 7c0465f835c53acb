//! Writes the seeds of all targets, out of real calls: as root, `cargo run --release --example seeds -- corpus`.
//!
//! A seed holds what this program is, its path and arguments among it: run a copy, as /tmp/seeds, where the tests expect
//! it.

use std::fs::{self, File};
use std::io::{Error, Read, Result, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, chroot};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, process, ptr, thread};

use _core::config::Config;
use _core::config::filters::{FilterArgs, Filters};
use _core::config::hook::Hook;
use _core::config::when::When;
use _core::event::Event;
use _core::fields::Fields;
use _core::raw_tracepoint;
use _core::raw_tracepoint::layout::{Layout, Wanted};
use _core::raw_tracepoint::load::load;
use _core::read::counters::ReaderCounters;
use _core::read::join::Join;
use _core::record::segments::NameStatus;
use _core::ring::chunk::Chunk;
use _core::session::Session;
use _core::syscall;
use _core::syscall::Abi;
use _core::syscall::arguments::names;

/// What is done for a seed, in a directory of its own. Most of the calls fail, which makes records as good as any.
type Action = fn(&Path) -> Result<()>;

const ACTIONS: &[(&str, bool, Action)] = &[
    ("absolute", true, |place| remove(&place.join("..//x/./y"))),
    ("without-results", false, |_| remove(Path::new("/etc/no-such"))),
    ("relative", true, |_| remove(Path::new("../file"))),
    ("rmdir", true, |place| {
        fs::create_dir(place.join("sub"))?;
        fs::remove_dir(place.join("sub"))
    }),
    ("descriptor", true, |place| {
        let directory = File::open(place)?;
        unlinkat(directory.as_raw_fd(), c"name".as_ptr());
        unlinkat(9999, c"name".as_ptr());
        Ok(())
    }),
    ("rename", true, |place| {
        fs::write(place.join("old"), "")?;
        fs::rename("old", place.join("new"))?;
        remove(Path::new("new"))
    }),
    ("truncate", true, |place| {
        fs::write(place.join("file"), "content")?;
        let file = File::options().write(true).truncate(true).custom_flags(libc::O_NOFOLLOW).open("file")?;
        file.set_len(3)?;
        remove(&place.join("file"))
    }),
    ("fault", true, |_| {
        unlinkat(libc::AT_FDCWD, std::ptr::null());
        Ok(())
    }),
    ("too-long", true, |_| remove(Path::new(&"n".repeat(5000)))),
    ("deep", true, |_| {
        let names = ["d".repeat(200), "e".repeat(255)];
        for _ in 0..10 {
            for name in &names {
                fs::create_dir(name)?;
                env::set_current_dir(name)?;
            }
        }
        remove(Path::new("file"))
    }),
    ("deleted-directory", true, |place| {
        fs::create_dir("gone")?;
        env::set_current_dir("gone")?;
        fs::remove_dir(place.join("gone"))?;
        remove(Path::new("file"))
    }),
    ("threads", true, |_| {
        thread::scope(|scope| {
            for number in 0..3 {
                scope.spawn(move || (0..8).for_each(|at| drop(fs::remove_file(format!("{number}-{at}")))));
            }
        });
        Ok(())
    }),
    ("cgroup", true, |_| {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mut mounts = mounts.lines().filter_map(|line| line.split(' ').nth(1).zip(line.split(' ').nth(2)));
        let (top, _) = mounts.find(|(_, kind)| *kind == "cgroup2").ok_or_else(|| Error::other("no cgroup2"))?;
        let group = Path::new(top).join(format!("docker-{}.scope", "0123456789abcdef".repeat(4)));
        fs::create_dir(&group)?;
        fs::remove_dir(&group)
    }),
    // The last: there is no way out.
    ("chroot", true, |place| {
        chroot(place)?;
        remove(Path::new("/file"))?;
        remove(Path::new("file"))
    }),
];

/// What is done for seeds with arguments, and the calls that are watched meanwhile.
const WITH_ARGUMENTS: &[(&str, &[&str], Action)] = &[
    ("args-names", &["openat", "readlink", "mkdir", "getcwd", "statx"], |place| {
        drop(fs::read_link("/proc/self/exe"));
        drop(fs::create_dir(place.join("made")));
        drop(fs::metadata("/nonexistent"));
        drop(File::options().append(true).create(true).mode(0o640).open("file"));
        env::current_dir().map(drop)
    }),
    ("args-texts", &["execve"], |_| {
        let argv = [c"one".as_ptr(), c"\xff two".as_ptr(), c"".as_ptr(), ptr::null()];
        // SAFETY: there is no such program; the list ends with a NULL, and its texts with a NUL.
        unsafe { libc::execve(c"/nonexistent".as_ptr(), argv.as_ptr(), ptr::null()) };
        Ok(())
    }),
    ("args-addresses", &["connect", "bind", "sendto", "recvfrom", "getsockname"], |place| {
        drop(UnixStream::connect(place.join("none")));
        drop(TcpStream::connect("127.0.0.1:1"));
        drop(TcpStream::connect("[::1]:1"));
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.send_to(b"datagram", socket.local_addr()?)?;
        socket.recv_from(&mut [0; 64]).map(drop)
    }),
    ("args-times", &["clock_nanosleep", "nanosleep", "utimensat"], |place| {
        thread::sleep(Duration::from_nanos(1));
        let times = [libc::timespec { tv_sec: 7, tv_nsec: libc::UTIME_OMIT }, libc::timespec { tv_sec: 9, tv_nsec: 5 }];
        fs::write(place.join("file"), "")?;
        // SAFETY: the name ends with a NUL, and there are two times.
        unsafe { libc::utimensat(libc::AT_FDCWD, c"file".as_ptr(), times.as_ptr(), 0) };
        Ok(())
    }),
    ("args-numbers", &["pipe2", "fcntl", "kill", "mprotect", "wait4", "ioctl"], |_| {
        let (mut pair, mut status) = ([0; 2], 0);
        // SAFETY: the kernel writes to the two places, and refuses the other calls.
        unsafe {
            libc::pipe2(pair.as_mut_ptr(), libc::O_CLOEXEC);
            libc::fcntl(pair[0], libc::F_SETFL, libc::O_NONBLOCK);
            libc::kill(i32::MAX, libc::SIGTERM);
            libc::mprotect(ptr::without_provenance_mut(1), 5, libc::PROT_READ);
            libc::wait4(-1, &raw mut status, libc::WNOHANG, ptr::null_mut());
            libc::ioctl(pair[0], libc::TIOCGWINSZ, ptr::null::<u8>());
        }
        for fd in pair {
            // SAFETY: it is a descriptor of the pipe, and nothing uses it any more.
            unsafe { libc::close(fd) };
        }
        Ok(())
    }),
    ("args-buffers", &["read", "write", "setsockopt"], |place| {
        fs::write(place.join("file"), b"content\0\xff")?;
        File::open("file")?.read(&mut [0; 64]).map(drop)
    }),
];

/// A raw tracepoint with fields of the running kernel, those of the target's own kernel that have the same sizes, and
/// what is done.
const TRACEPOINTS: &[(&str, &str, &str, &str)] = &[
    ("exec", "sched_process_exec", "old_pid,p.comm,bprm.filename", "n,p.comm,text"),
    ("exit", "sched_process_exit", "p.pid,p.comm,p.exit_code", "p.pid,p.comm,p.left"),
    ("signal", "signal_generate", "sig,task.comm,task.pid", "n,p.comm,p.pid"),
    ("enter", "sys_enter", "id,regs.di", "n,p.right"),
    ("fault", "sched_process_exec", "p.real_parent.mm.owner.pid,bprm.interp", "p.pid,text"),
];

/// Whether it was there or not.
fn remove(path: &Path) -> Result<()> {
    drop(fs::remove_file(path));
    Ok(())
}

fn unlinkat(directory: i32, name: *const libc::c_char) {
    // SAFETY: the kernel checks the pointer; what it removes, if anything, is in a directory of our own.
    unsafe { libc::unlinkat(directory, name, 0) };
}

/// A tracer's configuration, as far as seeds differ in it.
struct Asked<'a> {
    calls: &'a [&'a str],
    when: When,
    buffers: u16,
    results: bool,
    fields: Fields,
}

fn chunks(asked: &Asked<'_>, action: Action, place: &Path) -> Result<Vec<Chunk>> {
    let calls: Vec<String> = asked.calls.iter().map(ToString::to_string).collect();
    let pid = Some(vec![process::id().into()]);
    let filters = Filters::new(FilterArgs { pid, ..FilterArgs::default() }).map_err(Error::other)?;
    let Asked { when, buffers, results, fields, .. } = *asked;
    let config = Config::new(&calls, when, buffers, results, fields, Hook::Auto, filters, 1 << 20, 1 << 20)
        .map_err(Error::other)?;
    fs::create_dir_all(place)?;
    env::set_current_dir(place)?;
    let (session, _reader) = Session::open(&config).map_err(Error::other)?;
    action(place)?;
    session.close();
    drop(fs::remove_dir_all(place));
    Ok(std::iter::from_fn(|| session.queue().pop()).collect())
}

fn bytes(chunks: &[Chunk]) -> Vec<u8> {
    chunks.iter().flat_map(|chunk| chunk.bytes.to_vec()).collect()
}

fn record_seed(results: bool, action: Action, place: &Path) -> Result<Vec<u8>> {
    let calls = [syscall::DELETE, syscall::RENAME, syscall::TRUNCATE].concat();
    let asked = Asked { calls: &calls, when: When::Loss, buffers: 0, results, fields: Fields::ALL };
    Ok(bytes(&chunks(&asked, action, place)?))
}

/// An input of the target `arguments`, with the name of its call.
fn input(event: &Event<'_>) -> Option<(&'static str, Vec<u8>)> {
    let (abi, name) = (event.abi(), event.syscall()?);
    let known = event.enter.segments.arguments();
    let left = event.exit.map_or([None; 6], |exit| exit.segments().arguments().pointed);
    let (table, call) = (Abi::ALL.iter().position(|it| *it == abi)?, names(abi).position(|it| it == name)?);
    let mut input = vec![table as u8];
    input.extend((call as u16).to_le_bytes());
    input.push(event.ret().is_some().into());
    input.extend(event.ret().unwrap_or_default().to_le_bytes());
    input.extend(known.registers?.iter().flat_map(|value| value.to_le_bytes()));
    for (entry, exit) in known.pointed.into_iter().zip(left) {
        let Some(pointed) = exit.or(entry) else {
            input.push(0);
            continue;
        };
        input.push(match pointed.status {
            NameStatus::Ok => 1,
            NameStatus::Truncated => 2,
            NameStatus::Fault => 3,
        });
        input.extend((pointed.bytes.len() as u16).to_le_bytes());
        input.extend(pointed.bytes);
    }
    Some((name, input))
}

fn inputs(chunks: &[Chunk]) -> Vec<(&'static str, Vec<u8>)> {
    let (mut join, counts) = (Join::default(), ReaderCounters::default());
    let mut inputs = Vec::new();
    for chunk in chunks {
        let mut position = 0;
        while let Ok(Some(made)) = join.next(chunk, &mut position, &counts, &mut |event: &Event<'_>| Ok(input(event))) {
            inputs.extend(made);
        }
    }
    inputs
}

fn raw_seed(tracepoint: &str, fields: &str, same: &str) -> Result<Vec<u8>> {
    let fields = Some(fields.split(',').map(str::to_owned).collect());
    let wanted = Wanted { tracepoint: tracepoint.into(), fields, pointers: false, text_bytes: 64 };
    let layout: Arc<Layout> = Layout::new(&wanted).map_err(Error::other)?;
    let loaded = load(&layout, 1 << 20, &[]).map_err(Error::other)?;
    let (session, _reader) = raw_tracepoint::open(&layout, loaded, 1 << 20, None).map_err(Error::other)?;
    process::Command::new("true").status()?;
    session.close();
    let chunks: Vec<_> = std::iter::from_fn(|| session.queue().pop()).collect();
    let mut seed = format!("{same}\n").into_bytes();
    // The first of them are enough.
    let records = 8 * (layout.bytes + 8);
    seed.extend(bytes(&chunks).into_iter().take(records));
    Ok(seed)
}

fn main() -> Result<()> {
    let corpus = PathBuf::from(env::args_os().nth(1).ok_or_else(|| Error::other("usage: seeds DIRECTORY"))?);
    let place = env::temp_dir().join("seeds.d");
    for (name, tracepoint, fields, same) in TRACEPOINTS {
        fs::write(corpus.join("raw_tracepoint").join(name), raw_seed(tracepoint, fields, same)?)?;
    }
    // Those of the actions below are opened before the chroot, and so before they change the directory.
    let files = ACTIONS.iter().map(|(name, ..)| File::create(corpus.join("record").join(name)));
    let files = files.collect::<Result<Vec<_>>>()?;
    let corpus = corpus.canonicalize()?;
    let fields =
        Fields::from_names(&["syscall", "abi", "exe", "args", "ret"].map(str::to_owned)).map_err(Error::other)?;
    for (name, calls, action) in WITH_ARGUMENTS {
        let asked = Asked { calls, when: When::Always, buffers: 32, results: true, fields };
        let chunks = chunks(&asked, *action, &place)?;
        fs::write(corpus.join("record").join(name), bytes(&chunks))?;
        for (call, input) in inputs(&chunks) {
            fs::write(corpus.join("arguments").join(call), input)?;
        }
    }
    for ((_, results, action), mut file) in ACTIONS.iter().zip(files) {
        file.write_all(&record_seed(*results, *action, &place)?)?;
    }
    Ok(())
}
