//! The JSON of a row's arguments, read back. It is only ever what [`crate::columns::args`] has written.

/// A value. Texts are still escaped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Number(&'a str),
    Text(&'a str),
    /// The items, with commas between them.
    List(&'a str),
}

/// Returns the bytes that a JSON string at the start of a text takes, with both quotes.
fn string_bytes(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Takes the value at the start of a text, and gives what comes after it.
fn value(text: &str) -> Option<(Json<'_>, &str)> {
    match text.as_bytes().first()? {
        b'"' => {
            let end = string_bytes(text)?;
            Some((Json::Text(&text[1..end - 1]), &text[end..]))
        }
        b'[' => {
            let mut at = 1;
            loop {
                match text.as_bytes().get(at)? {
                    b']' => return Some((Json::List(&text[1..at]), &text[at + 1..])),
                    b'"' => at += string_bytes(&text[at..])?,
                    _ => at += 1,
                }
            }
        }
        b'n' => Some((Json::Null, text.strip_prefix("null")?)),
        _ => {
            let end = text.find([',', '}', ']']).unwrap_or(text.len());
            Some((Json::Number(&text[..end]), &text[end..]))
        }
    }
}

/// Returns the names and values of an object; `None` for what is none.
pub(super) fn members(text: &str) -> Option<Vec<(&str, Json<'_>)>> {
    let mut rest = text.strip_prefix('{')?;
    let mut all = Vec::new();
    while !rest.starts_with('}') {
        rest = rest.strip_prefix(',').unwrap_or(rest);
        let end = string_bytes(rest).filter(|_| rest.starts_with('"'))?;
        let (found, behind) = value(rest[end..].strip_prefix(':')?)?;
        all.push((&rest[1..end - 1], found));
        rest = behind;
    }
    Some(all)
}

/// Returns the items of a list.
pub(super) fn items(list: &str) -> impl Iterator<Item = Json<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let (item, behind) = value(rest)?;
        rest = behind.strip_prefix(',').unwrap_or(behind);
        Some(item)
    })
}

/// Appends what an escaped text stands for.
pub(super) fn unescape(escaped: &str, text: &mut String) {
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(number) = rest.strip_prefix('u').and_then(|rest| rest.get(..4)) {
            text.extend(u32::from_str_radix(number, 16).ok().and_then(char::from_u32));
            rest = &rest[5..];
        } else {
            let mut chars = rest.chars();
            text.extend(chars.next());
            rest = chars.as_str();
        }
    }
    text.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        let text = r#"{"fd":3,"a":null,"p":"x\"},]\\","l":["]\"","b",-1],"e":[],"s":1.5}"#;
        let expected = [
            ("fd", Json::Number("3")),
            ("a", Json::Null),
            ("p", Json::Text(r#"x\"},]\\"#)),
            ("l", Json::List(r#""]\"","b",-1"#)),
            ("e", Json::List("")),
            ("s", Json::Number("1.5")),
        ];
        assert_eq!(members(text).unwrap(), expected);
        assert_eq!(members("{}").unwrap(), []);
        let listed: Vec<_> = items(r#""]\"","b",-1"#).collect();
        assert_eq!(listed, [Json::Text(r#"]\""#), Json::Text("b"), Json::Number("-1")]);
        assert_eq!(items("").count(), 0);
        let mut text = String::new();
        unescape(r#"x\"},]\\\u001b\u007fé\\xff"#, &mut text);
        assert_eq!(text, "x\"},]\\\u{1b}\u{7f}é\\xff");
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "{", "[]", "{\"a\"}", "{\"a\":", "{\"a\":\"", "{\"a\":[1", "{a:1}", "{\"a\":nil}"] {
            assert_eq!(members(text), None, "{text}");
        }
        let mut text = String::new();
        unescape("a\\", &mut text);
        unescape("\\u12", &mut text);
        assert_eq!(text, "au12");
    }
}
