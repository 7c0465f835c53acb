//! The slots: a place to count in for each chosen call of each table of numbers.

use crate::skel::counts::types::slot_trait;
use crate::skel::types::abi;
use crate::syscall::{Abi, Call, numbers, places};

/// A bound on the numbers of a table (`SYSCALLS_MAX`). The last one stands for all that are larger.
const NUMBERS: usize = 1024;

/// The number of tables (`TABLES`).
const TABLES: usize = 3;

/// A bound on the slots (`SLOTS_MAX`).
pub const SLOTS_MAX: usize = 2048;

/// The slots by number.
#[derive(Debug)]
pub struct Slots {
    /// The slot of each number, by table; 0 for a number that is not counted.
    pub numbers: Box<[[u16; NUMBERS]; TABLES]>,
    /// What each slot counts: the table, and the call's name or `None` for all numbers without a name. Slot 0 is unused.
    pub calls: Vec<(Abi, Option<&'static str>)>,
    /// The traits of each slot (`enum slot_trait`).
    pub traits: Vec<u8>,
}

impl Slots {
    /// Makes slots for the calls. `are_all`: for numbers without a name too, one in each table.
    #[must_use]
    pub fn new(calls: &[&'static Call], are_all: bool) -> Self {
        let mut made =
            Self { numbers: Box::new([[0; NUMBERS]; TABLES]), calls: vec![(Abi::NATIVE, None)], traits: vec![0] };
        let tables: &[(abi, Abi)] = if cfg!(target_arch = "x86_64") {
            &[(abi::ABI_NATIVE, Abi::NATIVE), (abi::ABI_COMPAT, Abi::COMPAT), (abi::ABI_X32, Abi::X32)]
        } else {
            &[(abi::ABI_NATIVE, Abi::NATIVE), (abi::ABI_COMPAT, Abi::COMPAT)]
        };
        for &(table, name) in tables {
            let row = table.0 as usize;
            for call in calls {
                let [native, compat] = numbers(call).map(|number| number.map(|number| number as usize));
                let found: Vec<usize> = match table {
                    abi::ABI_NATIVE => native.into_iter().collect(),
                    abi::ABI_COMPAT => compat.into_iter().collect(),
                    // x32 has the native numbers, and for some calls others of its own.
                    _ => places(call).filter(|(place, _)| *place == 0).map(|(_, number)| number).collect(),
                };
                if found.is_empty() {
                    continue;
                }
                let slot = made.add(name, Some(call));
                for number in found.into_iter().filter(|number| *number < NUMBERS - 1) {
                    made.numbers[row][number] = slot;
                }
            }
            if are_all {
                let slot = made.add(name, None);
                for number in made.numbers[row].iter_mut().filter(|number| **number == 0) {
                    *number = slot;
                }
            }
        }
        made
    }

    fn add(&mut self, table: Abi, call: Option<&'static Call>) -> u16 {
        let slot = self.calls.len();
        debug_assert!(slot < SLOTS_MAX, "the tables together have fewer calls");
        self.calls.push((table, call.map(|call| call.name)));
        self.traits.push(call.map_or(0, traits));
        slot as u16
    }

    /// Whether calls are counted that begin another program.
    #[must_use]
    pub fn have_execs(&self) -> bool {
        self.traits.iter().any(|traits| u32::from(*traits) & slot_trait::SLOT_EXECS.0 != 0)
    }
}

/// What the programs must know of a call.
fn traits(call: &Call) -> u8 {
    let found = match () {
        () if call.never_returns() => slot_trait::SLOT_NO_RETURN,
        () if call.is_exec() => slot_trait::SLOT_EXECS,
        // It can change the name of its process.
        () if call.name == "prctl" => slot_trait::SLOT_RENAMES,
        () => return 0,
    };
    found.0 as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::{by_name, names};

    #[test]
    fn every_number_has_a_slot_of_its_own() {
        let all: Vec<_> = names().filter_map(by_name).collect();
        let slots = Slots::new(&all, true);
        assert!(slots.calls.len() < SLOTS_MAX, "{}", slots.calls.len());
        for (table, own) in [Abi::NATIVE, Abi::COMPAT].into_iter().enumerate() {
            for number in 0..NUMBERS {
                let slot = usize::from(slots.numbers[table][number]);
                assert_eq!(slots.calls[slot], (own, own.name(number as u32)), "{number}");
            }
        }
    }

    #[test]
    fn only_what_was_chosen_has_one() {
        let slots = Slots::new(&[by_name("exit_group").unwrap(), by_name("execve").unwrap()], false);
        let native = Abi::NATIVE.number("execve").unwrap() as usize;
        assert_eq!(slots.calls[usize::from(slots.numbers[0][native])], (Abi::NATIVE, Some("execve")));
        assert_eq!(slots.numbers[0].iter().filter(|slot| **slot != 0).count(), 2);
        assert_eq!(slots.traits[..3], [0, 1, 4]);
    }
}
