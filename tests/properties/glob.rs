//! Compares the glob matcher with a much simpler reference, and with `fast_glob`, which was used before it.

use _core::path::glob::parse;
use _core::path::glob_states::Glob;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;

/// Returns the patterns without braces that a pattern with braces stands for.
fn expanded(pattern: &[u8]) -> Vec<Vec<u8>> {
    let (mut depth, mut open, mut commas) = (0, 0, Vec::new());
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'[' => at = class_end(pattern, at),
            b'{' => {
                if depth == 0 {
                    (open, commas) = (at, vec![at]);
                }
                depth += 1;
            }
            b',' if depth == 1 => commas.push(at),
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    commas.push(at);
                    let alternatives = commas.windows(2).map(|pair| &pattern[pair[0] + 1..pair[1]]);
                    let rest = &pattern[at + 1..];
                    return alternatives.flat_map(|one| expanded(&[&pattern[..open], one, rest].concat())).collect();
                }
            }
            _ => {}
        }
        at += 1;
    }
    vec![pattern.to_vec()]
}

/// Returns the position of the `]` that closes the class which begins at `start`.
fn class_end(pattern: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    at += usize::from(matches!(pattern.get(at), Some(b'!' | b'^')));
    let first = at;
    while at < pattern.len() && (pattern[at] != b']' || at == first) {
        at += 1 + usize::from(pattern[at] == b'\\');
    }
    at
}

/// Whether a component of a path matches a component of a pattern without braces.
fn part_matches(pattern: &[u8], part: &[u8]) -> bool {
    let Some(&first) = pattern.first() else { return part.is_empty() };
    let (rest, is_next) = match first {
        b'*' => return (0..=part.len()).any(|skipped| part_matches(&pattern[1..], &part[skipped..])),
        b'?' => (1, !part.is_empty()),
        b'[' => {
            let end = class_end(pattern, 0);
            let inside = &pattern[1..end];
            let is_negated = matches!(inside[0], b'!' | b'^');
            let mut members = inside[usize::from(is_negated)..].iter().copied().peekable();
            let mut has = false;
            let read = |members: &mut std::iter::Peekable<_>| match members.next() {
                Some(b'\\') => members.next(),
                other => other,
            };
            while let Some(low) = read(&mut members) {
                // A hyphen at the end of a class stands for itself.
                let is_range = members.peek() == Some(&b'-') && members.clone().count() > 1;
                let high = if is_range { members.next().and_then(|_| read(&mut members)).unwrap() } else { low };
                has |= part.first().is_some_and(|byte| (low..=high).contains(byte));
            }
            (end + 1, !part.is_empty() && has != is_negated)
        }
        b'\\' => (2, part.first() == Some(&pattern[1])),
        byte => (1, part.first() == Some(&byte)),
    };
    is_next && part_matches(&pattern[rest..], &part[1..])
}

fn parts_match(pattern: &[&[u8]], path: &[&[u8]]) -> bool {
    match pattern {
        [] => true, // everything below a match matches too
        [b"**"] => !path.is_empty(),
        [b"**", rest @ ..] => (0..=path.len()).any(|skipped| parts_match(rest, &path[skipped..])),
        [first, rest @ ..] => !path.is_empty() && part_matches(first, path[0]) && parts_match(rest, &path[1..]),
    }
}

fn reference(pattern: &[u8], path: &[u8]) -> bool {
    let split = |bytes: &[u8]| bytes[1..].split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let path = split(path);
    let path: Vec<_> = path.iter().map(Vec::as_slice).collect();
    expanded(pattern).iter().any(|pattern| {
        let parts = split(pattern);
        parts_match(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>(), &path)
    })
}

/// Whether `fast_glob` matches one of the patterns without braces, or anything below a match.
fn before(pattern: &[u8], path: &[u8]) -> bool {
    let one = |pattern: &[u8]| {
        fast_glob::glob_match(pattern, path) || fast_glob::glob_match([pattern, b"/**"].concat(), path)
    };
    expanded(pattern).iter().any(|pattern| one(pattern))
}

