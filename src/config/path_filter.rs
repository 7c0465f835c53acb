//! One path or glob of the filter by path. The programs compare only its beginning; user space compares the rest.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::error::{Error, Result};
use crate::path::glob::{only_path, parse};
use crate::path::glob_states::Glob;
use crate::path::lexical::normal;
use crate::path::lookup::{is_others, is_there, link_on};
use crate::skel::types::path_filter;

/// The most bytes that the programs compare (`PATH_FILTER_BYTES`).
const COMPARED_BYTES: usize = 256;

/// A filter for a path and everything below it, for a glob and everything below its matches, or for both.
#[derive(Debug, Clone)]
pub struct PathFilter {
    /// The path without a slash at its end; "" for the root.
    path: Option<Vec<u8>>,
    /// The pattern and its compiled form.
    glob: Option<(Vec<u8>, Glob)>,
    /// The path as it was passed, or the part of a glob before its first special component. It is not normalized.
    beginning: Vec<u8>,
}

fn is_glob(part: &[u8]) -> bool {
    part.iter().any(|byte| b"*?[".contains(byte))
}

/// Whether a component of a glob may match something other than itself.
fn is_special(part: &[u8]) -> bool {
    is_glob(part) || part.iter().any(|byte| b"{\\".contains(byte))
}

/// Returns a pattern that matches exactly this path.
#[must_use]
pub fn escape(path: &OsStr) -> OsString {
    let bytes = path.as_bytes();
    if is_glob(bytes) { OsString::from_vec(quoted(bytes)) } else { path.to_owned() }
}

