//! What the programs read of calls' arguments.

use libbpf_rs::{MapCore, MapFlags};

use crate::config::Config;
use crate::skel::RawtpSkel;
use crate::skel::types::{argument_rule, argument_rules, argument_time, call, call_trait};
use crate::syscall::arguments::{CopyRule, How, arguments_of};
use crate::syscall::{Abi, places};

/// The numbers of a table (`SYSCALLS_MAX`).
const TABLE: usize = 1024;

/// The room for both tables.
pub(super) const SLOTS: u32 = 2 * TABLE as u32;

/// Writes the rules of the watched calls into the programs.
pub(super) fn fill(skel: &RawtpSkel<'_>, config: &Config) -> libbpf_rs::Result<()> {
    for syscall in &config.syscalls {
        for (table, nr) in places(syscall) {
            let abi = if table == 0 { Abi::NATIVE } else { Abi::COMPAT };
            let Some(known) = arguments_of(syscall.name, abi) else { continue };
            let rules = rules(known.copy_rules(config.buffers), &syscall.shape);
            let key = (table * TABLE + nr) as u32;
            // SAFETY: the rules consist of integers, without padding, so each of their bytes is initialized.
            let bytes = unsafe {
                std::slice::from_raw_parts(std::ptr::from_ref(&rules).cast::<u8>(), size_of::<argument_rules>())
            };
            skel.maps.argument_rules.update(&key.to_ne_bytes(), bytes, MapFlags::ANY)?;
        }
    }
    Ok(())
}

/// Leaves out the names that the event has anyway. One that can be empty may not be there.
fn rules(copied: [CopyRule; 6], shape: &call) -> argument_rules {
    let can_be_empty = u32::from(shape.traits) & (call_trait::CALL_AT.0 | call_trait::CALL_AT_LINK.0) != 0;
    let mut rules = argument_rules::default();
    for ((rule, copied), position) in rules.of.iter_mut().zip(copied).zip(1..) {
        let is_name = position == shape.path || position == shape.new_path;
        if is_name && copied.how == How::String && !can_be_empty {
            continue;
        }
        *rule = argument_rule {
            how: copied.how as u8,
            times: if copied.at_exit { argument_time::READ_AT_EXIT.0 } else { argument_time::READ_AT_ENTRY.0 } as u8,
            by: copied.by,
            reserved: 0,
            bytes: copied.bytes,
        };
    }
    // The kernel writes how long an address is, which can be more than the caller has room for.
    for at in copied.iter().filter(|copied| copied.how == How::CountedAt).map(|copied| usize::from(copied.by)) {
        if let Some(count) = at.checked_sub(1).and_then(|at| rules.of.get_mut(at)) {
            count.times |= argument_time::READ_AT_ENTRY.0 as u8;
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscall::by_name;

    fn hows(name: &str, buffers: u16) -> Vec<(u8, u8, u8, u16)> {
        let known = arguments_of(name, Abi::NATIVE).unwrap().copy_rules(buffers);
        let rules = rules(known, &by_name(name).unwrap().shape);
        rules.of.iter().map(|rule| (rule.how, rule.times, rule.by, rule.bytes)).collect()
    }

    #[test]
    fn names_that_events_have_are_not_copied_twice() {
        assert_eq!(hows("openat", 0)[1].0, How::Value as u8);
        assert_eq!(hows("renameat2", 0)[3].0, How::Value as u8);
        assert_eq!(hows("statx", 0)[1].0, How::String as u8);
        assert_eq!(hows("connect", 0)[1], (How::Counted as u8, 1, 3, 128));
    }

    #[test]
    fn how_much_room_the_caller_has_is_read_before_the_kernel_writes_there() {
        let rules = hows("accept4", 0);
        assert_eq!(rules[1], (How::CountedAt as u8, 2, 3, 128));
        assert_eq!(rules[2], (How::Bytes as u8, 3, 0, 4));
    }

    #[test]
    fn content_is_copied_only_where_it_was_asked_for() {
        assert_eq!(hows("write", 0)[1].0, How::Value as u8);
        assert_eq!(hows("write", 64)[1], (How::Counted as u8, 1, 3, 64));
        assert_eq!(hows("read", 64)[1], (How::Returned as u8, 2, 0, 64));
        assert_eq!(hows("execve", 4096)[2].0, How::Value as u8, "never the environment");
    }
}