/// Whether `fast_glob` is right about the pattern. In `x**/**` it takes the first two stars for a whole component,
/// which they are not.
fn before_was_right(pattern: &str) -> bool {
    !expanded(pattern.as_bytes()).iter().any(|one| one.windows(6).any(|six| six[0] != b'/' && &six[1..] == b"**/**"))
}

fn piece() -> impl Strategy<Value = String> {
    let plain = select(vec!["a", "b", "ab", ".", "c", ",", "}", "-", "\u{e9}", "]"]).prop_map(String::from);
    let special = select(vec![
        "*", "*", "?", "[ab]", "[!a]", "[a-c]", "[]a]", "[^-]", "[a\\]]", "[.-c]", "\\*", "\\a", "\\[", "\\\\", "\\{",
    ]);
    prop_oneof![3 => plain, 2 => special.prop_map(String::from)]
}

fn part() -> impl Strategy<Value = String> {
    prop_oneof![4 => vec(piece(), 1..5).prop_map(|pieces| pieces.concat()), 1 => Just("**".to_owned())]
        // Two stars next to other characters mean the same as one. `fast_glob` decides some such patterns differently.
        .prop_filter("two stars within a component", |part| part == "**" || !part.contains("**"))
}

/// Makes a pattern without braces.
fn plain_pattern() -> impl Strategy<Value = String> {
    vec(part(), 1..5).prop_map(|parts| format!("/{}", parts.join("/")))
}

/// Makes a pattern that may have braces: within a component, around components, and nested.
fn pattern() -> impl Strategy<Value = String> {
    let group = (vec(plain_pattern(), 1..4), any::<bool>()).prop_map(|(patterns, is_whole)| {
        let inside: Vec<_> = patterns.iter().map(|pattern| pattern[usize::from(is_whole)..].to_owned()).collect();
        if is_whole { format!("/{{{}}}", inside.join(",")) } else { format!("{{{}}}", inside.join(",")) }
    });
    let tail = prop_oneof![plain_pattern(), piece(), Just(String::new())];
    let flat = prop_oneof![
        plain_pattern(),
        (plain_pattern(), group, tail).prop_map(|(head, group, tail)| head + &group + &tail)
    ];
    (flat.clone(), flat)
        .prop_flat_map(|(one, other)| {
            let nested = format!("/{{{},x{{{},}}}}b*", &one[1..], &other[1..]);
            prop_oneof![3 => Just(one), 1 => Just(nested)]
        })
        // Stars that only meet when braces are expanded, as in `{a/*}*`, stay two stars in this matcher. The reference
        // would take them for `**`.
        .prop_filter("stars that meet", |pattern| {
            let marked = pattern.replace("**", "\u{1}");
            !pattern.contains("***")
                && expanded(marked.as_bytes()).iter().all(|one| !one.windows(2).any(|two| two == b"**"))
        })
}

fn path() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        8 => select(b"aabbc.-,]}*[\\{x".to_vec()),
        1 => any::<u8>().prop_filter("not in a name", |byte| !matches!(byte, 0 | b'/'))
    ];
    let name = prop_oneof![4 => vec(byte, 1..5), 1 => Just("\u{e9}".as_bytes().to_vec())]
        .prop_filter("not an entry's name", |name| !matches!(name.as_slice(), b"." | b".."));
    vec(name, 0..6).prop_map(|names| [b"/".as_slice(), &names.join(&b'/')].concat())
}

/// Makes paths that are similar to the pattern. Few random paths would match it.
fn alike(pattern: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
    let texts = expanded(pattern.as_bytes());
    let fill = vec(select(vec!["a", "b", "ab", "c", ".", "", "a/b"]), 8);
    (select(texts), fill, prop::option::of(select(vec!["/a", "/b/c", "x"]))).prop_map(|(text, fill, below)| {
        let (mut path, mut at, mut fill) = (Vec::new(), 0, fill.into_iter().cycle());
        while at < text.len() {
            match text[at] {
                b'*' | b'?' => path.extend_from_slice(fill.next().unwrap().as_bytes()),
                b'[' => {
                    at = class_end(&text, at);
                    path.extend_from_slice(fill.next().unwrap().as_bytes());
                }
                b'\\' => {
                    at += 1;
                    path.push(text[at]);
                }
                byte => path.push(byte),
            }
            at += 1;
        }
        path.extend_from_slice(below.unwrap_or_default().as_bytes());
        let path = _core::path::lexical::normal(&path);
        if path.is_empty() { b"/".to_vec() } else { path }
    })
}

