//! The names in a recorder's directory, and the operations on files that several rooms need.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::hash::Hasher;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use twox_hash::XxHash64;

/// The permissions of files and of directories.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// The nanoseconds of a day.
pub(crate) const DAY_NS: i64 = 86_400_000_000_000;

/// The most bytes that are read of a log or of the journal. A longer one is none that a recorder makes.
const MAX_BYTES: u64 = 4 << 30;

/// The paths in a recorder's directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
}

/// The name of a log, and of the files it is sealed into: its session and its number in that, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stem {
    pub(crate) session: i64,
    pub(crate) number: u32,
}

impl std::fmt::Display for Stem {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:019}-{:06}", self.session, self.number)
    }
}

impl Stem {
    /// Reads a stem from the name of a file without its directories, which ends in `suffix`.
    pub(crate) fn parse(name: &str, suffix: &str) -> Option<Self> {
        let (session, number) = name.strip_suffix(suffix)?.split_once('-')?;
        let stem = Self { session: session.parse().ok()?, number: number.parse().ok()? };
        // The same numbers written in another way name another file.
        (name.strip_suffix(suffix)? == stem.to_string()).then_some(stem)
    }
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.root.join("journal.jsonl")
    }

    pub(crate) fn wal(&self) -> PathBuf {
        self.root.join("wal")
    }

    pub(crate) fn events(&self) -> PathBuf {
        self.root.join("events")
    }

    pub(crate) fn quarantine(&self) -> PathBuf {
        self.root.join("quarantine")
    }

    pub(crate) fn log(&self, stem: Stem) -> PathBuf {
        self.wal().join(format!("{stem}.arrows"))
    }

    pub(crate) fn through(&self, session: i64) -> PathBuf {
        self.wal().join(format!("{session:019}.through"))
    }

    /// A sealed file, relative to the root.
    pub(crate) fn segment(host: &str, date: &str, stem: Stem) -> String {
        format!("events/host={}/date={date}/{stem}.parquet", partition(host))
    }

    /// Makes the directories.
    pub(crate) fn create(&self) -> io::Result<()> {
        make_directory(&self.root)?;
        for directory in [self.wal(), self.events(), self.quarantine()] {
            make_directory(&directory)?;
        }
        sync_directory(&self.root)
    }

    /// The logs that are there, the earliest first.
    pub(crate) fn logs(&self) -> io::Result<Vec<Stem>> {
        let names = names(&self.wal())?;
        let mut stems: Vec<_> = names.iter().filter_map(|name| Stem::parse(name, ".arrows")).collect();
        stems.sort_unstable();
        Ok(stems)
    }

    /// The sealed files that are there, relative to the root, by date and name.
    pub(crate) fn segments(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for host in names(&self.events())?.iter().filter(|name| name.starts_with("host=")) {
            let hosts = self.events().join(host);
            for date in names(&hosts)?.iter().filter(|name| name.starts_with("date=")) {
                let files = names(&hosts.join(date))?;
                let files = files.iter().filter(|name| Stem::parse(name, ".parquet").is_some());
                found.extend(files.map(|name| format!("events/{host}/{date}/{name}")));
            }
        }
        found.sort_unstable_by(|one, other| by_date(one).cmp(&by_date(other)));
        Ok(found)
    }
}

/// The order of sealed files: by date and stem, whatever the host.
fn by_date(file: &str) -> (&str, &str) {
    let mut parts = file.rsplit('/');
    let name = parts.next().unwrap_or_default();
    (parts.next().unwrap_or_default(), name)
}

/// The stem of a sealed file, relative to the root.
pub(crate) fn stem_of(file: &str) -> Option<Stem> {
    Stem::parse(file.rsplit('/').next()?, ".parquet")
}

