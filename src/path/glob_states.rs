//! Matches paths against a [`crate::path::glob`], in time linear in the path whatever the glob.
//!
//! A state is the set of steps at which the match may stand. States and the transitions between them are found while
//! matching and kept, so that a byte of a path costs one table look-up. The number of kept states is bounded. At the
//! bound all are dropped and found again; a byte then costs one look at each step, and no more.

use rustc_hash::FxHashMap;

use crate::path::glob::{At, Step};

/// The most states that are kept, and the most steps in all of them. With 256 classes of bytes they take some 400 KB.
const STATES: usize = 512;
const STATES_STEPS: usize = 64 << 10;

/// A transition that was not computed yet.
const UNKNOWN: u16 = u16::MAX;
/// The state in which nothing can match any more.
const DEAD: u16 = 0;
const START: u16 = 1;

/// A glob that is ready to match.
#[derive(Debug, Clone)]
pub struct Glob {
    steps: Vec<Step>,
    /// The class of each byte. Bytes that no step tells apart share one.
    classes: [u8; 256],
    /// One byte of each class.
    samples: Vec<u8>,
    states: Vec<State>,
    /// The next state, by state and then by class.
    transitions: Vec<u16>,
    numbers: FxHashMap<Box<[At]>, u16>,
    kept_steps: usize,
    search: Search,
}

#[derive(Debug, Clone)]
struct State {
    /// The steps that take a byte, and the end, in order.
    steps: Box<[At]>,
    is_match: bool,
}

/// The buffers of a search, kept for the next one.
#[derive(Debug, Clone, Default)]
struct Search {
    found: Vec<At>,
    left: Vec<At>,
    met: Vec<bool>,
}

impl Search {
    fn begin(&mut self, steps: usize) {
        self.found.clear();
        self.left.clear();
        self.met.clear();
        self.met.resize(steps, false);
    }

    fn meet(&mut self, at: At) -> bool {
        !std::mem::replace(&mut self.met[usize::from(at)], true)
    }

    fn add(&mut self, at: At) {
        if self.meet(at) {
            self.found.push(at);
        }
    }

    /// Follows the steps in `left` up to those that take a byte. `is_part` says whether a component of the path begins
    /// here.
    fn close(&mut self, steps: &[Step], is_part: bool) {
        while let Some(at) = self.left.pop() {
            match &steps[usize::from(at)] {
                Step::Parts { ends } => {
                    self.left.push(at + 1);
                    if is_part && !ends.is_empty() && self.meet(at) {
                        self.found.push(at);
                        // `**` may match no component. Then the slash in front of it is also the one behind it.
                        self.left.extend(ends.iter().map(|end| end + At::from(steps[usize::from(*end)] != Step::Done)));
                    }
                }
                step if self.meet(at) => match step {
                    Step::Fork(starts) => self.left.extend(starts),
                    Step::Jump(to) => self.left.push(*to),
                    Step::Star => {
                        self.found.push(at);
                        self.left.push(at + 1);
                    }
                    _ => self.found.push(at),
                },
                _ => {}
            }
        }
    }
}

fn classes(steps: &[Step]) -> [u8; 256] {
    let mut classes = [0_u8; 256];
    let mut split = |has: &dyn Fn(u8) -> bool| {
        let mut renamed = FxHashMap::<(u8, bool), u8>::default();
        for byte in 0..=u8::MAX {
            let new = renamed.len() as u8;
            let class = &mut classes[usize::from(byte)];
            *class = *renamed.entry((*class, has(byte))).or_insert(new);
        }
    };
    let mut bytes = [false; 256];
    bytes[usize::from(b'/')] = true;
    for step in steps {
        match step {
            Step::Byte(byte) => bytes[usize::from(*byte)] = true,
            Step::Set(set) => split(&|byte| set.has(byte)),
            _ => {}
        }
    }
    for byte in (0..=u8::MAX).filter(|byte| bytes[usize::from(*byte)]) {
        split(&|other| other == byte);
    }
    classes
}

impl Glob {
    /// Creates a glob from the steps of [`crate::path::glob::parse`].
    #[must_use]
    pub fn new(steps: Vec<Step>) -> Self {
        let classes = classes(&steps);
        let count = usize::from(classes.iter().copied().max().unwrap_or_default()) + 1;
        let mut samples = vec![0; count];
        for byte in 0..=u8::MAX {
            samples[usize::from(classes[usize::from(byte)])] = byte;
        }
        let mut glob = Self {
            steps,
            classes,
            samples,
            states: Vec::new(),
            transitions: Vec::new(),
            numbers: FxHashMap::default(),
            kept_steps: 0,
            search: Search::default(),
        };
        glob.forget();
        glob
    }

    /// Whether the glob matches this path, or a directory above it.
    pub fn matches(&mut self, path: &[u8]) -> bool {
        let mut state = START;
        for &byte in path {
            if byte == b'/' && self.states[usize::from(state)].is_match {
                return true;
            }
            let Some(next) = self.next(state, byte) else { return false };
            state = next;
        }
        self.states[usize::from(state)].is_match
    }

    /// Returns the state after a byte, unless nothing can match any more.
    #[inline]
    fn next(&mut self, state: u16, byte: u8) -> Option<u16> {
        let class = usize::from(self.classes[usize::from(byte)]);
        let next = self.transitions[usize::from(state) * self.samples.len() + class];
        let next = if next == UNKNOWN { self.find(state, class) } else { next };
        (next != DEAD).then_some(next)
    }

