//! Parses a glob of paths into steps. [`crate::path::glob_states`] matches paths against them.

/// The most steps that a glob can have: as many as a path has bytes (`PATH_MAX`). It bounds the cost of one byte of a
/// name.
pub const MAX_STEPS: usize = 4096;

/// The index of a step.
pub type At = u16;

/// One step of a glob. The next step follows it unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Matches this byte.
    Byte(u8),
    /// Matches one of these bytes, which never include a slash.
    Set(ByteSet),
    /// `*`: matches any number of bytes other than slashes.
    Star,
    /// `**` as whole components: matches any bytes from a slash to a slash or to the end. The [`Step::Star`] that
    /// follows is the same `**` inside a component.
    Parts {
        /// The steps that can follow it: slashes, and the end of the glob.
        ends: Vec<At>,
    },
    /// Continues at any of these steps: the alternatives of `{a,b}`.
    Fork(Vec<At>),
    /// Continues at this step: behind `{a,b}`.
    Jump(At),
    /// The end of the glob.
    Done,
}

/// A set of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ByteSet([u64; 4]);

impl ByteSet {
    /// Whether the set contains the byte.
    #[must_use]
    pub fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] & (1 << (byte & 63)) != 0
    }

    fn add(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    /// Returns the byte of a set with exactly one.
    fn only(&self) -> Option<u8> {
        let mut bytes = (0..=u8::MAX).filter(|byte| self.has(*byte));
        bytes.next().filter(|_| bytes.next().is_none())
    }
}

/// A group whose end was not read yet.
struct Open {
    /// The offset of its `{` in the pattern.
    at: usize,
    fork: usize,
    starts: Vec<At>,
    /// The jumps at the ends of its alternatives, whose target is the step behind the group.
    jumps: Vec<usize>,
}

struct Parser<'a> {
    pattern: &'a [u8],
    at: usize,
    steps: Vec<Step>,
    open: Vec<Open>,
}

/// Parses a pattern. The last step, and no other, is [`Step::Done`].
///
/// # Errors
///
/// A text that says what is wrong with the pattern.
pub fn parse(pattern: &[u8]) -> Result<Vec<Step>, String> {
    let mut parser = Parser { pattern, at: 0, steps: Vec::new(), open: Vec::new() };
    while let Some(byte) = parser.next() {
        parser.step(byte)?;
    }
    if let Some(group) = parser.open.last() {
        return Err(format!("no }} closes the {{ at byte {}", group.at));
    }
    parser.push(Step::Done)?;
    let mut steps = parser.steps;
    for at in 0..steps.len() {
        if matches!(steps[at], Step::Parts { .. }) {
            steps[at] = Step::Parts { ends: ends(&steps, at + 2) };
        }
    }
    Ok(steps)
}

/// Returns the only path that a glob can match; `None` when it can match several.
#[must_use]
pub fn only_path(steps: &[Step]) -> Option<Vec<u8>> {
    let (Step::Done, bytes) = steps.split_last()? else { return None };
    let byte = |step: &Step| match step {
        Step::Byte(byte) => Some(*byte),
        Step::Set(set) => set.only(),
        _ => None,
    };
    bytes.iter().map(byte).collect()
}

/// Returns the slashes and the end that can be reached from this step without a byte.
fn ends(steps: &[Step], from: usize) -> Vec<At> {
    let (mut met, mut seen, mut left) = (Vec::new(), vec![false; steps.len()], vec![from]);
    while let Some(at) = left.pop() {
        if std::mem::replace(&mut seen[at], true) {
            continue;
        }
        match &steps[at] {
            Step::Byte(b'/') | Step::Done => met.push(index(at)),
            Step::Fork(starts) => left.extend(starts.iter().map(|start| usize::from(*start))),
            Step::Jump(to) => left.push(usize::from(*to)),
            _ => {}
        }
    }
    met
}

fn index(at: usize) -> At {
    At::try_from(at).expect("there are no more than MAX_STEPS")
}

