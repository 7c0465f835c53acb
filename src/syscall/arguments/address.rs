//! The address of a socket as text.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::flags::Set;

const UNIX: u16 = libc::AF_UNIX as u16;
const INET: u16 = libc::AF_INET as u16;
const INET6: u16 = libc::AF_INET6 as u16;
const NETLINK: u16 = libc::AF_NETLINK as u16;
const VSOCK: u16 = libc::AF_VSOCK as u16;

/// Returns the text of an address, whose length the caller stated as `length`. `None` if not even the family is there.
///
/// * internet: `127.0.0.1:80`, `[::1]:53`, `[fe80::1%2]:53`
/// * unix: `/run/x` as it is, `@name` if abstract, `unix:` if unnamed
/// * `vsock:CID:PORT`, `netlink:PID:GROUPS`
/// * others, and those that are too short for their family: `x25:18 bytes`, `family 77:2 bytes`
pub(super) fn text<'a>(bytes: &'a [u8], length: usize, families: Option<&Set>) -> Option<Cow<'a, [u8]>> {
    let (family, rest) = bytes.split_first_chunk()?;
    let family = u16::from_ne_bytes(*family);
    if family == UNIX {
        return Some(unix(rest));
    }
    let known = match family {
        INET => inet(rest),
        INET6 => inet6(rest),
        VSOCK => pair("vsock", rest, [6, 2]),
        NETLINK => pair("netlink", rest, [2, 6]),
        _ => None,
    };
    let other = || match families.and_then(|set| set.word(family.into())) {
        Some(name) => format!("{}:{length} bytes", name.trim_start_matches("AF_").to_ascii_lowercase()),
        None => format!("family {family}:{length} bytes"),
    };
    Some(Cow::Owned(known.unwrap_or_else(other).into_bytes()))
}

fn unix(path: &[u8]) -> Cow<'_, [u8]> {
    match path {
        [] => Cow::Borrowed(b"unix:"),
        [0, name @ ..] => Cow::Owned([b"@", name].concat()),
        _ => Cow::Borrowed(path.split(|byte| *byte == 0).next().unwrap_or_default()),
    }
}

fn inet(rest: &[u8]) -> Option<String> {
    let port = u16::from_be_bytes(array(rest, 0)?);
    Some(format!("{}:{port}", Ipv4Addr::from(array::<4>(rest, 2)?)))
}

fn inet6(rest: &[u8]) -> Option<String> {
    let port = u16::from_be_bytes(array(rest, 0)?);
    let address = Ipv6Addr::from(array::<16>(rest, 6)?);
    // RFC 2133 has none, and the kernel takes such an address.
    match array(rest, 22).map(u32::from_ne_bytes) {
        None | Some(0) => Some(format!("[{address}]:{port}")),
        Some(scope) => Some(format!("[{address}%{scope}]:{port}")),
    }
}

fn pair(name: &str, rest: &[u8], at: [usize; 2]) -> Option<String> {
    let [first, second] = at.map(|at| array(rest, at).map(u32::from_ne_bytes));
    Some(format!("{name}:{}:{}", first?, second?))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[&[u8]]) -> Option<String> {
        let bytes = parts.concat();
        text(&bytes, bytes.len(), None).map(|text| String::from_utf8(text.into_owned()).unwrap())
    }

    #[test]
    fn addresses() {
        let family = |number: u16| number.to_ne_bytes();
        let port = 80_u16.to_be_bytes();
        let two = 2_u32.to_ne_bytes();
        let port_1024 = 1024_u32.to_ne_bytes();
        let loopback = Ipv6Addr::LOCALHOST.octets();
        let cases: &[(&[&[u8]], Option<&str>)] = &[
            (&[], None),
            (&[&[2]], None),
            (&[&family(INET)], Some("family 2:2 bytes")),
            (&[&family(INET), &port, &[127, 0, 0]], Some("family 2:7 bytes")),
            (&[&family(INET), &port, &[127, 0, 0, 1]], Some("127.0.0.1:80")),
            (&[&family(INET), &port, &[127, 0, 0, 1], &[7; 120]], Some("127.0.0.1:80")),
            (&[&family(INET6), &port, &[0; 4], &loopback[..15]], Some("family 10:23 bytes")),
            (&[&family(INET6), &port, &[0; 4], &loopback], Some("[::1]:80")),
            (&[&family(INET6), &port, &[0; 4], &loopback, &[0; 4]], Some("[::1]:80")),
            (&[&family(INET6), &port, &[9; 4], &loopback, &two], Some("[::1%2]:80")),
            (&[&family(UNIX)], Some("unix:")),
            (&[&family(UNIX), b"/run/x\0rest"], Some("/run/x")),
            (&[&family(UNIX), b"/run/x"], Some("/run/x")),
            (&[&family(UNIX), b"\0"], Some("@")),
            (&[&family(UNIX), b"\0na\0me"], Some("@na\0me")),
            (&[&family(VSOCK), &[0; 2], &port_1024, &two], Some("vsock:2:1024")),
            (&[&family(VSOCK), &[0; 2], &port_1024], Some("family 40:8 bytes")),
            (&[&family(NETLINK), &[0; 10]], Some("netlink:0:0")),
            (&[&family(NETLINK), &[0; 2], &two, &port_1024], Some("netlink:2:1024")),
            (&[&family(77), &[0; 16]], Some("family 77:18 bytes")),
        ];
        for (parts, expected) in cases {
            assert_eq!(shown(parts).as_deref(), *expected);
        }
    }

    #[test]
    fn a_path_may_be_any_bytes() {
        let bytes = [&UNIX.to_ne_bytes()[..], b"\xff\xfe\n"].concat();
        assert_eq!(text(&bytes, 5, None).as_deref(), Some(&b"\xff\xfe\n"[..]));
    }
}
