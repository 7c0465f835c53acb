//! Combines all cgroups of a process into one workload.

use std::sync::Arc;

use crate::cgroup::lookup::CgroupLookup;
use crate::cgroup::mounts::{Hierarchy, controller};
use crate::cgroup::path::Workload;
use crate::cgroup::reports::CgroupReports;
use crate::memory::check;

/// The workloads of one tracer's events.
#[derive(Debug)]
pub struct WorkloadResolver {
    v2: CgroupLookup,
    /// The cache for version 1, on hosts that have it. Runtimes use it there even alongside version 2.
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
    /// Takes the kernel's reports about cgroups from `reports`.
    pub fn learn_from(&mut self, reports: Arc<CgroupReports>) {
        self.reports = reports;
    }

    fn learn(&mut self) {
        for report in self.reports.take() {
            // Many reports come at a time, and each takes memory for good.
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

    /// Returns the workload of a process, by the ids of its cgroups. Version 2 fills in what version 1 does not name.
    pub fn workload(&mut self, cgroup_id: u64, cgroup_v1_id: u64) -> Workload {
        self.learn();
        let v2 = self.v2.workload(cgroup_id);
        match &mut self.v1 {
            Some(cgroups) if cgroup_v1_id > 0 => first_of(&cgroups.workload(cgroup_v1_id), &v2),
            _ => Workload::clone(&v2),
        }
    }
}

fn first_of(one: &Workload, other: &Workload) -> Workload {
    let first = |of: fn(&Workload) -> &Option<String>| of(one).as_ref().or(of(other).as_ref()).cloned();
    Workload {
        container_id: first(|workload| &workload.container_id),
        pod_id: first(|workload| &workload.pod_id),
        unit: first(|workload| &workload.unit),
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
        let mut resolver = WorkloadResolver {
            v1: Some(CgroupLookup::new(Hierarchy::V1(CONTROLLERS[0]))),
            ..WorkloadResolver::default()
        };
        resolver.learn_from(Arc::clone(&reports));
        let workload = resolver.workload(id, id);
        assert_eq!((workload.container_id, workload.unit.as_deref()), (Some(container), Some("a.service")));
        let mut resolver = WorkloadResolver { v1: None, ..WorkloadResolver::default() };
        reports.keep(&framed(&cgroup(1, id, true, v1.as_bytes()), 0));
        resolver.learn_from(reports);
        assert_eq!(resolver.workload(id, id), Workload::default());
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
