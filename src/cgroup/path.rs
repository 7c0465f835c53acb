//! Parses the path of a cgroup into container, pod and systemd unit. It is pure; `lookup` finds the path.
//!
//! A path is a claim. A user who may create cgroups chooses their names, and systemd gives every user such a subtree,
//! in which rootless runtimes live. So an id is only accepted in the exact form in which its runtime writes it.
//! Anything else is `None`.

/// The container, pod and unit of a process, as its cgroup's path names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workload {
    /// The innermost container. The form depends on the runtime: 64 lower-case hex digits for docker, containerd, cri-o
    /// and podman; 25 digits and lower-case letters for `BuildKit`; the name for LXC and systemd-nspawn; the handle for
    /// Garden; 32 hex digits, a dash and a number for ECS on Fargate; `ALLOCATION.TASK` for Nomad. The sandbox of a
    /// Kubernetes pod counts as a container too.
    pub container_id: Option<String>,
    /// The innermost pod. For Kubernetes it is the uid as the API prints it, with dashes, or 32 hex digits without
    /// dashes for static pods. For podman it is the pod's 64 hex digits.
    pub pod_id: Option<String>,
    /// The innermost systemd unit that is not a slice, whether it belongs to the systemd of the host, a user or a
    /// container. Escapes such as `\x2d` stay, as `systemctl` shows them.
    pub unit: Option<String>,
}

/// The prefixes that runtimes write before `-` and a container's id. The monitors `crio-conmon` and `libpod-conmon` are
/// missing on purpose: they run outside the container whose id they carry.
const RUNTIMES: [&[u8]; 7] =
    [b"docker", b"cri-containerd", b"containerd", b"nerdctl", b"crio", b"libpod", b"libpod-payload"];

/// The suffixes of units that have processes, and so a cgroup; slices are left out.
const UNIT_SUFFIXES: [&[u8]; 5] = [b".service", b".scope", b".socket", b".mount", b".swap"];

/// The cgroup in which podman creates containers and pods when systemd does not manage its cgroups.
const LIBPOD_PARENT: &[u8] = b"libpod_parent";

/// The length of `BuildKit`'s ids, which are in base 36 (`identity.NewID`).
const BUILDKIT_ID: usize = 25;

/// Parses the path of a cgroup of version 2, or of any hierarchy of version 1, from the hierarchy's root.
///
/// It allocates only its result and accepts any bytes. What it does not recognise is `None`.
#[must_use]
pub fn parse(path: &[u8]) -> Workload {
    // The kernel appends this to the path of a removed cgroup that still has processes.
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let mut workload = Workload::default();
    let mut parent: &[u8] = b"";
    let mut is_ecs = false;
    let mut names = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        // From the root down, so that the innermost of each kind wins.
        if let Some(task) = nomad_task(parent, name) {
            // The name is that of a scope, but systemd does not know it.
            workload.container_id = Some(task);
            parent = name;
            continue;
        }
        if let Some(unit) = unit(name) {
            workload.unit = Some(unit);
        }
        if let Some(pod) = pod(parent, name) {
            workload.pod_id = Some(pod);
        }
        if is_ecs && is_fargate_container(name) {
            workload.container_id = Some(text(name));
        } else if !names.peek().is_some_and(|child| is_monitor(name, child))
            && let Some(container) = container(parent, name)
        {
            workload.container_id = Some(container);
        }
        is_ecs |= name == b"ecs";
        // Garden moves containers between these two cgroups to give their CPU time to others.
        if !(is_garden(parent) && matches!(name, b"good" | b"bad")) {
            parent = name;
        }
    }
    workload
}

fn unit(name: &[u8]) -> Option<String> {
    // systemd puts an underscore before a name that would collide with a file of the cgroup, such as `cpu.service`.
    let name = name.strip_prefix(b"_").unwrap_or(name);
    let stem = UNIT_SUFFIXES.iter().find_map(|suffix| name.strip_suffix(*suffix))?;
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b":-_.\\@".contains(byte);
    (!stem.is_empty() && stem[0] != b'@' && name.len() <= 255 && stem.iter().all(valid)).then(|| text(name))
}

