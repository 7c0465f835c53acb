//! JSON, as far as the journal and its readers need it.

use std::fmt::Write;

/// The deepest nesting that is read.
const DEPTH: usize = 64;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// The value of a key; `None` for anything but an object.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        if let Some(Self::Int(value)) = self.get(key) { Some(*value) } else { None }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        if let Some(Self::Text(value)) = self.get(key) { Some(value) } else { None }
    }

    pub(crate) fn list(&self, key: &str) -> &[Self] {
        if let Some(Self::List(values)) = self.get(key) { values } else { &[] }
    }
}

/// Writes a text as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            // DEL and the C1 controls act on terminals, too.
            char if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// Reads a text that is one JSON value and nothing else.
pub(crate) fn parse(text: &str) -> Option<Json> {
    let mut parser = Parser { rest: text };
    let value = parser.value(0)?;
    parser.space();
    parser.rest.is_empty().then_some(value)
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Skips white space, and then the token if it is next.
    fn accept(&mut self, token: &str) -> bool {
        self.space();
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > DEPTH {
            return None;
        }
        self.space();
        match self.rest.as_bytes().first()? {
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.accept("true").then_some(Json::Bool(true)),
            b'f' => self.accept("false").then_some(Json::Bool(false)),
            b'n' => self.accept("null").then_some(Json::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json> {
        let mut members = Vec::new();
        if self.accept("{") && self.accept("}") {
            return Some(Json::Object(members));
        }
        loop {
            self.space();
            let key = self.string()?;
            if !self.accept(":") {
                return None;
            }
            members.push((key, self.value(depth + 1)?));
            if self.accept("}") {
                return Some(Json::Object(members));
            }
            if !self.accept(",") {
                return None;
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        let mut values = Vec::new();
        if self.accept("[") && self.accept("]") {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth + 1)?);
            if self.accept("]") {
                return Some(Json::List(values));
            }
            if !self.accept(",") {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        self.rest = self.rest.strip_prefix('"')?;
        let mut text = String::new();
        loop {
            let end = self.rest.find(['"', '\\'])?;
            if self.rest[..end].bytes().any(|byte| byte < b' ') {
                return None;
            }
            text.push_str(&self.rest[..end]);
            let is_end = self.rest.as_bytes()[end] == b'"';
            self.rest = &self.rest[end + 1..];
            if is_end {
                return Some(text);
            }
            text.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        let char = self.rest.chars().next()?;
        self.rest = &self.rest[char.len_utf8()..];
        Some(match char {
            '"' | '\\' | '/' => char,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = self.unit()?;
                let before = self.rest;
                if (0xd800..0xdc00).contains(&first)
                    && let Some(rest) = self.rest.strip_prefix("\\u")
                {
                    self.rest = rest;
                    let second = self.unit()?;
                    if (0xdc00..0xe000).contains(&second) {
                        return char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
                    }
                    self.rest = before;
                }
                // Half of a pair is no character. Python writes such ones for bytes that are not UTF-8.
                char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return None,
        })
    }

    fn unit(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.rest = &self.rest[4..];
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<Json> {
        let end = self.rest.find(|char: char| !matches!(char, '0'..='9' | '-' | '+' | '.' | 'e' | 'E'));
        let (digits, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        self.rest = rest;
        let whole = digits.strip_prefix('-').unwrap_or(digits);
        if !whole.starts_with(|char: char| char.is_ascii_digit()) {
            return None;
        }
        digits.parse().map(Json::Int).or_else(|_| digits.parse().map(Json::Float)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let value =
            parse(" {\"a\": [1, -2.5, true, null, {}], \"b\\u00e9\\ud83d\\ude00\\udc80\": \"\\n\\\"\"} ").unwrap();
        assert_eq!(
            value.get("a"),
            Some(&Json::List(vec![
                Json::Int(1),
                Json::Float(-2.5),
                Json::Bool(true),
                Json::Null,
                Json::Object(Vec::new())
            ]))
        );
        assert_eq!(value.text("b\u{e9}\u{1f600}\u{fffd}"), Some("\n\""));
        assert_eq!((value.int("a"), value.list("a").len(), value.get("c")), (None, 5, None));
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in
            ["", "{", "{\"a\"}", "[1,]", "{\"a\":1,}", "\"\n\"", "\"\\x\"", "\"\\u12\"", "1 2", "tru", "-", "+1"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse(&"[".repeat(100_000)), None);
        assert_eq!(parse(&format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH))).map(|_| ()), Some(()));
    }

    #[test]
    fn quoted_texts_come_back() {
        for text in ["", "a\"b\\c", "\u{0}\u{1b}[31m\u{7f}\u{9b}\n", "\u{2028}é\u{1f600}"] {
            let quoted = quote(text);
            assert!(!quoted.chars().any(char::is_control));
            assert_eq!(parse(&quoted), Some(Json::Text(text.into())));
        }
    }
}
