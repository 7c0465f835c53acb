//! The names of users, kept because a look-up can take long.

use rustc_hash::FxHashMap;

use crate::memory::{check, fallible};
use crate::mounts::host_root::HostRoot;
use crate::sys::users;

/// The number of users at which all are forgotten.
const MOST: usize = 1024;

/// The file of users, and the most of it that is read: some 100,000 users.
const PASSWD: &[u8] = b"/etc/passwd";
const PASSWD_BYTES: u64 = 8 << 20;

/// The names of the users that were looked up.
#[derive(Debug, Default)]
pub(crate) struct UserNames {
    names: FxHashMap<u32, Option<Vec<u8>>>,
    host_root: HostRoot,
}

impl UserNames {
    /// Looks users up on the host from now on: in its file of users, for what else it asks is not known here.
    pub(crate) fn look_up_on(&mut self, host_root: HostRoot) {
        *self = Self { host_root, ..Self::default() };
    }

    /// Looks up a user, unless that was done before. Without memory the user stays unknown.
    pub(crate) fn learn(&mut self, uid: u32) {
        if self.names.contains_key(&uid) || check().is_err() {
            return;
        }
        if self.names.len() >= MOST {
            self.names.clear();
        }
        if fallible(|| self.names.try_reserve(1)).is_ok() {
            let name = if self.host_root.is_own() {
                users::name(uid)
            } else {
                self.host_root.read(PASSWD, PASSWD_BYTES).and_then(|passwd| users::name_in(&passwd, uid))
            };
            self.names.insert(uid, name);
        }
    }

    /// Returns the name of a user who was looked up and has one.
    pub(crate) fn get(&self, uid: u32) -> Option<&[u8]> {
        self.names.get(&uid)?.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded() {
        let mut names = UserNames::default();
        assert_eq!(names.get(0), None);
        names.learn(0);
        assert_eq!(names.get(0), Some(b"root".as_slice()));
        for uid in 0..MOST as u32 {
            names.names.insert(uid, None);
        }
        names.learn(4_000_000_000);
        assert_eq!((names.names.len(), names.get(0)), (1, None));
    }
}
