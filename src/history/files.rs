//! What is done with the files of a recorder: each is made, opened, read, locked and removed in one way.

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

/// The most bytes that are read of a log or of the journal. A longer one is none that a recorder makes.
const MAX_BYTES: u64 = 4 << 30;

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
