//! Where a process runs, from all the hierarchies that it is in.

use std::sync::Arc;

use crate::cgroup::lookup::CgroupLookup;
use crate::cgroup::mounts::{Hierarchy, controller};
use crate::cgroup::path::Workload;
use crate::cgroup::reports::CgroupReports;
use crate::memory::check;

/// The places of one tracer.
#[derive(Debug)]
pub struct WorkloadResolver {
    v2: CgroupLookup,
    /// On hosts that have one: runtimes use it there, even beside version 2.
    v1: Option<CgroupLookup>,
    reports: Arc<CgroupReports>,
}

impl Default for WorkloadResolver {
    fn default() -> Self {
        let v1 = controller().map(|controller| CgroupLookup::new(Hierarchy::V1(controller)));
        Self { v2: CgroupLookup::new(Hierarchy::V2), v1, reports: Arc::default() }
    }
}

impl WorkloadResolver {
    /// Takes what the kernel reports of cgroups from there.
    pub fn learn_from(&mut self, reports: Arc<CgroupReports>) {
        self.reports = reports;
    }

    fn learn(&mut self) {
        for report in self.reports.take() {
            // They are many at a time, and what is learned stays.
            if check().is_err() {
                self.reports.drop_one();
                continue;
            }
            match (report.version, &mut self.v1) {
                (2, _) => self.v2.learn(&report),
                (1, Some(cgroups)) => cgroups.learn(&report),
                _ => {}
            }
        }
    }

    /// What the process's cgroups tell, by their ids: what version 1 does not say, version 2 may.
    pub fn place(&mut self, cgroup_id: u64, cgroup_v1_id: u64) -> Workload {
        self.learn();
        let v2 = self.v2.place(cgroup_id);
        match &mut self.v1 {
            Some(cgroups) if cgroup_v1_id > 0 => first_of(&cgroups.place(cgroup_v1_id), &v2),
            _ => Workload::clone(&v2),
        }
    }
}

fn first_of(one: &Workload, other: &Workload) -> Workload {
    let first = |of: fn(&Workload) -> &Option<String>| of(one).as_ref().or(of(other).as_ref()).cloned();
    Workload {
        container_id: first(|place| &place.container_id),
        pod_id: first(|place| &place.pod_id),
        unit: first(|place| &place.unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::mounts::CONTROLLERS;
    use crate::cgroup::path::parse;
    use crate::record::testing::{cgroup, framed};

    #[test]
    fn reports_are_learned_by_their_version() {
        let container = "0123456789abcdef".repeat(4);
        let (v1, v2) = (format!("/docker/{container}"), "/system.slice/a.service");
        // Higher than any that a host has.
        let id = u64::MAX - 1;
        let run = [cgroup(1, id, true, v1.as_bytes()), cgroup(2, id, true, v2.as_bytes()), cgroup(3, id, true, b"/x")];
        let reports = Arc::new(CgroupReports::default());
        reports.keep(&run.map(|record| framed(&record, 0)).concat());
        let mut places = WorkloadResolver {
            v1: Some(CgroupLookup::new(Hierarchy::V1(CONTROLLERS[0]))),
            ..WorkloadResolver::default()
        };
        places.learn_from(Arc::clone(&reports));
        let place = places.place(id, id);
        assert_eq!((place.container_id, place.unit.as_deref()), (Some(container), Some("a.service")));
        let mut places = WorkloadResolver { v1: None, ..WorkloadResolver::default() };
        reports.keep(&framed(&cgroup(1, id, true, v1.as_bytes()), 0));
        places.learn_from(reports);
        assert_eq!(places.place(id, id), Workload::default());
    }

    #[test]
    fn version_1_goes_first_and_version_2_fills_up() {
        let id = "0123456789abcdef".repeat(4);
        let v1 = parse(format!("/docker/{id}").as_bytes());
        let v2 = parse(b"/system.slice/docker.service");
        let both = Workload { unit: v2.unit.clone(), ..v1.clone() };
        assert!(both.unit.is_some() && both.container_id.is_some());
        assert_eq!(first_of(&v1, &v2), both);
        assert_eq!(first_of(&Workload::default(), &v2), v2);
        assert_eq!(first_of(&v1, &Workload::default()), v1);
    }
}
