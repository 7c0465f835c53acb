//! The names in a recorder's directory.

use std::io;
use std::path::{Path, PathBuf};

use crate::history::files::{make_directory, names, sync_directory};

/// The nanoseconds of a day.
pub(crate) const DAY_NS: i64 = 86_400_000_000_000;

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

#[cfg(test)]
mod tests {
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
}