impl Parser<'_> {
    fn next(&mut self) -> Option<u8> {
        let byte = self.pattern.get(self.at).copied();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn push(&mut self, step: Step) -> Result<usize, String> {
        if self.steps.len() == MAX_STEPS {
            return Err(format!(
                "it is too large: more than {MAX_STEPS} bytes and special characters; give several paths instead"
            ));
        }
        self.steps.push(step);
        Ok(self.steps.len() - 1)
    }

    fn here(&self) -> At {
        index(self.steps.len())
    }

    fn step(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b'*' => {
                let first = self.at - 1;
                while self.pattern.get(self.at) == Some(&b'*') {
                    self.at += 1;
                }
                // More than two stars are no whole component and mean the same as one.
                if self.at - first == 2 {
                    self.push(Step::Parts { ends: Vec::new() })?;
                }
                self.push(Step::Star)?;
            }
            b'?' => {
                self.push(Step::Set(all_but(ByteSet::default())))?;
            }
            b'[' => {
                let set = self.set()?;
                self.push(Step::Set(set))?;
            }
            b'{' => {
                let at = self.at - 1;
                let fork = self.push(Step::Fork(Vec::new()))?;
                self.open.push(Open { at, fork, starts: vec![self.here()], jumps: Vec::new() });
            }
            b',' | b'}' if !self.open.is_empty() => {
                let jump = self.push(Step::Jump(0))?;
                let here = self.here();
                let group = self.open.last_mut().expect("it was looked at");
                group.jumps.push(jump);
                if byte == b',' {
                    group.starts.push(here);
                } else {
                    let Open { fork, starts, jumps, .. } = self.open.pop().expect("it was looked at");
                    self.steps[fork] = Step::Fork(starts);
                    for jump in jumps {
                        self.steps[jump] = Step::Jump(here);
                    }
                }
            }
            b'\\' => {
                let byte = self.escaped()?;
                self.push(Step::Byte(byte))?;
            }
            byte => {
                self.push(Step::Byte(byte))?;
            }
        }
        Ok(())
    }

    fn escaped(&mut self) -> Result<u8, String> {
        self.next().ok_or_else(|| "nothing follows the backslash at its end".into())
    }

    /// Parses a set, whose `[` was already read. A `]` in first place is a byte of the set.
    fn set(&mut self) -> Result<ByteSet, String> {
        let first = self.at - 1;
        let unclosed = || format!("no ] closes the [ at byte {first}");
        let is_negated = matches!(self.pattern.get(self.at), Some(b'!' | b'^'));
        self.at += usize::from(is_negated);
        let mut set = ByteSet::default();
        let mut is_first = true;
        loop {
            let low = match self.next().ok_or_else(unclosed)? {
                b']' if !is_first => break,
                b'\\' => self.next().ok_or_else(unclosed)?,
                byte => byte,
            };
            is_first = false;
            let is_range = self.pattern.get(self.at) == Some(&b'-') && self.pattern.get(self.at + 1) != Some(&b']');
            if !is_range {
                set.add(low);
                continue;
            }
            self.at += 1;
            let high = match self.next().ok_or_else(unclosed)? {
                b'\\' => self.next().ok_or_else(unclosed)?,
                byte => byte,
            };
            if low > high {
                let shown = [low, b'-', high].escape_ascii().to_string();
                return Err(format!("the range {shown} in the [ at byte {first} has nothing in it"));
            }
            for byte in low..=high {
                set.add(byte);
            }
        }
        Ok(if is_negated { all_but(set) } else { all_but(all_but(set)) })
    }
}

/// Returns the set of all other bytes except the slash.
fn all_but(set: ByteSet) -> ByteSet {
    let mut others = ByteSet(set.0.map(|bits| !bits));
    others.0[0] &= !(1 << b'/');
    others
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_the_defect() {
        let wrong = |pattern: &str| parse(pattern.as_bytes()).unwrap_err();
        assert_eq!(wrong("/a/[b"), "no ] closes the [ at byte 3");
        assert_eq!(wrong("/a/[]"), "no ] closes the [ at byte 3");
        assert_eq!(wrong("/a/[b\\"), "no ] closes the [ at byte 3");
        assert_eq!(wrong("/{a,{b}"), "no } closes the { at byte 1");
        assert_eq!(wrong("/*\\"), "nothing follows the backslash at its end");
        assert_eq!(wrong("/[z-a]"), "the range z-a in the [ at byte 1 has nothing in it");
        let most = "/".repeat(MAX_STEPS - 1);
        assert_eq!(parse(most.as_bytes()).unwrap().len(), MAX_STEPS);
        for large in [most.clone() + "/", most + "*"] {
            assert!(wrong(&large).starts_with("it is too large: more than 4096 bytes and special characters;"));
        }
    }

    #[test]
    fn a_glob_that_matches_one_path() {
        let only = |pattern: &str| only_path(&parse(pattern.as_bytes()).unwrap());
        assert_eq!(only("/a/\\[b]\\*").unwrap(), b"/a/[b]*");
        assert_eq!(only("/a/[[]b]").unwrap(), b"/a/[b]");
        assert_eq!(only("/a/[bc]"), None);
        assert_eq!(only("/a/{b}"), None);
        assert_eq!(only("/a/*"), None);
    }

    #[test]
    fn no_set_has_a_slash() {
        for pattern in ["[!a]", "[.-0]", "?", "[/]", "[^]]"] {
            let steps = parse(pattern.as_bytes()).unwrap();
            let Step::Set(set) = steps[0] else { panic!("{steps:?}") };
            assert!(!set.has(b'/'), "{pattern}");
        }
    }
}
