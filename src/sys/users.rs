//! Names of users, as the host's user database has them (nsswitch.conf(5)). A look-up can take as long as a directory
//! service takes to answer.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::ptr;

/// The room for a user's strings at first, and the most that is tried.
const BYTES: (usize, usize) = (1024, 1 << 20);

/// Returns the name of a user; `None` if the database has none, or does not answer.
#[must_use]
pub fn name(uid: u32) -> Option<Vec<u8>> {
    let mut room = BYTES.0;
    loop {
        let mut strings: Vec<libc::c_char> = vec![0; room];
        let (mut entry, mut found) = (MaybeUninit::<libc::passwd>::uninit(), ptr::null_mut());
        // SAFETY: the entry and its strings are written to memory that is large enough, or an error is returned.
        let failed =
            unsafe { libc::getpwuid_r(uid, entry.as_mut_ptr(), strings.as_mut_ptr(), room, ptr::from_mut(&mut found)) };
        if failed == libc::ERANGE && room < BYTES.1 {
            room *= 4;
            continue;
        }
        if failed != 0 || found.is_null() {
            return None;
        }
        // SAFETY: the entry was found, so that its name is a C string inside `strings`.
        return Some(unsafe { CStr::from_ptr((*found).pw_name) }.to_bytes().to_vec());
    }
}

/// Returns the name of a user in the text of a passwd(5); `None` if it has none.
#[must_use]
pub fn name_in(passwd: &[u8], uid: u32) -> Option<Vec<u8>> {
    let uid = uid.to_string();
    passwd.split(|byte| *byte == b'\n').find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        // Lines of NIS, such as "+user::::::", name nobody.
        (number == uid.as_bytes() && !name.is_empty() && !b"+-".contains(&name[0])).then(|| name.to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_names() {
        let passwd = b"\nroot:x:0:0:root:/root:/bin/sh\n+nis:x:8:8\n:x:9:9\nann:x:1000:1\nbob:x:1000:1\nx:y";
        let name = |uid| name_in(passwd, uid).map(|name| String::from_utf8(name).unwrap());
        assert_eq!([name(0), name(1000)], [Some("root".into()), Some("ann".into())]);
        assert_eq!([name(8), name(9), name(1), name(10)], [None, None, None, None]);
        assert_eq!(name_in(b"", 0), None);
    }

    #[test]
    fn root_has_a_name_everywhere() {
        assert_eq!(name(0).as_deref(), Some(b"root".as_slice()));
        assert_eq!(name(u32::MAX - 7), None);
    }
}