fn pod(parent: &[u8], name: &[u8]) -> Option<String> {
    if parent == LIBPOD_PARENT && is_hex(name, 64) {
        return Some(text(name));
    }
    // The part before the first colon. See `container` for that form.
    let slice = name.split(|&byte| byte == b':').next()?;
    let slice = slice.strip_suffix(b".slice").unwrap_or(slice);
    if let Some((head, id)) = split_tail(slice, 64)
        && (head == b"libpod_pod_" || head.ends_with(b"-libpod_pod_"))
    {
        return is_hex(id, 64).then(|| text(id));
    }
    let kubernetes =
        |head: &[u8]| head == b"pod" || head.ends_with(b"-pod") && head.windows(8).any(|word| word == b"kubepods");
    if let Some((head, uid)) = split_tail(slice, 36)
        && kubernetes(head)
    {
        // A dash in a slice's name would mean a level of the tree, so the kubelet writes underscores there.
        return (is_grouped(uid, b'-', &[8, 4, 4, 4, 12]) || is_grouped(uid, b'_', &[8, 4, 4, 4, 12]))
            .then(|| text(uid).replace('_', "-"));
    }
    let (head, uid) = split_tail(slice, 32)?;
    (kubernetes(head) && is_hex(uid, 32)).then(|| text(uid))
}

fn container(parent: &[u8], name: &[u8]) -> Option<String> {
    if is_hex(name, 64) {
        return (parent != LIBPOD_PARENT).then(|| text(name));
    }
    match parent {
        b"lxc" | b"lxc.payload" => return machine_name(name),
        b"buildkit" if is_buildkit_id(name) => return Some(text(name)),
        garden if is_garden(garden) => {
            // Cloud Foundry's own handles lack the end of a UUID. Garden's own, for callers that pass none, are whole.
            let forms: [&[usize]; 2] = [&[8, 4, 4, 4, 4], &[8, 4, 4, 4, 12]];
            return forms.iter().any(|form| is_grouped(name, b'-', form)).then(|| text(name));
        }
        _ => {}
    }
    // docker runs BuildKit inside itself, in scopes if systemd manages its cgroups.
    if let Some(id) = between(name, b"docker-", b".scope").filter(|id| is_buildkit_id(id)) {
        return Some(text(id));
    }
    if let Some(name) = name.strip_prefix(b"lxc.payload.") {
        return machine_name(name);
    }
    if let Some(instance) = between(name, b"systemd-nspawn@", b".service") {
        return machine_name(instance);
    }
    if let Some(machine) = between(name, b"machine-", b".scope") {
        // machined also has virtual machines. Their scope holds the emulator, which runs on the host.
        return machine_name(machine).filter(|machine| !machine.starts_with("qemu-"));
    }
    // `<slice>:<runtime>:<id>` names a cgroup for the systemd driver. It becomes the cgroup's name if it is passed to a
    // runtime that expects a path.
    let mut parts = name.split(|&byte| byte == b':');
    if let (Some(slice), Some(runtime), Some(id), None) = (parts.next(), parts.next(), parts.next(), parts.next()) {
        let known = (slice.is_empty() || slice.ends_with(b".slice")) && RUNTIMES.contains(&runtime);
        return (known && is_hex(id, 64)).then(|| text(id));
    }
    let (head, id) = split_tail(name.strip_suffix(b".scope").unwrap_or(name), 64)?;
    (RUNTIMES.contains(&head.strip_suffix(b"-")?) && is_hex(id, 64)).then(|| text(id))
}

/// Whether the name is the cgroup of Garden itself, which may have a tag.
fn is_garden(name: &[u8]) -> bool {
    name.strip_prefix(b"garden").is_some_and(|tag| tag.is_empty() || tag.starts_with(b"-"))
}

fn is_buildkit_id(name: &[u8]) -> bool {
    name.len() == BUILDKIT_ID && name.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
}

