//! Container and pod ids are found where their runtimes write them. Text without the exact form of an id is not taken
//! for one.

use _core::cgroup::path::{Workload, parse};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::cases;

/// The paths under which the runtimes put containers and pods. Placeholders stand for their ids:
///
/// * `<C>`: a container's id, of 64 hex digits
/// * `<U>`: a pod's uid, and `<V>` the same uid with underscores
/// * `<S>`: a static pod's uid, which has no hyphens
/// * `<P>`: the id of a pod of podman's
/// * `<N>`: a container's name, and `<E>` the same name as systemd escapes it
/// * `<T>`: the name of a Nomad task
/// * `<K>`, `<F>`, `<H>`: the ids of `BuildKit`, Fargate and Garden, which the test makes of parts of the others
const SHAPES: &[&str] = &[
    "/docker/<C>",
    "/system.slice/docker-<C>.scope",
    "/system.slice/docker-<C>.scope (deleted)",
    "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-<C>.scope",
    "/system.slice/nerdctl-<C>.scope",
    "/default/<C>",
    "/ecs/cluster/<S>/<C>",
    "/ecstasks.slice/ecstasks-<S>.slice/docker-<C>.scope",
    "/ecs/<F>",
    "/ecs/<S>/<F>",
    "/buildkit/<K>",
    "/docker/buildkit/<K>",
    "/system.slice/docker-<K>.scope",
    "/garden/<H>",
    "/garden-tag/<H>",
    "/garden/bad/<H>/init",
    "/nomad/<U>.<T>",
    "/nomad.slice/share.slice/<U>.<T>.scope",
    "/nomad.slice/<U>.<T>.scope",
    "/kubepods/pod<U>/<C>",
    "/kubepods/besteffort/pod<U>/<C>",
    "/kubepods/burstable/pod<S>/crio-<C>",
    "/kubepods.slice/kubepods-pod<V>.slice/cri-containerd-<C>.scope",
    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod<V>.slice/docker-<C>.scope",
    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<V>.slice/crio-<C>.scope/container",
    "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod<S>.slice/cri-containerd-<C>.scope",
    "/system.slice/containerd.service/kubepods-besteffort-pod<V>.slice:cri-containerd:<C>",
    "/machine.slice/libpod-<C>.scope/container",
    "/machine.slice/machine-libpod_pod_<P>.slice/libpod-<C>.scope",
    "/libpod_parent/libpod-<C>",
    "/libpod_parent/<P>/libpod-<C>",
    "/system.slice/nginx.service/libpod-payload-<C>",
    "/lxc/<N>",
    "/lxc.payload/<N>",
    "/lxc.payload.<N>/system.slice/cron.service",
    "/machine.slice/machine-<E>.scope/payload",
    "/machine.slice/systemd-nspawn@<N>.service/payload",
];

/// Makes the ids of one container: its own id, its pod's uid, the id of its pod of podman's, and its name.
fn ids() -> impl Strategy<Value = (String, String, String, String)> {
    let uid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
    let name = "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,60}".prop_filter("a virtual machine", |name| !name.starts_with("qemu-"));
    ("[0-9a-f]{64}", uid, "[0-9a-f]{64}", name)
}

fn is_hex(id: &str, digits: usize) -> bool {
    id.len() == digits && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Makes the beginning of a path, which holds neither a container nor a pod, to precede a shape.
fn outside() -> impl Strategy<Value = String> {
    select(vec![
        "",
        "/system.slice",
        "/user.slice/user-1000.slice/user@1000.service",
        "/..",
        "/kubelet",
        "/a-b.c",
        "/\u{fc}",
    ])
    .prop_map(ToOwned::to_owned)
}

/// Makes paths that are similar to a shape: pieces of shapes in any order, some of them damaged.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&str> = vec![
        "/",
        "/",
        "docker-",
        "docker/",
        "cri-containerd-",
        "crio-conmon-",
        "libpod-",
        "libpod_parent/",
        "conmon",
        ".scope",
        ".slice",
        ".service",
        ".mount",
        "kubepods",
        "-pod",
        "pod",
        "machine-",
        "systemd-nspawn@",
        "lxc/",
        "lxc.payload.",
        "garden/",
        "garden-",
        "good/",
        "buildkit/",
        "ecs/",
        "nomad/",
        "share.slice/",
        "\\x2d",
        "\\x",
        ":",
        "@",
        "_",
        "-",
        " (deleted)",
        "supervisor",
        "init",
    ];
    let piece = prop_oneof![
        6 => select(pieces).prop_map(|piece| piece.as_bytes().to_vec()),
        2 => "[0-9a-f]{64}".prop_map(String::into_bytes),
        1 => "[0-9a-f]{32}|[0-9a-fA-F]{63,65}".prop_map(String::into_bytes),
        1 => "[0-9a-f]{8}([-_][0-9a-f]{4}){3,4}[-_][0-9a-f]{12}".prop_map(String::into_bytes),
        1 => "[0-9a-z]{25}|[0-9a-f]{32}-[0-9]{1,21}".prop_map(String::into_bytes),
        1 => "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[.][a-z]{1,3}".prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..5),
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

