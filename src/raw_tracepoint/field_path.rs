//! Parses the path of a field, such as `p.real_parent.comm` or `regs.args[2]`.

use crate::error::{Error, Result};

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// A member of a structure, also of one behind a pointer.
    Member(&'a str),
    /// An element of an array.
    Element(u32),
}

/// Returns the name of the argument and the steps from there.
///
/// # Errors
///
/// [`Error::Value`] for what is no path.
pub(crate) fn parse(path: &str) -> Result<(&str, Vec<Step<'_>>)> {
    let wrong = || {
        Error::Value(format!(
            "{path:?} is no field: a field is an argument's name, and members and elements behind it, such as \
             \"p.real_parent.comm\" or \"map.addr[0]\""
        ))
    };
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, mut rest) = part.split_at(part.find('[').unwrap_or(part.len()));
        if name.is_empty() || !name.chars().all(|char| char.is_alphanumeric() || char == '_') {
            return Err(wrong());
        }
        steps.push(Step::Member(name));
        while !rest.is_empty() {
            let (index, after) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(wrong)?;
            let is_number = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            let index = is_number.then(|| index.parse().ok()).flatten().ok_or_else(wrong)?;
            steps.push(Step::Element(index));
            rest = after;
        }
    }
    let Step::Member(argument) = steps.remove(0) else { return Err(wrong()) };
    Ok((argument, steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_elements() {
        assert_eq!(parse("pid").unwrap(), ("pid", vec![]));
        let steps = vec![Step::Member("b"), Step::Element(0), Step::Element(12), Step::Member("c")];
        assert_eq!(parse("a.b[0][12].c").unwrap(), ("a", steps));
    }

    #[test]
    fn what_is_no_path() {
        for wrong in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a[",
            "a[]",
            "a[x]",
            "a[-1]",
            "a[+1]",
            "a[1]b",
            "a b",
            "a->b",
            "a[4294967296]",
            "*a",
            "\0",
        ] {
            let message = parse(wrong).unwrap_err().to_string();
            assert!(message.starts_with(&format!("{wrong:?} is no field: ")), "{message}");
        }
    }
}