/// Whether the name is a container on Fargate: the task's id, a dash and a number of at most 20 digits.
fn is_fargate_container(name: &[u8]) -> bool {
    let Some((task, number)) = name.split_at_checked(32) else { return false };
    let number = number.strip_prefix(b"-").unwrap_or_default();
    is_hex(task, 32) && (1..=20).contains(&number.len()) && number.iter().all(u8::is_ascii_digit)
}

/// Returns the name of a task that Nomad runs itself: a UUID, a dot and the task's name, which may contain dots. With
/// version 2, newer releases use one of two slices, depending on whether the task has cores of its own.
fn nomad_task(parent: &[u8], name: &[u8]) -> Option<String> {
    let task = match parent {
        b"nomad.slice" | b"share.slice" | b"reserve.slice" => name.strip_suffix(b".scope")?,
        b"nomad" => name,
        _ => return None,
    };
    let (allocation, name) = task.split_at_checked(36)?;
    let name = name.strip_prefix(b".")?;
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let is_task = is_grouped(allocation, b'-', &[8, 4, 4, 4, 12]) && !name.is_empty() && name.iter().all(valid);
    is_task.then(|| text(task))
}

/// Whether `child` holds the process that started the container `name`, not the container itself.
fn is_monitor(name: &[u8], child: &[u8]) -> bool {
    match child {
        b"conmon" => name.starts_with(b"libpod-"),
        b"supervisor" => name.starts_with(b"machine-") || name.starts_with(b"systemd-nspawn@"),
        _ => false,
    }
}

/// Decodes a name of LXC or machined, with escapes such as `\x2d`.
fn machine_name(escaped: &[u8]) -> Option<String> {
    let mut name = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let [first, tail @ ..] = rest {
        if let [b'\\', b'x', high, low, tail @ ..] = rest {
            let digit = |digit: &u8| char::from(*digit).to_digit(16).map(|digit| digit as u8);
            name.push(digit(high)? << 4 | digit(low)?);
            rest = tail;
        } else {
            name.push(*first);
            rest = tail;
        }
    }
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    (name.len() <= 255 && name.first()?.is_ascii_alphanumeric() && name.iter().all(valid)).then(|| text(&name))
}

fn between<'a>(name: &'a [u8], prefix: &[u8], suffix: &[u8]) -> Option<&'a [u8]> {
    name.strip_prefix(prefix)?.strip_suffix(suffix)
}

fn split_tail(name: &[u8], tail: usize) -> Option<(&[u8], &[u8])> {
    name.split_at_checked(name.len().checked_sub(tail)?)
}