/// The host of a sealed file, as far as the directory's name tells.
pub(crate) fn host_of(file: &str) -> String {
    let part = file.split('/').find_map(|part| part.strip_prefix("host=")).unwrap_or_default();
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let [first, more @ ..] = rest {
        let escaped = more.get(..2).and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        if let Some(byte) = escaped.filter(|_| *first == b'%') {
            bytes.push(byte);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A value as the name of a directory has it. Engines undo the percent signs.
fn partition(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let escaped = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let name: String = value.bytes().take(64).map(escaped).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

/// The UTC date of a Unix time.
pub(crate) fn date(ts_ns: i64) -> String {
    // Howard Hinnant's `civil_from_days`: years begin in March, so that leap days are last.
    let days = ts_ns.div_euclid(DAY_NS) + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The names in a directory. There are none in one that does not exist, and none in what is no directory. Names that
/// are not text are none of ours.
pub(crate) fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a directory unless it is there.
pub(crate) fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        // The umask may have taken something off.
        Ok(()) => fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Odd::error(path, "is not a directory")),
        Err(error) => Err(error),
    }
}

/// Makes a file that must not be there yet.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

/// The error of a path that leads to something a recorder does not make.
#[derive(Debug, thiserror::Error)]
#[error("{} {reason}", path.display())]
struct Odd {
    path: PathBuf,
    reason: &'static str,
}

impl Odd {
    fn error(path: &Path, reason: &'static str) -> io::Error {
        // A recorder reaches its files through /proc, whose names tell a user nothing.
        let parent = path.parent().and_then(|parent| fs::canonicalize(parent).ok());
        let named = parent.zip(path.file_name()).map(|(parent, name)| parent.join(name));
        io::Error::other(Self { path: named.unwrap_or_else(|| path.to_owned()), reason })
    }
}

/// Tells why a file is none that a recorder makes. `None` for all other errors, such as those of the system.
pub(crate) fn oddity(error: &io::Error) -> Option<&'static str> {
    error.get_ref()?.downcast_ref::<Odd>().map(|odd| odd.reason)
}

/// Opens a regular file. Anything else is refused by an error that [`oddity`] knows: to open a FIFO blocks, and a device
/// has no end.
fn open_regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    const REASON: &str = "is not a regular file";
    match options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(file),
        Ok(_) => Err(Odd::error(path, REASON)),
        // A symbolic link; a socket or a device without a driver; a directory; a file in place of a directory.
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ELOOP | libc::ENXIO | libc::ENODEV | libc::EISDIR | libc::ENOTDIR)
            ) =>
        {
            Err(Odd::error(path, REASON))
        }
        Err(error) => Err(error),
    }
}

/// Opens a regular file for reading. [`oddity`] knows the error of anything else.
pub(crate) fn open_file(path: &Path) -> io::Result<File> {
    open_regular(OpenOptions::new().read(true), path)
}

/// Whether something else than a regular file has this name.
pub(crate) fn is_odd(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.is_file())
}

/// The size of a log or a journal, if it can be read into memory. [`oddity`] knows the error of a larger one.
pub(crate) fn readable_size(file: &File, path: &Path) -> io::Result<usize> {
    let size = file.metadata()?.len();
    let size = usize::try_from(size).ok().filter(|_| size <= MAX_BYTES);
    size.ok_or_else(|| Odd::error(path, "is larger than 4 GiB"))
}

/// Reads a log or a journal from its beginning.
pub(crate) fn read_whole(mut file: &File, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(readable_size(file, path)?)?;
    file.seek(SeekFrom::Start(0))?;
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file for reading and writing, and makes it if it is not there. A symbolic link is not followed.
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    match create_file(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            open_regular(OpenOptions::new().read(true).write(true), path)
        }
        made => made,
    }
}

/// Has the entries of a directory written to the disk.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes a file. One that is gone is no error.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The checksum of bytes.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

