//! Where a process runs, from all the hierarchies that it is in.

use crate::cgroup::Place;
use crate::cgroup_lookup::Cgroups;
use crate::cgroup_mounts::{Hierarchy, controller};

/// The places of one tracer.
#[derive(Debug)]
pub struct Places {
    v2: Cgroups,
    /// On hosts that have one: runtimes use it there, even beside version 2.
    v1: Option<Cgroups>,
}

impl Default for Places {
    fn default() -> Self {
        let v1 = controller().map(|controller| Cgroups::new(Hierarchy::V1(controller)));
        Self { v2: Cgroups::new(Hierarchy::V2), v1 }
    }
}

impl Places {
    /// What the process's cgroups tell, by their ids: what version 1 does not say, version 2 may.
    pub fn place(&mut self, cgroup_id: u64, cgroup_v1_id: u64) -> Place {
        let v2 = self.v2.place(cgroup_id);
        match &mut self.v1 {
            Some(cgroups) if cgroup_v1_id > 0 => first_of(&cgroups.place(cgroup_v1_id), &v2),
            _ => Place::clone(&v2),
        }
    }
}

fn first_of(one: &Place, other: &Place) -> Place {
    let first = |of: fn(&Place) -> &Option<String>| of(one).as_ref().or(of(other).as_ref()).cloned();
    Place {
        container_id: first(|place| &place.container_id),
        pod_id: first(|place| &place.pod_id),
        unit: first(|place| &place.unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::parse;

    #[test]
    fn version_1_goes_first_and_version_2_fills_up() {
        let id = "0123456789abcdef".repeat(4);
        let v1 = parse(format!("/docker/{id}").as_bytes());
        let v2 = parse(b"/system.slice/docker.service");
        let both = Place { unit: v2.unit.clone(), ..v1.clone() };
        assert!(both.unit.is_some() && both.container_id.is_some());
        assert_eq!(first_of(&v1, &v2), both);
        assert_eq!(first_of(&Place::default(), &v2), v2);
        assert_eq!(first_of(&v1, &Place::default()), v1);
    }
}
