//! One path or glob of the filter by path.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::error::{Error, Result};
use crate::mounts::host_root::HostRoot;
use crate::path::glob::{only_path, parse};
use crate::path::glob_states::Glob;
use crate::path::lexical::normal;
use crate::path::lookup::{is_others, is_there};

/// A filter for a path and everything below it, for a glob and everything below its matches, or for both.
#[derive(Debug, Clone)]
pub struct PathFilter {
    /// The path without a slash at its end; "" for the root.
    path: Option<Vec<u8>>,
    /// The pattern and its compiled form.
    glob: Option<(Vec<u8>, Glob)>,
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
            return Ok(Self { path: Some(path), glob: None });
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
            return Ok(Self { path: Some(only), glob: None });
        }
        Ok(Self { path: None, glob: Some((path, Glob::new(steps))) })
    }

    /// Checks the caller's argument like [`Self::new`], but takes the name of an existing file of the host literally:
    /// `/x/[2024] photos`. Somebody else may have created that file to keep the glob from matching, so then the value is
    /// a glob as well. A value with a backslash is always a pattern.
    ///
    /// # Errors
    ///
    /// Those of [`Self::new`].
    pub fn found(value: &OsStr, host_root: &HostRoot) -> Result<Self> {
        let bytes = check(value)?;
        if !is_glob(bytes) || bytes.contains(&b'\\') || !is_there(bytes, is_glob, host_root) {
            return Self::new(value);
        }
        let path = Some(normal(bytes));
        match Self::new(value) {
            Ok(meant) if is_others(bytes, is_glob, host_root) => Ok(Self { path, ..meant }),
            _ => Ok(Self { path, glob: None }),
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

    /// The path, without a slash at its end; "" for the root. `None` for a glob alone.
    pub(crate) fn path(&self) -> Option<&[u8]> {
        self.path.as_deref()
    }

    /// Returns the part of the glob that is surely literal; `None` for a path alone.
    pub(crate) fn glob_beginning(&self) -> Option<Vec<u8>> {
        self.glob.as_ref().map(|(pattern, _)| before_special(pattern))
    }

    /// Returns the glob with another path in place of its beginning.
    pub(crate) fn glob_at(&self, beginning: &[u8]) -> Option<Glob> {
        let (pattern, glob) = self.glob.as_ref()?;
        let rest = pattern.strip_prefix(&*before_special(pattern))?;
        let pattern = [quoted(beginning).as_slice(), rest].concat();
        // One that is too large means what it meant.
        Some(parse(&pattern).map_or_else(|_| glob.clone(), Glob::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(path: &str) -> PathFilter {
        PathFilter::new(OsStr::new(path)).unwrap()
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
    fn a_glob_has_a_literal_beginning() {
        let beginning = |path: &str| filter(path).glob_beginning().map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(beginning("/var/log/*.log").as_deref(), Some("/var/log"));
        assert_eq!(beginning("/*").as_deref(), Some(""));
        // Only in a glob do these mean anything.
        assert_eq!(beginning("/srv/{a,b}/*.log").as_deref(), Some("/srv"));
        assert_eq!(beginning("/srv/a\\b/*.log").as_deref(), Some("/srv"));
        assert_eq!(beginning("/srv/{a,b}/x"), None);
        assert_eq!(filter("/srv/{a,b}/x").path(), Some(b"/srv/{a,b}/x".as_slice()));
        let mut moved = filter("/var/log/*.log").glob_at(b"/srv/[x]").unwrap();
        assert!(
            moved.matches(b"/srv/[x]/a.log") && !moved.matches(b"/srv/x/a.log") && !moved.matches(b"/var/log/a.log")
        );
        assert!(moved.may_match_below(b"/srv") && !moved.may_match_below(b"/srv/x"));
    }

    #[test]
    fn an_escaped_path_matches_only_itself() {
        for path in ["/x/[2024] photos", "/a*b", "/a?\\{b,c}[", "/plain{a,b}\\c", "/[\u{1b}"] {
            let escaped = escape(OsStr::new(path));
            let mut filter = PathFilter::new(&escaped).unwrap();
            assert_eq!(filter.path.as_deref(), Some(path.as_bytes()), "{escaped:?}");
            assert!(filter.glob.is_none() && filter.matches(path.as_bytes()));
            assert_eq!(filter.pattern(), escaped);
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