/// The checksum of a file from its beginning, and its size.
pub(crate) fn checksum_of_file(file: &mut impl Read) -> io::Result<(u64, u64)> {
    let (mut hasher, mut size) = (XxHash64::with_seed(0), 0);
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(read) => {
                hasher.write(&buffer[..read]);
                size += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The lock of a recorder, as fcntl(2) describes it.
fn lock_request(kind: libc::c_int) -> libc::flock {
    // SAFETY: all zeros is a valid value: the whole file, and no process.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind as libc::c_short;
    request
}

/// Takes the lock, which the descriptor's last copy holds. Returns false when somebody else has it.
pub(crate) fn try_lock(file: &File) -> io::Result<bool> {
    let request = lock_request(libc::F_WRLCK);
    // SAFETY: a descriptor, and a pointer to a lock request.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const request) };
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) { Ok(false) } else { Err(error) }
}

/// Whether somebody holds the lock. To ask takes none, so it disturbs nobody.
pub(crate) fn is_locked(file: &File) -> io::Result<bool> {
    let mut request = lock_request(libc::F_RDLCK);
    // SAFETY: a descriptor, and a pointer to a lock request that the kernel answers in.
    let result = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut request) };
    if result == 0 { Ok(libc::c_int::from(request.l_type) != libc::F_UNLCK) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;

    /// A directory that is removed at the end.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("rawtp-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::Scratch;
    use super::*;

    #[test]
    fn dates() {
        let day = |days: i64| date(days * DAY_NS);
        assert_eq!(
            [day(0), day(-1), day(11_016), day(20_000)],
            ["1970-01-01", "1969-12-31", "2000-02-29", "2024-10-04"]
        );
        assert_eq!((date(DAY_NS - 1), date(i64::MAX)), ("1970-01-01".into(), "2262-04-11".into()));
    }

    #[test]
    fn names_of_files() {
        let stem = Stem { session: 1_790_000_000_000_000_000, number: 7 };
        assert_eq!(Stem::parse(&format!("{stem}.arrows"), ".arrows"), Some(stem));
        for name in [
            "",
            "1.arrows",
            "a-1.arrows",
            "1-+1.arrows",
            "1-1.parquet",
            "99999999999999999999-1.arrows",
            "1-4294967295.arrows",
        ] {
            assert_eq!(Stem::parse(name, ".arrows"), None, "{name}");
        }
        let file = Layout::segment("a/b c=é", "2026-11-27", stem);
        assert_eq!(file, format!("events/host=a%2Fb%20c%3D%C3%A9/date=2026-11-27/{stem}.parquet"));
        assert_eq!((stem_of(&file), host_of(&file)), (Some(stem), "a/b c=é".into()));
    }

    #[test]
    fn only_regular_files_are_opened() {
        let scratch = Scratch::new("odd");
        let path = |name: &str| scratch.0.join(name);
        create_file(&path("file")).unwrap();
        fs::create_dir(path("directory")).unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("device")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        assert!(open_file(&path("file")).is_ok() && open_or_create(&path("file")).is_ok() && !is_odd(&path("file")));
        for name in ["directory", "link", "device", "socket"] {
            let errors = [open_file(&path(name)), open_or_create(&path(name))].map(Result::unwrap_err);
            let text = format!("{} is not a regular file", path(name).display());
            for error in errors {
                assert_eq!(
                    (oddity(&error), error.to_string()),
                    (Some("is not a regular file"), text.clone()),
                    "{name}"
                );
            }
        }
        assert_eq!(oddity(&open_file(&path("file/of")).unwrap_err()), Some("is not a regular file"));
        let missing = open_file(&path("missing")).unwrap_err();
        assert_eq!((missing.kind(), oddity(&missing)), (io::ErrorKind::NotFound, None));
    }

    #[test]
    fn a_read_has_a_bound() {
        let scratch = Scratch::new("bound");
        let path = scratch.0.join("file");
        let file = create_file(&path).unwrap();
        fs::write(&path, "text").unwrap();
        assert_eq!(read_whole(&file, &path).unwrap(), b"text");
        file.set_len(MAX_BYTES + 1).unwrap();
        assert_eq!(oddity(&read_whole(&file, &path).unwrap_err()), Some("is larger than 4 GiB"));
    }

    #[test]
    fn a_lock_is_seen_and_held_once() {
        let scratch = Scratch::new("lock");
        let path = scratch.0.join("lock");
        let (one, other) = (open_or_create(&path).unwrap(), open_or_create(&path).unwrap());
        assert!(!is_locked(&other).unwrap());
        assert!(try_lock(&one).unwrap() && !try_lock(&other).unwrap() && is_locked(&other).unwrap());
        drop(one);
        assert!(!is_locked(&other).unwrap() && try_lock(&other).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
    }
}