fn assert_exact(path: &[u8], place: &Workload) -> Result<(), TestCaseError> {
    let shown = String::from_utf8_lossy(path);
    if let Some(id) = &place.container_id {
        let words = ["lxc", "machine-", "nspawn", "garden", "nomad", "share.slice", "reserve.slice"];
        let is_build = id.len() == 25 && ["buildkit/", "docker-"].iter().any(|word| shown.contains(word));
        let is_fargate = is_hex(&id[..32.min(id.len())], 32) && id[32..].starts_with('-') && shown.contains("ecs/");
        let is_named = words.iter().any(|word| shown.contains(word)) || is_build || is_fargate;
        prop_assert!(is_hex(id, 64) && shown.contains(id) || is_named, "{}", id);
        prop_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{}", id);
    }
    if let Some(id) = &place.pod_id {
        let digits = id.replace('-', "");
        prop_assert!(matches!((id.len(), digits.len()), (36 | 32, 32) | (64, 64)) && is_hex(&digits, digits.len()));
        prop_assert!(shown.contains(id) || shown.contains(&id.replace('-', "_")), "{}", id);
    }
    if let Some(unit) = &place.unit {
        prop_assert!(shown.contains(unit) && unit.len() <= 255 && !unit.contains('/'), "{}", unit);
        let kinds = [".service", ".scope", ".socket", ".mount", ".swap"];
        prop_assert!(kinds.iter().any(|kind| unit.len() > kind.len() && unit.ends_with(kind)), "{}", unit);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn what_a_runtime_wrote_is_what_is_found(shape in select(SHAPES), before in outside(), (id, uid, pod, name) in ids()) {
        let digits = uid.replace('-', "");
        let path = shape
            .replace("<C>", &id)
            .replace("<U>", &uid)
            .replace("<V>", &uid.replace('-', "_"))
            .replace("<S>", &digits)
            .replace("<P>", &pod)
            .replace("<E>", &name.replace('-', "\\x2d"))
            .replace("<N>", &name);
        let (build, handle, fargate) = (id[..25].to_owned(), uid[..28].to_owned(), format!("{digits}-1234567890"));
        let path = path.replace("<K>", &build).replace("<H>", &handle).replace("<F>", &fargate).replace("<T>", &name);
        let place = parse(format!("{before}{path}").as_bytes());
        let container = match shape {
            shape if shape.contains("<C>") => id,
            shape if shape.contains("<K>") => build,
            shape if shape.contains("<H>") => handle,
            shape if shape.contains("<F>") => fargate,
            shape if shape.contains("<T>") => format!("{uid}.{name}"),
            _ => name,
        };
        prop_assert_eq!(place.container_id, Some(container));
        let expected = match shape {
            shape if shape.contains("<T>") => None,
            shape if shape.contains("<U>") || shape.contains("<V>") => Some(uid),
            shape if shape.contains("pod<S>") => Some(digits),
            shape if shape.contains("<P>") => Some(pod),
            _ => None,
        };
        prop_assert_eq!(place.pod_id, expected);
    }

    #[test]
    fn what_comes_near_is_taken_in_its_exact_form_only(path in near()) {
        assert_exact(&path, &parse(&path))?;
    }

    #[test]
    fn no_bytes_are_too_odd(bytes in vec(any::<u8>(), 0..200), text in any::<String>()) {
        assert_exact(&bytes, &parse(&bytes))?;
        assert_exact(text.as_bytes(), &parse(text.as_bytes()))?;
    }
}
