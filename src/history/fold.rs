//! Lines of the journal that wait to be written, made fewer: losses and gaps of one kind become one.
//!
//! A sum is exact, and a stretch of time becomes longer, so nothing that a line told is untold.

use std::collections::HashMap;

use crate::history::json::{Json, parse, quote};
use crate::history::line::Line;

/// The keys whose values two lines must have in common to become one.
const COMMON: [&str; 6] = ["type", "kind", "reason", "of", "cpu", "via"];

/// Of them, those that tell the place of a loss.
const PLACE: [&str; 2] = ["cpu", "via"];

/// The keys that each line gets when it is added to the journal.
const OF_JOURNAL: [&str; 3] = ["session", "line", "xxh64"];

/// A line in the place of one or several.
#[derive(Debug)]
pub(crate) enum Folded {
    /// The line as it was.
    Kept(String),
    /// A new line, which is to be added.
    Merged(Line),
}

/// What is known of a group of lines.
struct Group {
    members: Vec<(String, Json)>,
    /// The only line.
    alone: Option<String>,
}

fn is_foldable(kind: Option<&str>) -> bool {
    matches!(kind, Some("loss" | "gap" | "clock" | "directory"))
}

/// Puts what a line tells into an earlier one.
fn merge(earlier: &mut [(String, Json)], later: &Json) {
    for (key, value) in earlier {
        let Some(more) = later.get(key) else { continue };
        match (key.as_str(), &mut *value, more) {
            ("count", Json::Int(value), Json::Int(more)) => *value = value.saturating_add(*more),
            ("from_ns", Json::Int(value), Json::Int(more)) => *value = (*value).min(*more),
            ("to_ns", Json::Int(value), Json::Int(more)) => *value = (*value).max(*more),
            // The clock was set from the first to the last, and the directory is where it was last.
            ("after_ns" | "is", value, more) => *value = more.clone(),
            _ => {}
        }
    }
}

/// Makes a line again. Those that are folded have no lists.
fn line(members: &[(String, Json)]) -> Line {
    let text = |key: &str| members.iter().find(|(name, _)| name == key).map(|(_, value)| value);
    let kind = if let Some(Json::Text(kind)) = text("type") { kind } else { "" };
    let others = members.iter().filter(|(key, _)| key != "type" && !OF_JOURNAL.contains(&key.as_str()));
    others.fold(Line::new(kind), |line, (key, value)| match value {
        Json::Int(value) => line.int(key, *value),
        Json::Text(value) => line.text(key, value.as_str()),
        Json::Bool(value) => line.raw(key, value),
        _ => line.int(key, None),
    })
}

/// Merges lines, which are in order. With `places` losses stay apart that happened on different CPUs.
pub(crate) fn fold(lines: impl IntoIterator<Item = String>, places: bool) -> Vec<Folded> {
    let (mut groups, mut by_common) = (Vec::<Group>::new(), HashMap::new());
    for text in lines {
        let Some(Json::Object(mut members)) = parse(text.trim_end()) else {
            groups.push(Group { members: Vec::new(), alone: Some(text) });
            continue;
        };
        if !places {
            members.iter_mut().filter(|(key, _)| PLACE.contains(&key.as_str())).for_each(|it| it.1 = Json::Null);
        }
        let json = Json::Object(members);
        if !is_foldable(json.text("type")) {
            groups.push(Group { members: Vec::new(), alone: Some(text) });
            continue;
        }
        let value = |key: &&str| match json.get(key) {
            Some(Json::Int(value)) => value.to_string(),
            Some(Json::Text(value)) => quote(value),
            _ => String::new(),
        };
        let common = COMMON.iter().map(value).collect::<Vec<_>>();
        if let Some(at) = by_common.get(&common) {
            let group: &mut Group = &mut groups[*at];
            merge(&mut group.members, &json);
            group.alone = None;
        } else {
            by_common.insert(common, groups.len());
            let Json::Object(members) = json else { continue };
            groups.push(Group { members, alone: Some(text) });
        }
    }
    let folded = groups.into_iter().map(|group| match group.alone {
        Some(line) => Folded::Kept(line),
        None => Folded::Merged(line(&group.members)),
    });
    folded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::line::read_line;

    fn loss(cpu: impl Into<Option<i64>>, count: i64, from_ns: i64, to_ns: i64) -> Line {
        let line = Line::new("loss").text("kind", "ring").int("count", count).int("from_ns", from_ns);
        line.int("to_ns", to_ns).int("cpu", cpu).text("via", "native")
    }

    fn gap(reason: &str, from_ns: i64, to_ns: i64) -> Line {
        Line::new("gap").int("from_ns", from_ns).int("to_ns", to_ns).text("reason", reason)
    }

    fn read(folded: Vec<Folded>) -> Vec<Json> {
        let texts = folded.into_iter().map(|folded| match folded {
            Folded::Kept(text) => text,
            Folded::Merged(line) => line.finish(),
        });
        texts.map(|text| read_line(text.trim_end().as_bytes()).unwrap()).collect()
    }

    fn told(line: &Json) -> (&str, [Option<i64>; 4]) {
        (line.text("type").unwrap(), ["cpu", "count", "from_ns", "to_ns"].map(|key| line.int(key)))
    }

    fn lines() -> Vec<String> {
        let clock = |before_ns: i64| Line::new("clock").int("before_ns", before_ns).int("after_ns", before_ns + 5);
        let lines = [
            loss(0, 2, 10, 20),
            Line::new("sealed").raw("files", "[]"),
            loss(1, 1, 15, 16),
            clock(100),
            gap("silent", 30, 40),
            loss(0, 5, 5, 12),
            gap("silent", 60, 70),
            gap("damaged", 1, 2),
            Line::new("directory").text("is", "moved"),
            clock(200),
            Line::new("directory").text("is", "here"),
        ];
        let number = |(at, line): (usize, Line)| line.int("session", 7).int("line", at.cast_signed() as i64).finish();
        lines.into_iter().enumerate().map(number).collect()
    }

    #[test]
    fn nothing_is_untold() {
        let found = read(fold(lines(), true));
        let told: Vec<_> = found.iter().map(told).collect();
        assert_eq!(
            told,
            [
                ("loss", [Some(0), Some(7), Some(5), Some(20)]),
                ("sealed", [None; 4]),
                ("loss", [Some(1), Some(1), Some(15), Some(16)]),
                ("clock", [None; 4]),
                ("gap", [None, None, Some(30), Some(70)]),
                ("gap", [None, None, Some(1), Some(2)]),
                ("directory", [None; 4]),
            ]
        );
        assert_eq!((found[0].text("kind"), found[0].text("via")), (Some("ring"), Some("native")));
        assert_eq!((found[3].int("before_ns"), found[3].int("after_ns")), (Some(100), Some(205)));
        assert_eq!(found[6].text("is"), Some("here"));
        // One that several lines became is another one. The others are what they were.
        let numbers: Vec<_> = found.iter().map(|line| line.int("line")).collect();
        assert_eq!(numbers, [None, Some(1), Some(2), None, None, Some(7), None]);
    }

    #[test]
    fn without_places_there_is_one_loss_of_a_kind() {
        let found = read(fold(lines(), false));
        assert_eq!(told(&found[0]), ("loss", [None, Some(8), Some(5), Some(20)]));
        assert_eq!(found[0].get("via"), Some(&Json::Null));
        assert_eq!(found.iter().filter(|line| line.text("type") == Some("loss")).count(), 1);
    }
}
