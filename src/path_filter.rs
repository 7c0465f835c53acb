//! Which paths are wanted: as the programs compare them, by their beginning, and as they are meant.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::error::{Error, Result};
use crate::path::normal;
use crate::skel::types::path_filter;

/// How much the programs compare (`PATH_FILTER_BYTES`).
const COMPARED_BYTES: usize = 256;

/// A path and all that is below it; or a glob, and all that is below what it matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathFilter {
    /// Without a slash at its end; "" for the root.
    path: Vec<u8>,
    /// The same for what is below.
    below: Option<Vec<u8>>,
}

fn is_glob(part: &[u8]) -> bool {
    part.iter().any(|byte| b"*?[".contains(byte))
}

/// Whether a part of a glob may match something else than what it reads.
fn is_special(part: &[u8]) -> bool {
    is_glob(part) || part.iter().any(|byte| b"{\\".contains(byte))
}

impl PathFilter {
    /// Checks the caller's argument.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], naming the value and the rule.
    pub fn new(value: &OsStr) -> Result<Self> {
        let bytes = value.as_bytes();
        if bytes.first() != Some(&b'/') || bytes.contains(&0) {
            let shown = value.to_string_lossy();
            return Err(Error::Value(format!("path must be absolute, and without NUL, not {shown:?}")));
        }
        let path = normal(bytes);
        let below = is_glob(&path).then(|| [&path, b"/**".as_slice()].concat());
        Ok(Self { path, below })
    }

    /// Whether this path is wanted.
    #[must_use]
    pub fn has(&self, path: &[u8]) -> bool {
        match &self.below {
            Some(below) => fast_glob::glob_match(&self.path, path) || fast_glob::glob_match(below, path),
            None => path.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || rest[0] == b'/'),
        }
    }

    /// For the programs: as much of its beginning as there is no doubt of, and as they can take.
    pub(crate) fn prefix(&self) -> path_filter {
        let mut bytes = 0;
        for part in self.path.split(|byte| *byte == b'/').skip(1) {
            if bytes + 1 + part.len() > COMPARED_BYTES || (self.below.is_some() && is_special(part)) {
                break;
            }
            bytes += 1 + part.len();
        }
        let prefix = &self.path[..bytes];
        let mut filter = path_filter { bytes: bytes as u32, ..Default::default() };
        filter.downwards[..bytes].copy_from_slice(prefix);
        let mut start = filter.upwards.len();
        // From the root, whose child ends the array, to the leaf.
        for part in prefix.split(|byte| *byte == b'/').skip(1) {
            start -= part.len() + 1;
            filter.upwards[start..start + part.len()].copy_from_slice(part);
        }
        filter
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(path: &str) -> PathFilter {
        PathFilter::new(OsStr::new(path)).unwrap()
    }

    fn prefix(path: &str) -> (String, String) {
        let made = filter(path).prefix();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let start = made.upwards.iter().position(|byte| *byte != 0).unwrap_or(made.upwards.len());
        (text(&made.downwards[..made.bytes as usize]), text(&made.upwards[start..]))
    }

    #[test]
    fn a_path_and_what_is_below_it() {
        let one = filter("/var//log/./x/../");
        let wanted = ["/var/log", "/var/log/a", "/var/log/a/b"];
        let others = ["/var/log2", "/var", "/", "/var/lo", "var/log", ""];
        assert_eq!(wanted.map(|path| one.has(path.as_bytes())), [true; 3]);
        assert_eq!(others.map(|path| one.has(path.as_bytes())), [false; 6]);
        assert!(["/", "/a", "/a/b"].iter().all(|path| filter("/").has(path.as_bytes())));
        assert!(filter("/\u{e9}").has("/\u{e9}/x".as_bytes()));
    }

    #[test]
    fn a_glob_and_what_is_below_what_it_matches() {
        let logs = filter("/var/log/*.log");
        assert!(logs.has(b"/var/log/a.log") && logs.has(b"/var/log/a.log/below"));
        assert!(!logs.has(b"/var/log/sub/a.log") && !logs.has(b"/var/log/a.txt") && !logs.has(b"/var/log"));
        let caches = filter("/home/*/cache");
        assert!(caches.has(b"/home/me/cache/deep/file") && !caches.has(b"/home/me/other"));
        let deep = filter("/srv/**/core.[0-9]");
        assert!(deep.has(b"/srv/a/b/core.7") && !deep.has(b"/srv/a/b/core.x"));
        assert!(filter("/a?c").has(b"/a\xffc"));
    }

    #[test]
    fn what_the_programs_compare() {
        assert_eq!(prefix("/a/bc/d"), ("/a/bc/d".into(), "d\0bc\0a\0".into()));
        assert_eq!(prefix("/"), (String::new(), String::new()));
        assert_eq!(prefix("/var/log/*.log"), ("/var/log".into(), "log\0var\0".into()));
        assert_eq!(prefix("/*"), (String::new(), String::new()));
        // Only in a glob do these mean anything.
        assert_eq!(prefix("/srv/{a,b}/*.log").0, "/srv");
        assert_eq!(prefix("/srv/a\\b/*.log").0, "/srv");
        assert_eq!(prefix("/srv/{a,b}/x").0, "/srv/{a,b}/x");
        let long = format!("/{}/{}/end", "x".repeat(200), "y".repeat(54));
        assert_eq!(prefix(&long).0.len(), 256);
        assert_eq!(prefix(&long.replace("/y", "/yy")).0.len(), 201);
    }

    #[test]
    fn a_wrong_value_is_named() {
        for bad in ["", "relative", "~/x", "/nul\0"] {
            let error = PathFilter::new(OsStr::new(bad)).unwrap_err().to_string();
            assert_eq!(error, format!("path must be absolute, and without NUL, not {bad:?}"));
        }
    }
}
