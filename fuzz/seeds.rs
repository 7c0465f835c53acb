//! Writes the seeds, out of real calls: as root, `cargo run --release --example seeds -- DIRECTORY`.
//!
//! A seed holds what this program is, its path and arguments among it: run a copy from a place that may be known.

use std::fs::{self, File};
use std::io::{Error, Result, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, chroot};
use std::path::{Path, PathBuf};
use std::{env, process, thread};

use _core::config::Config;
use _core::config::filters::{FilterArgs, Filters};
use _core::config::hook::Hook;
use _core::config::when::When;
use _core::fields::Fields;
use _core::session::Session;
use _core::syscall;

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

/// Whether it was there or not.
fn remove(path: &Path) -> Result<()> {
    drop(fs::remove_file(path));
    Ok(())
}

fn unlinkat(directory: i32, name: *const libc::c_char) {
    // SAFETY: the kernel checks the pointer; what it removes, if anything, is in a directory of our own.
    unsafe { libc::unlinkat(directory, name, 0) };
}

fn seed(results: bool, action: Action, place: &Path) -> Result<Vec<u8>> {
    let calls: Vec<String> =
        [syscall::DELETE, syscall::RENAME, syscall::TRUNCATE].concat().iter().map(ToString::to_string).collect();
    let pid = Some(vec![process::id().into()]);
    let filters = Filters::new(FilterArgs { pid, ..FilterArgs::default() }).map_err(Error::other)?;
    let config = Config::new(&calls, When::Loss, 0, results, Fields::ALL, Hook::Auto, filters, 1 << 20, 1 << 20)
        .map_err(Error::other)?;
    fs::create_dir_all(place)?;
    env::set_current_dir(place)?;
    let (session, _reader) = Session::open(&config).map_err(Error::other)?;
    action(place)?;
    session.close();
    drop(fs::remove_dir_all(place));
    Ok(std::iter::from_fn(|| session.queue().pop()).flat_map(|chunk| chunk.bytes.to_vec()).collect())
}

fn main() -> Result<()> {
    let target = PathBuf::from(env::args_os().nth(1).ok_or_else(|| Error::other("usage: seeds DIRECTORY"))?);
    let place = env::temp_dir().join("seeds.d");
    // Opened before the chroot.
    let files = ACTIONS.iter().map(|(name, ..)| File::create(target.join(name))).collect::<Result<Vec<_>>>()?;
    for ((_, results, action), mut file) in ACTIONS.iter().zip(files) {
        file.write_all(&seed(*results, *action, &place)?)?;
    }
    Ok(())
}
