//! `/proc/PID/stat` of a process that chose its own name, and a table that any reports are kept in.

use _core::lineage::chain::{Chain, ancestors};
use _core::lineage::processes::Processes;
use _core::skel::types::image;
use _core::sys::process::parse_stat;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::cases;

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn any_name_leaves_the_rest_as_it_is(name in vec(any::<u8>(), 0..17), parent: u32, start: u64) {
        let values = format!(") S {parent} {} {start} 4096 77\n", vec!["5"; 17].join(" "));
        let stat = [b"12 (".as_slice(), &name, values.as_bytes()].concat();
        prop_assert_eq!(parse_stat(&stat), Some((name.as_slice(), parent, start)));
    }

    #[test]
    fn any_content_is_read_or_refused(content in vec(prop_oneof![4 => Just(b' '), 4 => b'0'..=b'9', 1 => any::<u8>()], 0..200)) {
        if let Some((name, ..)) = parse_stat(&content) {
            prop_assert!(name.len() < content.len());
        }
        prop_assert!(ancestors(&content).count() <= content.len() / 24);
    }

    #[test]
    fn any_reports_give_a_chain_of_sixteen_at_most(run in vec(any::<u8>(), 0..600), pids in vec(0..4_u32, 0..20)) {
        let processes = Processes::new(|| 0);
        processes.keep(&run);
        let mut chain = Chain::default();
        chain.find(pids.iter().map(|pid| image { pid: *pid, ..Default::default() }), 0, &processes);
        let found: Vec<_> = ancestors(chain.ancestors()).map(|one| one.pid).collect();
        prop_assert_eq!(found, pids.into_iter().skip(1).take(16).collect::<Vec<_>>());
    }
}