    fn run(&mut self, path: &[u8]) -> Option<u16> {
        path.iter().try_fold(START, |state, &byte| self.next(state, byte))
    }

    /// Whether the glob may match something below this path.
    pub fn may_match_below(&mut self, path: &[u8]) -> bool {
        self.run(path).and_then(|state| self.next(state, b'/')).is_some()
    }

    /// Drops all states but the two that every match needs.
    fn forget(&mut self) {
        self.states.clear();
        self.transitions.clear();
        self.numbers.clear();
        self.kept_steps = 0;
        self.search.begin(self.steps.len());
        let dead = self.keep();
        self.search.left.push(0);
        self.search.close(&self.steps, false);
        let start = self.keep();
        debug_assert_eq!((dead, start), (DEAD, START));
    }

    /// Computes the transition from a state by a class of bytes, and keeps it.
    #[cold]
    fn find(&mut self, state: u16, class: usize) -> u16 {
        let byte = self.samples[class];
        let search = &mut self.search;
        search.begin(self.steps.len());
        for &at in &self.states[usize::from(state)].steps {
            match &self.steps[usize::from(at)] {
                Step::Parts { ends } => {
                    search.add(at);
                    for &end in ends {
                        search.add(end);
                    }
                }
                Step::Byte(one) if *one == byte => search.left.push(at + 1),
                Step::Set(set) if set.has(byte) => search.left.push(at + 1),
                Step::Star if byte != b'/' => search.left.push(at),
                _ => {}
            }
        }
        search.close(&self.steps, byte == b'/');
        if self.states.len() == STATES || self.kept_steps + search.found.len() > STATES_STEPS {
            let found = std::mem::take(&mut search.found);
            self.forget();
            self.search.found = found;
            return self.keep();
        }
        let next = self.keep();
        self.transitions[usize::from(state) * self.samples.len() + class] = next;
        next
    }

    /// Returns the state with the steps that were found.
    fn keep(&mut self) -> u16 {
        self.search.found.sort_unstable();
        if let Some(&known) = self.numbers.get(self.search.found.as_slice()) {
            return known;
        }
        let steps: Box<[At]> = self.search.found.as_slice().into();
        let number = self.states.len() as u16;
        self.kept_steps += steps.len();
        let is_match = steps.last().is_some_and(|last| usize::from(*last) == self.steps.len() - 1);
        self.numbers.insert(steps.clone(), number);
        self.states.push(State { steps, is_match });
        self.transitions.resize(self.states.len() * self.samples.len(), UNKNOWN);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::glob::parse;

    fn glob(pattern: &str) -> Glob {
        Glob::new(parse(pattern.as_bytes()).unwrap())
    }

    #[test]
    fn within_a_name_and_across_parts() {
        let matched = |pattern: &str, paths: &[&str]| -> Vec<bool> {
            let mut glob = glob(pattern);
            paths.iter().map(|path| glob.matches(path.as_bytes())).collect()
        };
        assert_eq!(
            matched("/a/*.c", &["/a/x.c", "/a/.c", "/a/x.c/y", "/a/x/y.c", "/a/x.cc", "/a"]),
            [true, true, true, false, false, false]
        );
        assert_eq!(
            matched("/a/**/b", &["/a/b", "/a/x/b", "/a/x/y/b", "/a/xb", "/a/b/c", "/ab"]),
            [true, true, true, false, true, false]
        );
        assert_eq!(matched("/a/x**/b", &["/a/x/b", "/a/xy/b", "/a/x/y/b"]), [true, true, false]);
        assert_eq!(matched("/a/**{/b,c}", &["/a/b", "/a/x/b", "/a/xc", "/a/x/c"]), [true, true, true, false]);
        assert_eq!(
            matched("/{a,b{c,}}/?[!x-z]", &["/a/11", "/bc/11", "/b/1x", "/b/1", "/c/11"]),
            [true, true, false, false, false]
        );
        assert_eq!(matched("/**", &["/", "/a", "/a/b"]), [true; 3]);
    }

    /// This glob has a million states, and a path can come by each of them.
    #[test]
    fn the_kept_states_are_bounded() {
        let mut glob = glob(&format!("/*a{}", "?".repeat(20)));
        let mut random = 1_u32;
        for _ in 0..200 {
            let name: Vec<u8> = (0..200)
                .map(|_| {
                    random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if random >> 31 == 0 { b'a' } else { b'b' }
                })
                .collect();
            let expected = name[name.len() - 21] == b'a';
            assert_eq!(glob.matches(&[b"/", name.as_slice()].concat()), expected);
            assert!(glob.states.len() <= STATES && glob.kept_steps <= STATES_STEPS);
            assert_eq!(glob.transitions.len(), glob.states.len() * glob.samples.len());
        }
    }

    #[test]
    fn classes_are_told_apart() {
        let every: String = (1..=127_u8).filter(|byte| !b"*?[{\\,}".contains(byte)).map(char::from).collect();
        let mut glob = glob(&format!("/{every}[\u{1}-\u{7f}]*"));
        assert!(glob.matches(format!("/{every}x").as_bytes()));
        assert!(!glob.matches(format!("/{every}").as_bytes()));
    }
}