/// Returns a component of a glob that matches exactly these bytes.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(bytes.len() + 8);
    for &byte in bytes {
        if is_special(&[byte]) {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted
}

fn check(value: &OsStr) -> Result<&[u8]> {
    let bytes = value.as_bytes();
    if bytes.first() != Some(&b'/') || bytes.contains(&0) {
        let shown = value.to_string_lossy();
        return Err(Error::Value(format!("path must be absolute, and without NUL, not {shown:?}")));
    }
    Ok(bytes)
}

/// Returns the components before the first special one.
fn before_special(pattern: &[u8]) -> Vec<u8> {
    let plain = pattern.split(|byte| *byte == b'/').take_while(|part| !is_special(part));
    plain.collect::<Vec<_>>().join(&b'/')
}

impl PathFilter {
    /// Checks the caller's argument. It is a glob if it contains `*`, `?` or `[`, and else a path.
    ///
    /// # Errors
    ///
    /// [`Error::Value`], which names the value and the rule.
    pub fn new(value: &OsStr) -> Result<Self> {
        let bytes = check(value)?;
        let path = normal(bytes);
        if !is_glob(bytes) {
            return Ok(Self { path: Some(path), glob: None, beginning: bytes.to_vec() });
        }
        let wrong = |reason: &str| {
            let shown = value.to_string_lossy();
            Error::Value(format!(
                "path {shown:?} is a glob, for the *, ? or [ in it, that means nothing: {reason}. If it is a name, pass \
                 rawtp.escape(name)"
            ))
        };
        if bytes.contains(&b'{') && bytes.split(|byte| b"/{,}".contains(byte)).any(|part| part == b"..") {
            return Err(wrong("beside {a,b} it can have no .. in it"));
        }
        let steps = parse(&path).map_err(|reason| wrong(&reason))?;
        if let Some(only) = only_path(&steps) {
            return Ok(Self { beginning: only.clone(), path: Some(only), glob: None });
        }
        Ok(Self { path: None, beginning: before_special(bytes), glob: Some((path, Glob::new(steps))) })
    }

    /// Checks the caller's argument like [`Self::new`], but takes the name of an existing file literally: `/x/[2024]
    /// photos`. Somebody else may have created that file to keep the glob from matching, so then the value is a glob as
    /// well. A value with a backslash is always a pattern.
    ///
    /// # Errors
    ///
    /// Those of [`Self::new`].
    pub fn found(value: &OsStr) -> Result<Self> {
        let bytes = check(value)?;
        if !is_glob(bytes) || bytes.contains(&b'\\') || !is_there(bytes, is_glob) {
            return Self::new(value);
        }
        let path = Some(normal(bytes));
        match Self::new(value) {
            Ok(meant) if is_others(bytes, is_glob) => Ok(Self { path, ..meant }),
            _ => Ok(Self { path, glob: None, beginning: bytes.to_vec() }),
        }
    }

    /// Whether the path passes the filter.
    pub fn matches(&mut self, path: &[u8]) -> bool {
        self.matches_path(path) || self.glob.as_mut().is_some_and(|(_, glob)| glob.matches(path))
    }

    fn matches_path(&self, path: &[u8]) -> bool {
        let rest = self.path.as_ref().and_then(|own| path.strip_prefix(&**own));
        rest.is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }

    /// Returns a pattern that means the same to [`Self::new`] on every machine.
    #[must_use]
    pub fn pattern(&self) -> OsString {
        match (&self.glob, &self.path) {
            (Some((pattern, _)), _) => OsString::from_vec(pattern.clone()),
            (None, Some(path)) if !path.is_empty() => escape(OsStr::from_bytes(path)),
            _ => "/".into(),
        }
    }

    /// Returns a warning if the path runs through a symbolic link and none of `others` covers the link's target.
    /// Filters compare names, not files.
    #[must_use]
    pub fn warning(&self, others: &[Self]) -> Option<String> {
        let found = link_on(&self.beginning)?;
        let pattern = self.pattern();
        let shown = match &self.path {
            Some(path) => String::from_utf8_lossy(path),
            None => pattern.to_string_lossy(),
        };
        let link = found.link.to_string_lossy();
        let start = format!("path {shown:?} runs through the symbolic link {link:?}, and only names are compared: ");
        let Some(real) = found.real else {
            return Some(start + "what is deleted by another name is not seen");
        };
        let real = normal(real.as_os_str().as_bytes());
        if others.iter().any(|other| other.matches_path(&real)) {
            return None;
        }
        // The rest of a glob after its beginning starts with a slash.
        let rest = self.glob.as_ref().and_then(|(pattern, _)| pattern.strip_prefix(&*normal(&self.beginning)));
        let watched = if rest.is_some() { quoted(&real) } else { escape(OsStr::from_bytes(&real)).into_vec() };
        let real = String::from_utf8_lossy(&real).into_owned();
        let watched = [&watched, rest.unwrap_or_default()].concat();
        let watched = String::from_utf8_lossy(&watched);
        Some(format!("{start}what is deleted under {real:?} is not seen. Pass {watched:?}, too"))
    }

    /// Returns the beginning that the programs compare: the components that are surely literal, as far as they fit.
    pub(crate) fn prefix(&self) -> path_filter {
        let whole: &[u8] = match (&self.glob, &self.path) {
            (Some((pattern, _)), _) => pattern,
            (None, path) => path.as_deref().unwrap_or_default(),
        };
        let mut bytes = 0;
        for part in whole.split(|byte| *byte == b'/').skip(1) {
            if bytes + 1 + part.len() > COMPARED_BYTES || (self.glob.is_some() && is_special(part)) {
                break;
            }
            bytes += 1 + part.len();
        }
        let prefix = &whole[..bytes];
        let mut filter = path_filter { bytes: bytes as u32, ..Default::default() };
        filter.downwards[..bytes].copy_from_slice(prefix);
        let mut start = filter.upwards.len();
        // The components are stored from the root to the leaf, and the root's child ends the array.
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
        let mut one = filter("/var//log/./x/../");
        let wanted = ["/var/log", "/var/log/a", "/var/log/a/b"];
        let others = ["/var/log2", "/var", "/", "/var/lo", "var/log", ""];
        assert_eq!(wanted.map(|path| one.matches(path.as_bytes())), [true; 3]);
        assert_eq!(others.map(|path| one.matches(path.as_bytes())), [false; 6]);
        assert!(["/", "/a", "/a/b"].iter().all(|path| filter("/").matches(path.as_bytes())));
        assert!(filter("/\u{e9}").matches("/\u{e9}/x".as_bytes()));
    }

    #[test]
    fn a_glob_and_what_is_below_what_it_matches() {
        let mut logs = filter("/var/log/*.log");
        assert!(logs.matches(b"/var/log/a.log") && logs.matches(b"/var/log/a.log/below"));
        assert!(!logs.matches(b"/var/log/sub/a.log") && !logs.matches(b"/var/log/a.txt") && !logs.matches(b"/var/log"));
        let mut caches = filter("/home/*/cache");
        assert!(caches.matches(b"/home/me/cache/deep/file") && !caches.matches(b"/home/me/other"));
        let mut deep = filter("/srv/**/core.[0-9]");
        assert!(deep.matches(b"/srv/a/b/core.7") && !deep.matches(b"/srv/a/b/core.x"));
        assert!(filter("/a?c").matches(b"/a\xffc"));
    }

    #[test]
    fn the_programs_compare_the_literal_beginning() {
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
    fn an_escaped_path_matches_only_itself() {
        for path in ["/x/[2024] photos", "/a*b", "/a?\\{b,c}[", "/plain{a,b}\\c", "/[\u{1b}"] {
            let escaped = escape(OsStr::new(path));
            let mut filter = PathFilter::new(&escaped).unwrap();
            assert_eq!(filter.path.as_deref(), Some(path.as_bytes()), "{escaped:?}");
            assert!(filter.glob.is_none() && filter.matches(path.as_bytes()));
            assert_eq!(filter.pattern(), escaped);
            assert_eq!(filter.prefix().bytes as usize, path.len());
        }
        assert_eq!(escape(OsStr::new("/x/[2024]")), OsStr::new("/x/\\[2024]"));
        assert_eq!([filter("/").pattern(), filter("/a/./*.c").pattern()], ["/", "/a/*.c"].map(OsString::from));
    }

    #[test]
    fn a_glob_that_means_nothing_is_refused() {
        let wrong = |pattern: &str| PathFilter::new(OsStr::new(pattern)).unwrap_err().to_string();
        assert_eq!(
            wrong("/srv/[abc"),
            "path \"/srv/[abc\" is a glob, for the *, ? or [ in it, that means nothing: no ] closes the [ at byte 5. If it \
             is a name, pass rawtp.escape(name)"
        );
        for up in ["/{a,../b}/*", "/{a/../b,c}/*", "/a/../{b,c}*"] {
            assert!(wrong(up).contains(": beside {a,b} it can have no .. in it."));
        }
        assert!(wrong("/{a,../b}/*").contains(": beside {a,b} it can have no .. in it."));
        assert!(wrong(&format!("/*{}", "a".repeat(4096))).contains(": it is too large: more than 4096 bytes "));
    }

    #[test]
    fn a_wrong_value_is_named() {
        for bad in ["", "relative", "~/x", "/nul\0"] {
            let error = PathFilter::new(OsStr::new(bad)).unwrap_err().to_string();
            assert_eq!(error, format!("path must be absolute, and without NUL, not {bad:?}"));
        }
    }
}