fn is_hex(id: &[u8], digits: usize) -> bool {
    id.len() == digits && id.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether the id consists of groups of hex digits with these lengths, with one separator between them.
fn is_grouped(id: &[u8], separator: u8, groups: &[usize]) -> bool {
    let mut parts = id.split(|&byte| byte == separator);
    groups.iter().all(|&digits| parts.next().is_some_and(|part| is_hex(part, digits))) && parts.next().is_none()
}

/// Converts bytes that are known to be ASCII.
fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "8ae44e502fcee8b74c3b4e7a90803f601ba4c074f84f7e18dad20c0098afe732";
    const B: &str = "982378b06b68656a892ebbf5f8865cbe07321b118c194706ffbbccf2c4c0f874";
    const U: &str = "2000509b-564d-42b0-8c5d-7e4bc62a0783";
    const S: &str = "b08291cc186d384f1dcdb394380ced17";

    const K: &str = "5cf82fwiumld3vcs5d5l5pzyv";

    /// Replaces the placeholders. `<A>` and `<B>` are ids, `<U>` a pod's uid, `<V>` the same in a slice's name, `<S>` a
    /// static pod's uid, `<K>` an id of `BuildKit`.
    fn expand(text: &str) -> String {
        let text = text.replace("<K>", K).replace("<A>", A).replace("<B>", B).replace("<S>", S);
        text.replace("<U>", U).replace("<V>", &U.replace('-', "_"))
    }

    fn some(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| expand(text))
    }

    /// Runtime and driver, path, container, pod, unit. "" stands for none.
    #[rustfmt::skip]
    const SAMPLES: &[(&str, &str, &str, &str, &str)] = &[
        ("docker, systemd", "/system.slice/docker-<A>.scope", "<A>", "", "docker-<A>.scope"),
        ("docker, cgroupfs", "/docker/<A>", "<A>", "", ""),
        ("docker, a systemd inside", "/docker/<A>/init.scope", "<A>", "", "init.scope"),
        ("docker, a service inside", "/docker/<A>/system.slice/nginx.service", "<A>", "", "nginx.service"),
        ("docker, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-<A>.scope", "<A>", "", "docker-<A>.scope"),
        ("docker, old, no parent", "/<A>", "<A>", "", ""),
        ("docker, hosted CI runner", "/actions_job/<A>", "<A>", "", ""),
        ("docker in docker", "/docker/<A>/docker/<B>", "<B>", "", ""),
        ("docker, removed", "/system.slice/docker-<A>.scope (deleted)", "<A>", "", "docker-<A>.scope"),
        ("docker, daemon", "/system.slice/docker.service", "", "", "docker.service"),
        ("docker, mount unit", "/system.slice/var-lib-docker-containers-<A>-mounts-shm.mount", "", "", "var-lib-docker-containers-<A>-mounts-shm.mount"),
        ("kubernetes, docker, cgroupfs", "/kubepods/besteffort/pod<U>/<A>", "<A>", "<U>", ""),
        ("kubernetes, guaranteed, cgroupfs", "/kubepods/pod<U>/<A>", "<A>", "<U>", ""),
        ("kubernetes, docker, systemd", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<V>.slice/docker-<A>.scope", "<A>", "<U>", "docker-<A>.scope"),
        ("kubernetes, containerd, systemd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<V>.slice/cri-containerd-<A>.scope", "<A>", "<U>", "cri-containerd-<A>.scope"),
        ("kubernetes, guaranteed, systemd", "/kubepods.slice/kubepods-pod<V>.slice/cri-containerd-<A>.scope", "<A>", "<U>", "cri-containerd-<A>.scope"),
        ("kubernetes, dashes in a slice", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<U>.slice/docker-<A>.scope", "<A>", "<U>", "docker-<A>.scope"),
        ("kubernetes, static pod", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<S>.slice/cri-containerd-<A>.scope", "<A>", "<S>", "cri-containerd-<A>.scope"),
        ("kubernetes, static pod, cgroupfs", "/kubepods/burstable/pod<S>/<A>", "<A>", "<S>", ""),
        ("kubernetes, the pod itself", "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<V>.slice", "", "<U>", ""),
        ("kubernetes, containerd, colons", "/kubepods-besteffort-pod<V>.slice:cri-containerd:<A>", "<A>", "<U>", ""),
        ("kubernetes, containerd, colons, v1", "/system.slice/containerd.service/kubepods-besteffort-pod<V>.slice:cri-containerd:<A>", "<A>", "<U>", "containerd.service"),
        ("kubernetes, with a root", "/kubelet/kubepods/burstable/pod<U>/<A>", "<A>", "<U>", ""),
        ("kubernetes, kind", "/system.slice/docker-<B>.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod<V>.slice/cri-containerd-<A>.scope", "<A>", "<U>", "cri-containerd-<A>.scope"),
        ("kubernetes, kind, cgroupfs", "/docker/<B>/kubelet/kubepods/besteffort/pod<U>/<A>", "<A>", "<U>", ""),
        ("kubernetes, kind, the node's own", "/docker/<B>/kubelet.slice/kubelet.service", "<B>", "", "kubelet.service"),
        ("kubernetes, another namespace", "/../../pod<U>/<A>", "<A>", "<U>", ""),
        ("cri-o, systemd", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<V>.slice/crio-<A>.scope", "<A>", "<U>", "crio-<A>.scope"),
        ("cri-o, below", "/kubepods.slice/kubepods-pod<V>.slice/crio-<A>.scope/container", "<A>", "<U>", "crio-<A>.scope"),
        ("cri-o, cgroupfs", "/kubepods/besteffort/pod<U>/crio-<A>", "<A>", "<U>", ""),
        ("cri-o, monitor", "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<V>.slice/crio-conmon-<A>.scope", "", "<U>", "crio-conmon-<A>.scope"),
        ("cri-o, monitor, cgroupfs", "/kubepods/besteffort/pod<U>/crio-conmon-<A>", "", "<U>", ""),
        ("podman", "/machine.slice/libpod-<A>.scope", "<A>", "", "libpod-<A>.scope"),
        ("podman, crun", "/machine.slice/libpod-<A>.scope/container", "<A>", "", "libpod-<A>.scope"),
        ("podman, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-<A>.scope/container", "<A>", "", "libpod-<A>.scope"),
        ("podman, monitor", "/machine.slice/libpod-conmon-<A>.scope", "", "", "libpod-conmon-<A>.scope"),
        ("podman, cgroupfs", "/libpod_parent/libpod-<A>", "<A>", "", ""),
        ("podman, cgroupfs, monitor", "/libpod_parent/conmon", "", "", ""),
        ("podman, cgroupfs, old monitor", "/libpod_parent/libpod-<A>/conmon", "", "", ""),
        ("podman, quadlet", "/system.slice/nginx.service/libpod-payload-<A>", "<A>", "", "nginx.service"),
        ("podman, quadlet, monitor", "/system.slice/nginx.service/runtime", "", "", "nginx.service"),
        ("podman, pod", "/machine.slice/machine-libpod_pod_<B>.slice/libpod-<A>.scope", "<A>", "<B>", "libpod-<A>.scope"),
        ("podman, pod, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_<B>.slice/libpod-<A>.scope/container", "<A>", "<B>", "libpod-<A>.scope"),
        ("podman, pod, cgroupfs", "/libpod_parent/<B>/libpod-<A>", "<A>", "<B>", ""),
        ("podman, pod, cgroupfs, monitor", "/libpod_parent/<B>/conmon", "", "<B>", ""),
        ("docker in podman", "/libpod_parent/libpod-<B>/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<S>.slice/docker-<A>.scope", "<A>", "<S>", "docker-<A>.scope"),
        ("nerdctl, cgroupfs", "/default/<A>", "<A>", "", ""),
        ("nerdctl, systemd", "/system.slice/nerdctl-<A>.scope", "<A>", "", "nerdctl-<A>.scope"),
        ("ECS, v1", "/ecs/e87f840d-0c91-468e-b692-95af33f9a324/<A>", "<A>", "", ""),
        ("ECS, v1, cluster's name", "/ecs/cluster/36633e8fbc5a935479e62a8afbc8d119/<A>", "<A>", "", ""),
        ("ECS, v2", "/ecstasks.slice/ecstasks-36633e8fbc5a935479e62a8afbc8d119.slice/docker-<A>.scope", "<A>", "", "docker-<A>.scope"),
        // aws/amazon-ecs-agent: agent/taskresource/cgroup/control/cgroupv2_controller_linux.go. Fargate has no public
        // source; its paths are those that tracing libraries are tested with (DataDog/dd-trace-rb, cgroup_spec.rb).
        ("ECS, v2, the task itself", "/ecstasks.slice/ecstasks-<S>.slice", "", "", ""),
        ("ECS, Fargate 1.4", "/ecs/<S>-1234567890", "<S>-1234567890", "", ""),
        ("ECS, Fargate 1.4, below its task", "/ecs/<U>/<S>-1234567890", "<S>-1234567890", "", ""),
        ("ECS, Fargate 1.4, a new task's id", "/ecs/<S>/<S>-1234567890", "<S>-1234567890", "", ""),
        ("ECS, Fargate 1.3", "/ecs/<U>/<A>", "<A>", "", ""),
        ("ECS, a task", "/ecs/<S>", "", "", ""),
        // cloudfoundry/guardian: rundmc/cgroups/constants.go, starter_linux.go, cpucgrouper_linux.go; guardiancmd.
        ("Garden", "/system.slice/garden.service/garden/82cd2e64-4b45-41fd-b096-edba", "82cd2e64-4b45-41fd-b096-edba", "", "garden.service"),
        ("Garden, a handle of its own", "/garden/<U>", "<U>", "", ""),
        ("Garden, with a tag", "/garden-7/82cd2e64-4b45-41fd-b096-edba", "82cd2e64-4b45-41fd-b096-edba", "", ""),
        ("Garden, CPU entitlement", "/garden/good/82cd2e64-4b45-41fd-b096-edba", "82cd2e64-4b45-41fd-b096-edba", "", ""),
        ("Garden, CPU entitlement, throttled", "/garden/bad/82cd2e64-4b45-41fd-b096-edba/init", "82cd2e64-4b45-41fd-b096-edba", "", ""),
        ("Garden itself", "/garden/good", "", "", ""),
        // moby/buildkit: executor/oci/spec.go; moby/moby: cmd/dockerd/daemon_unix.go, newCgroupParent.
        ("BuildKit", "/buildkit/<K>", "<K>", "", ""),
        ("BuildKit, with a parent", "/system.slice/buildkit.service/buildkit/<K>", "<K>", "", "buildkit.service"),
        ("BuildKit in docker, cgroupfs", "/docker/buildkit/<K>", "<K>", "", ""),
        ("BuildKit in docker, systemd", "/system.slice/docker-<K>.scope", "<K>", "", "docker-<K>.scope"),
        ("BuildKit in a container of docker's", "/docker/<A>/buildkit/<K>", "<K>", "", ""),
        ("BuildKit, daemon", "/system.slice/buildkit.service", "", "", "buildkit.service"),
        // hashicorp/nomad: client/lib/cgroupslib/editor.go.
        ("Nomad, v2", "/nomad.slice/share.slice/<U>.web.scope", "<U>.web", "", ""),
        ("Nomad, v2, cores of its own", "/nomad.slice/reserve.slice/<U>.a_b.c-d.scope", "<U>.a_b.c-d", "", ""),
        ("Nomad, v2, no slices within its own", "/nomad.slice/<U>.web.scope", "<U>.web", "", ""),
        ("Nomad, v1", "/nomad/<U>.web", "<U>.web", "", ""),
        ("Nomad, docker", "/nomad.slice/share.slice/docker-<A>.scope", "<A>", "", "docker-<A>.scope"),
        ("Nomad, docker in a task", "/nomad.slice/share.slice/<U>.web.scope/docker/<A>", "<A>", "", ""),
        ("Nomad itself", "/system.slice/nomad.service", "", "", "nomad.service"),
        ("LXC", "/lxc/web-1/ns/init.scope", "web-1", "", "init.scope"),
        ("LXC 3", "/lxc.payload/web", "web", "", ""),
        ("LXC 4", "/lxc.payload.web/system.slice/cron.service", "web", "", "cron.service"),
        ("LXC, monitor", "/lxc.monitor.web", "", "", ""),
        ("LXC 3, monitor", "/lxc.monitor/web", "", "", ""),
        ("docker in LXC", "/lxc.payload.web/docker/<A>", "<A>", "", ""),
        ("libvirt, LXC", "/machine.slice/machine-lxc\\x2d12345\\x2ddemo.scope/libvirt", "lxc-12345-demo", "", "machine-lxc\\x2d12345\\x2ddemo.scope"),
        ("libvirt, QEMU", "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator", "", "", "machine-qemu\\x2d1\\x2dvm.scope"),
        ("nspawn, scope", "/machine.slice/machine-my\\x2dbox.scope/payload", "my-box", "", "machine-my\\x2dbox.scope"),
        ("nspawn, service", "/machine.slice/systemd-nspawn@web.service/payload/system.slice/nginx.service", "web", "", "nginx.service"),
        ("nspawn, supervisor", "/machine.slice/systemd-nspawn@web.service/supervisor", "", "", "systemd-nspawn@web.service"),
        ("systemd", "/system.slice/nginx.service", "", "", "nginx.service"),
        ("systemd, init", "/init.scope", "", "", "init.scope"),
        ("systemd, session", "/user.slice/user-1000.slice/session-3.scope", "", "", "session-3.scope"),
        ("systemd, user's service", "/user.slice/user-1000.slice/user@1000.service/app.slice/app-foo.service", "", "", "app-foo.service"),
        ("systemd, template", "/system.slice/system-getty.slice/getty@tty1.service", "", "", "getty@tty1.service"),
        ("systemd, escaped", "/system.slice/dev-disk-by\\x2duuid-7.swap", "", "", "dev-disk-by\\x2duuid-7.swap"),
        ("systemd, collision", "/system.slice/_cpu.service", "", "", "cpu.service"),
        ("systemd, below a service", "/system.slice/foo.service/child/1", "", "", "foo.service"),
        ("systemd, slice", "/user.slice/user-1000.slice", "", "", ""),
        ("root", "/", "", "", ""),
        ("nothing", "", "", "", ""),
    ];

    #[test]
    fn real_paths() {
        for (runtime, path, container_id, pod_id, unit) in SAMPLES {
            let expected = Workload { container_id: some(container_id), pod_id: some(pod_id), unit: some(unit) };
            assert_eq!(parse(expand(path).as_bytes()), expected, "{runtime}");
        }
    }

    #[test]
    fn near_misses_are_nothing() {
        let upper = A.to_uppercase();
        for path in [
            format!("/docker/{}", &A[1..]),
            format!("/docker/{A}0"),
            format!("/docker/{upper}"),
            format!("/kubepods/pod{}", &U[1..]),
            format!("/kubepods/pod{}", U.to_uppercase()),
            format!("/kubepods/pod{}", U.replacen('-', "_", 1)),
            format!("/kubepods/pod{S}0"),
            format!("/other-pod{}.slice", U.replace('-', "_")),
            format!("/x.slice:unknown:{A}"),
            format!("/x:docker:{A}"),
            format!("/x.slice:docker:{A}:"),
            format!("/machine-libpod_pod_{upper}.slice"),
            format!("/machine-my_pod_{A}.slice"),
            "/lxc/../lxc/.hidden/lxc.payload.".to_owned(),
            "/lxc/a b/lxc.payload.a\\x2".to_owned(),
            "/garden/82cd2e64-4b45-41fd-b096-edba-healthcheck".to_owned(),
            "/gardens/82cd2e64-4b45-41fd-b096-edba".to_owned(),
            "/garden/ugly/82cd2e64-4b45-41fd-b096-edba".to_owned(),
            "/good/82cd2e64-4b45-41fd-b096-edba".to_owned(),
            format!("/{K}"),
            format!("/buildkit/{}", &K[1..]),
            format!("/buildkit/{}", K.to_uppercase()),
            format!("/buildkit/sub/{K}"),
            format!("/{S}-1234567890"),
            format!("/ecs/{S}-"),
            format!("/ecs/{S}-12a"),
            format!("/ecs/{S}1234567890"),
            format!("/ecs/{S}-{}", "1".repeat(21)),
            format!("/nomad/{U}"),
            format!("/nomad/{U}."),
            format!("/nomad/{U}-web"),
            format!("/nomad/{U}.a b"),
            format!("/other/{U}.web"),
            format!("/nomad.slice/share.slice/{U}.web"),
            "/.service/@a.service/a b.service/..".to_owned(),
            format!("/{}.service", "a".repeat(248)),
        ] {
            assert_eq!(parse(path.as_bytes()), Workload::default(), "{path}");
        }
        assert_eq!(parse(b"/\xff.service/lxc/\xff/lxc.payload.\\xff"), Workload::default());
        // The name is still that of a unit, but of no container.
        for scope in [format!("docker-{upper}.scope"), format!("docker-{A}0.scope"), format!("mine-{A}.scope")] {
            let workload = parse(format!("/{scope}").as_bytes());
            assert_eq!(workload, Workload { unit: Some(scope), ..Workload::default() });
        }
        let long = format!("{}/docker/{A}", "/x".repeat(1 << 20));
        assert_eq!(parse(long.as_bytes()).container_id.as_deref(), Some(A));
    }
}