fn shown(pattern: &str, path: &[u8]) -> String {
    format!("{pattern} {}", path.escape_ascii())
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn it_is_the_references(
        (pattern, like) in pattern().prop_flat_map(|pattern| { let like = alike(&pattern); (Just(pattern), like) }),
        other in path(),
    ) {
        let mut glob = Glob::new(parse(pattern.as_bytes()).unwrap());
        for path in [like, other] {
            let expected = reference(pattern.as_bytes(), &path);
            prop_assert_eq!(glob.matches(&path), expected, "{}", shown(&pattern, &path));
            // The second time it uses the states that it has cached.
            prop_assert_eq!(glob.matches(&path), expected, "again: {}", shown(&pattern, &path));
        }
    }

    #[test]
    fn it_is_what_it_was(
        (pattern, like) in pattern().prop_flat_map(|pattern| { let like = alike(&pattern); (Just(pattern), like) }),
        other in path(),
    ) {
        prop_assume!(before_was_right(&pattern));
        let mut glob = Glob::new(parse(pattern.as_bytes()).unwrap());
        for path in [like, other] {
            prop_assert_eq!(glob.matches(&path), before(pattern.as_bytes(), &path), "{}", shown(&pattern, &path));
        }
    }

    #[test]
    fn any_bytes_are_a_glob_or_refused(pattern in vec(prop_oneof![select(b"*?[]{},\\/!-a".to_vec()), any::<u8>()], 0..60), path in path()) {
        if let Ok(steps) = parse(&pattern) {
            let _ = Glob::new(steps).matches(&path);
        }
    }
}

/// Measures both matchers. Run it by hand: `cargo test --release --no-default-features --test properties -- --ignored --nocapture glob`.
#[test]
#[ignore = "a measurement"]
#[expect(clippy::print_stdout, reason = "what was measured")]
fn nanoseconds_a_name() {
    use std::hint::black_box;
    use std::time::Instant;

    let many: Vec<String> = (0..50).map(|number| format!("e{number:02}")).collect();
    let bad = format!("/**/*.{{{}}}", many.join(","));
    let matched: &[(&str, &str)] = &[
        ("/var/log/*.log", "/var/log/postgresql.log"),
        ("/var/log/*.log", "/var/log/postgresql.txt"),
        ("/srv/**/*.db", "/srv/customers/4711/orders/archive/2024.db"),
        ("/srv/**/*.db", "/srv/customers/4711/orders/archive/2024.txt"),
        ("/home/*/.cache/[a-f]?*", "/home/somebody/.cache/fontconfig/x"),
        ("/srv/{a,b}/*.{db,wal}", "/srv/b/customers.wal"),
        (&bad, "/srv/customers/4711/orders/archive/2024.e49"),
        (&bad, "/srv/customers/4711/orders.old/archive.d/2024.x.y.z.unknown"),
    ];
    for (pattern, path) in matched {
        let mut glob = Glob::new(parse(pattern.as_bytes()).unwrap());
        let below = format!("{pattern}/**");
        let old = |path: &str| fast_glob::glob_match(pattern, path) || fast_glob::glob_match(&below, path);
        let expected = old(path);
        let ns = |calls: u32, call: &mut dyn FnMut() -> bool| {
            let best = (0..7).map(|_| {
                let start = Instant::now();
                for _ in 0..calls {
                    assert_eq!(black_box(call()), expected);
                }
                start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
            });
            best.fold(f64::INFINITY, f64::min)
        };
        let is_bad = pattern.len() > 100;
        let was = ns(if is_bad { 20 } else { 20_000 }, &mut || old(black_box(path)));
        let is = ns(20_000, &mut || glob.matches(black_box(path).as_bytes()));
        let shown = if is_bad { "/**/*.{50 extensions}" } else { pattern };
        println!("{shown:24} {path:62} before {was:12.1} ns, now {is:7.1} ns");
    }
}
