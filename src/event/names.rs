//! The names of users, kept because a look-up can take long.

use rustc_hash::FxHashMap;

use crate::memory::{check, fallible};
use crate::sys::users;

/// The number of users at which all are forgotten.
const MOST: usize = 1024;

/// The names of the users that were looked up.
#[derive(Debug, Default)]
pub(crate) struct UserNames(FxHashMap<u32, Option<Vec<u8>>>);

impl UserNames {
    /// Looks up a user, unless that was done before. Without memory the user stays unknown.
    pub(crate) fn learn(&mut self, uid: u32) {
        if self.0.contains_key(&uid) || check().is_err() {
            return;
        }
        if self.0.len() >= MOST {
            self.0.clear();
        }
        if fallible(|| self.0.try_reserve(1)).is_ok() {
            self.0.insert(uid, users::name(uid));
        }
    }

    /// Returns the name of a user who was looked up and has one.
    pub(crate) fn get(&self, uid: u32) -> Option<&[u8]> {
        self.0.get(&uid)?.as_deref()
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
            names.0.insert(uid, None);
        }
        names.learn(4_000_000_000);
        assert_eq!((names.0.len(), names.get(0)), (1, None));
    }
}
