//! Finds the name that somebody may have meant.

/// Names longer than this are compared by their beginning.
const NAME_MAX: usize = 64;

/// The number of characters to insert, remove or replace to make one name of the other (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(NAME_MAX).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, char) in one.chars().take(NAME_MAX).enumerate() {
        let mut before = std::mem::replace(&mut row[0], at + 1);
        for (column, &another) in other.iter().enumerate() {
            let replaced = before + usize::from(char != another);
            before = row[column + 1];
            row[column + 1] = replaced.min(before + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

/// Returns the name that is most like the wanted one, or `None` when none is much like it.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = wanted.chars().count() / 3 + 1;
    let near = names.into_iter().map(|name| (distance(wanted, name), name)).filter(|(distance, _)| *distance <= far);
    near.min().map(|(_, name)| name)
}

/// Returns `: did you mean "name"?`, or nothing.
pub(crate) fn suggestion<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wanted, names).map_or_else(String::new, |name| format!(": did you mean {name:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_near() {
        let names = ["comm", "pid", "real_parent", "parent"];
        assert_eq!(nearest("com", names), Some("comm"));
        assert_eq!(nearest("realparent", names), Some("real_parent"));
        assert_eq!(nearest("xyz", names), None);
        assert_eq!(nearest("", []), None);
        assert_eq!(suggestion("pdi", names), ": did you mean \"pid\"?");
        assert_eq!(suggestion("whatever", names), "");
        assert_eq!((distance("kitten", "sitting"), distance("", "abc"), distance("abc", "")), (3, 3, 3));
    }
}
