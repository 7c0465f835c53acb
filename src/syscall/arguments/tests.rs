use std::fmt::Write;

use super::*;

const AT_FDCWD: u64 = 0xffff_ff9c;

/// One value as text.
fn shown(value: &ArgumentValue<'_>) -> String {
    match value {
        ArgumentValue::None => "-".to_owned(),
        ArgumentValue::Int(number) => number.to_string(),
        ArgumentValue::Uint(number) => format!("{number}u"),
        ArgumentValue::Seconds(seconds) => format!("{seconds}s"),
        ArgumentValue::Text(text) => format!("'{}'", text.escape_ascii()),
        ArgumentValue::Texts(texts) => format!("['{}']", texts.escape_ascii()),
        ArgumentValue::Bytes(bytes) => format!("b'{}'", bytes.escape_ascii()),
        ArgumentValue::Word(word) => (*word).to_owned(),
        ArgumentValue::Flags(names) => {
            let mut all: Vec<_> = names.iter().map(str::to_owned).collect();
            if names.rest() != 0 {
                all.push(format!("{:#x}", names.rest()));
            }
            format!("[{}]", all.join(" "))
        }
        ArgumentValue::Ints(ints) => format!("{:?}", ints.iter().collect::<Vec<_>>()),
    }
}

/// The arguments of a call as text, `registers` filled up with zeros. Each copy is of a register, from 0 on.
fn call(abi: Abi, name: &str, registers: &[u64], copies: &[(u8, &[u8])], ret: i64) -> String {
    let mut all = [0; REGISTERS];
    all[..registers.len()].copy_from_slice(registers);
    let mut text = String::new();
    for argument in arguments_of(name, abi).unwrap().iter() {
        let copy = copies.iter().find(|(register, _)| *register == argument.register);
        let copy = copy.map(|(_, bytes)| Copied { bytes, status: CopyStatus::Whole });
        let value = decode(argument, &all, abi, copy, Some(ret));
        write!(text, "{}={} ", argument.name, shown(&value)).unwrap();
    }
    text.trim_end().to_owned()
}

fn longs(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

#[test]
fn native_calls() {
    let x86 =
        |name: &str, registers: &[u64], copies: &[(u8, &[u8])], ret| call(Abi::X86_64, name, registers, copies, ret);
    let creates = 0o1101;
    assert_eq!(
        x86("openat", &[AT_FDCWD, 1, creates, 0o644], &[(1, b"/tmp/x\0")], 3),
        "dirfd=-100 pathname='/tmp/x' flags=[O_WRONLY O_CREAT O_TRUNC] mode=420u"
    );
    // Garbage in the upper half of an int, and in the mode that is no argument.
    assert_eq!(
        x86("open", &[1, 0xdead_beef_0000_0000, 0o644], &[(0, b"x")], 3),
        "pathname='x' flags=[O_RDONLY] mode=-"
    );
    assert_eq!(x86("open", &[0, 0x0041_0002, 0o600], &[], -14), "pathname=- flags=[O_RDWR O_TMPFILE] mode=384u");
    let how = longs(&[0x8_0001, 0o600, 0x18]);
    assert_eq!(
        x86("openat2", &[5, 1, 2, 24], &[(1, b"\xff\n"), (2, &how)], -2),
        "dirfd=5 pathname='\\xff\\n' how.flags=[O_WRONLY O_CLOEXEC] how.mode=384u \
         how.resolve=[RESOLVE_BENEATH RESOLVE_IN_ROOT] size=24u"
    );
    assert_eq!(x86("lseek", &[3, (-5_i64).cast_unsigned(), 2], &[], 0), "fd=3 offset=-5 whence=SEEK_END");
    assert_eq!(x86("lseek", &[3, 0, 77], &[], -22), "fd=3 offset=0 whence=77");
    assert_eq!(
        x86("mmap", &[0, 4096, 3, 0x22, u64::from(u32::MAX), 0], &[], 1 << 40),
        "addr=0u length=4096u prot=[PROT_READ PROT_WRITE] flags=[MAP_PRIVATE MAP_ANONYMOUS] fd=-1 offset=0"
    );
    assert_eq!(x86("kill", &[u64::from(u32::MAX), 9], &[], 0), "pid=-1 sig=SIGKILL");
    assert_eq!(x86("kill", &[1, 34], &[], 0), "pid=1 sig=34");
    assert_eq!(x86("setuid", &[u64::from(u32::MAX)], &[], -22), "uid=-1");
    assert_eq!(x86("setuid", &[0xffff_fffe], &[], 0), "uid=4294967294");
    assert_eq!(x86("fcntl", &[3, 4, 0x800], &[], 0), "fd=3 cmd=F_SETFL arg=[O_RDONLY O_NONBLOCK]");
    assert_eq!(x86("fcntl", &[3, 1, 0x800], &[], 0), "fd=3 cmd=F_GETFD arg=-");
    assert_eq!(x86("fcntl", &[3, 2, 1], &[], 0), "fd=3 cmd=F_SETFD arg=[FD_CLOEXEC]");
    assert_eq!(x86("ioctl", &[1, 0x5413, 7], &[], 0), "fd=1 request=TIOCGWINSZ argp=7u");
    assert_eq!(x86("ioctl", &[1, 0xc000_0001, 7], &[], 0), "fd=1 request=3221225473u argp=7u");
    assert_eq!(x86("pipe2", &[1, 0x8_0000], &[(0, &words(&[3, 4]))], 0), "pipefd=[3, 4] flags=[O_CLOEXEC]");
    assert_eq!(x86("pipe2", &[1, 0x8_0000], &[(0, &words(&[3, 4]))], -24), "pipefd=- flags=[O_CLOEXEC]");
    assert_eq!(
        x86("execve", &[1, 2, 3], &[(0, b"/bin/sh"), (1, b"sh\0-c\0")], 0),
        "pathname='/bin/sh' argv=['sh\\x00-c\\x00'] envp=3u"
    );
    assert_eq!(x86("readlink", &[1, 2, 64], &[(0, b"l\0"), (1, b"target")], 6), "pathname='l' buf='target' bufsiz=64");
    assert_eq!(
        x86("wait4", &[u64::from(u32::MAX), 1, 1, 0], &[(1, &words(&[256]))], 7),
        "pid=-1 wstatus=256 options=[WNOHANG] rusage=0u"
    );
    assert_eq!(
        x86("wait4", &[u64::from(u32::MAX), 1, 1, 0], &[(1, &words(&[256]))], 0),
        "pid=-1 wstatus=- options=[WNOHANG] rusage=0u"
    );
}

#[test]
fn structures_and_choices() {
    let x86 =
        |name: &str, registers: &[u64], copies: &[(u8, &[u8])], ret| call(Abi::X86_64, name, registers, copies, ret);
    assert_eq!(x86("unshare", &[0x2002_0000], &[], 0), "flags=[CLONE_NEWNS CLONE_NEWPID]");
    assert_eq!(
        x86("clone", &[0x120_0011, 0, 1, 2, 3], &[], 9),
        "flags=[SIGCHLD CLONE_CHILD_CLEARTID CLONE_CHILD_SETTID] stack=0u parent_tid=1u child_tid=2u tls=3u"
    );
    let cl_args = longs(&[0x1_0000_1000, 1, 2, 3, 17, 0, 0, 0]);
    assert_eq!(
        x86("clone3", &[1, 88], &[(0, &cl_args)], 9),
        "cl_args.flags=[CLONE_PIDFD CLONE_CLEAR_SIGHAND] cl_args.exit_signal=SIGCHLD size=88u"
    );
    // Only the first 40 bytes, in which the signal is, were asked for.
    assert_eq!(arguments_of("clone3", Abi::X86_64).unwrap().copy_rules(0)[0].bytes, 40);
    assert_eq!(
        x86("futex", &[1, 0x80, 2, 3, 0, 0], &[(3, &longs(&[1, 500_000_000]))], 0),
        "uaddr=1u futex_op=[FUTEX_WAIT FUTEX_PRIVATE_FLAG] val=2u timeout=1.5s uaddr2=0u val3=0u"
    );
    assert_eq!(
        x86("futex", &[1, 4, 2, 3, 9, 8], &[], 0),
        "uaddr=1u futex_op=[FUTEX_CMP_REQUEUE] val=2u timeout=3u uaddr2=9u val3=8u"
    );
    assert_eq!(
        x86("futex", &[1, 1, 2, 3, 9, 8], &[], 0),
        "uaddr=1u futex_op=[FUTEX_WAKE] val=2u timeout=- uaddr2=9u val3=8u"
    );
    let now = longs(&[7, 0x3fff_ffff, 9, 250_000_000]);
    assert_eq!(
        x86("utimensat", &[AT_FDCWD, 1, 2, 0x100], &[(1, b"f"), (2, &now)], 0),
        "dirfd=-100 pathname='f' times[0]=UTIME_NOW times[1]=9.25s flags=[AT_SYMLINK_NOFOLLOW]"
    );
    let set = longs(&[0x102]);
    assert_eq!(
        x86("rt_sigprocmask", &[0, 1, 2, 8], &[(1, &set), (2, &longs(&[0]))], 0),
        "how=SIG_BLOCK set=[SIGINT SIGKILL] oldset=[] sigsetsize=8u"
    );
    assert_eq!(x86("access", &[1, 0], &[(0, b"x")], 0), "pathname='x' mode=[F_OK]");
    assert_eq!(x86("access", &[1, 5], &[(0, b"x")], 0), "pathname='x' mode=[R_OK X_OK]");
    let rest = longs(&[0, 1]);
    assert_eq!(x86("nanosleep", &[1, 2], &[(0, &longs(&[2, 0])), (1, &rest)], 0), "req=2s rem=-");
    assert_eq!(x86("nanosleep", &[1, 2], &[(0, &longs(&[2, 0])), (1, &rest)], -516), "req=2s rem=0.000000001s");
    let event = [&words(&[0x8000_0001])[..], &longs(&[77])].concat();
    assert_eq!(
        x86("epoll_ctl", &[3, 1, 4, 9], &[(3, &event)], 0),
        "epfd=3 op=EPOLL_CTL_ADD fd=4 event.events=[EPOLLIN EPOLLET] event.data=77u"
    );
    let limits = longs(&[1024, u64::MAX]);
    assert_eq!(
        x86("prlimit64", &[0, 7, 1, 0], &[(2, &limits)], 0),
        "pid=0 resource=RLIMIT_NOFILE new_limit.rlim_cur=1024 new_limit.rlim_max=-1 \
         old_limit.rlim_cur=- old_limit.rlim_max=-"
    );
    assert_eq!(
        x86("preadv2", &[3, 1, 2, u64::MAX, u64::MAX, 1], &[], 0),
        "fd=3 iov=1u iovcnt=2 offset=-1 flags=[RWF_HIPRI]"
    );
    assert_eq!(
        x86("getrusage", &[u64::from(u32::MAX), 1], &[(1, &longs(&[1, 250_000, 0, 0]))], 0),
        "who=RUSAGE_CHILDREN usage.ru_utime=1.25s usage.ru_stime=0s"
    );
    assert_eq!(x86("getpid", &[1], &[], 1), "");
}

#[test]
fn addresses_and_sockets() {
    let x86 =
        |name: &str, registers: &[u64], copies: &[(u8, &[u8])], ret| call(Abi::X86_64, name, registers, copies, ret);
    let inet = [&[2, 0][..], &443_u16.to_be_bytes(), &[10, 0, 0, 1], &[0; 8]].concat();
    assert_eq!(x86("connect", &[3, 1, 16], &[(1, &inet)], -111), "sockfd=3 addr='10.0.0.1:443' addrlen=16");
    assert_eq!(
        x86("connect", &[3, 1, 65_535], &[(1, &[9; 128])], -22),
        "sockfd=3 addr='family 2313:65535 bytes' addrlen=65535"
    );
    assert_eq!(x86("bind", &[3, 1, 18], &[(1, &[9, 0])], -22), "sockfd=3 addr='x25:18 bytes' addrlen=18");
    assert_eq!(x86("connect", &[3, 1, 0], &[(1, &[])], -22), "sockfd=3 addr=- addrlen=0");
    assert_eq!(
        x86("accept4", &[3, 1, 2, 0x8_0800], &[(1, &inet), (2, &words(&[16]))], 5),
        "sockfd=3 addr='10.0.0.1:443' addrlen=16 flags=[SOCK_NONBLOCK SOCK_CLOEXEC]"
    );
    assert_eq!(
        x86("socket", &[2, 0x8_0001, 6], &[], 3),
        "domain=AF_INET type=[SOCK_STREAM SOCK_CLOEXEC] protocol=IPPROTO_TCP"
    );
    assert_eq!(x86("socket", &[16, 3, 0], &[], 3), "domain=AF_NETLINK type=[SOCK_RAW] protocol=NETLINK_ROUTE");
    assert_eq!(x86("socket", &[1, 1, 6], &[], 3), "domain=AF_UNIX type=[SOCK_STREAM] protocol=6");
    assert_eq!(
        x86("setsockopt", &[3, 1, 2, 9, 4], &[], 0),
        "sockfd=3 level=SOL_SOCKET optname=SO_REUSEADDR optval=- optlen=4"
    );
    assert_eq!(
        x86("setsockopt", &[3, 6, 1, 9, 4], &[(3, &words(&[1]))], 0),
        "sockfd=3 level=SOL_TCP optname=TCP_NODELAY optval=b'\\x01\\x00\\x00\\x00' optlen=4"
    );
    assert_eq!(x86("setsockopt", &[3, 99, 1, 9, 4], &[], 0), "sockfd=3 level=99 optname=1 optval=- optlen=4");
    assert_eq!(
        x86("socketpair", &[1, 2, 0, 9], &[(3, &words(&[5, 6]))], 0),
        "domain=AF_UNIX type=[SOCK_DGRAM] protocol=0 sv=[5, 6]"
    );
}

#[test]
fn calls_of_32_bits() {
    let call_of = |abi, name: &str, registers: &[u64]| call(abi, name, registers, &[], 0);
    let high = 0xffff_ffff_0000_0000;
    // arm leaves a register out, so that both halves are a pair.
    assert_eq!(call_of(Abi::I386, "pread64", &[3, 1, 8, 5 | high, 1]), "fd=3 buf=- count=8u offset=4294967301");
    assert_eq!(call_of(Abi::Arm, "pread64", &[3, 1, 8, 77, 5, 1]), "fd=3 buf=- count=8u offset=4294967301");
    assert_eq!(call_of(Abi::X86_64, "pread64", &[3, 1, 8, 1 << 32 | 5]), "fd=3 buf=- count=8u offset=4294967301");
    let all = u64::from(u32::MAX);
    assert_eq!(call_of(Abi::I386, "ftruncate64", &[3, all, all]), "fd=3 length=-1");
    assert_eq!(call_of(Abi::Arm, "ftruncate64", &[3, 9, 0, 1]), "fd=3 length=4294967296");
    assert_eq!(call_of(Abi::I386, "ftruncate", &[3, all]), "fd=3 length=-1");
    assert_eq!(
        call_of(Abi::I386, "fadvise64_64", &[3, 1, 0, 2, 1, 4]),
        "fd=3 offset=1 len=4294967298 advice=POSIX_FADV_DONTNEED"
    );
    assert_eq!(
        call_of(Abi::Arm, "arm_fadvise64_64", &[3, 4, 1, 0, 2, 1]),
        "fd=3 advice=POSIX_FADV_DONTNEED offset=1 len=4294967298"
    );
    assert_eq!(call_of(Abi::I386, "fadvise64", &[3, 1, 0, 2, 3]), "fd=3 offset=1 len=2u advice=POSIX_FADV_WILLNEED");
    assert_eq!(
        call_of(Abi::I386, "fallocate", &[3, 3, 1, 0, 2, 0]),
        "fd=3 mode=[FALLOC_FL_KEEP_SIZE FALLOC_FL_PUNCH_HOLE] offset=1 len=2"
    );
    assert_eq!(call_of(Abi::Arm, "fallocate", &[3, 0, 1, 0, 2, 0]), "fd=3 mode=[] offset=1 len=2");
    assert_eq!(
        call_of(Abi::Arm, "arm_sync_file_range", &[3, 2, 1, 0, 2, 0]),
        "fd=3 flags=[SYNC_FILE_RANGE_WRITE] offset=1 nbytes=2"
    );
    assert_eq!(call_of(Abi::Arm, "preadv", &[3, 1, 2, 5, 1]), "fd=3 iov=1u iovcnt=2 offset=4294967301");
    assert_eq!(call_of(Abi::Arm, "readahead", &[3, 0, 7, 0, 9]), "fd=3 offset=7 count=9u");
    assert_eq!(
        call_of(Abi::I386, "fanotify_mark", &[3, 1, 0x20, 0, AT_FDCWD, 0]),
        "fanotify_fd=3 flags=[FAN_MARK_ADD] mask=[FAN_OPEN] dirfd=-100 pathname=-"
    );
    assert_eq!(
        call_of(Abi::I386, "mmap2", &[0, 4096, 1, 0x22, all, 3]),
        "addr=0u length=4096u prot=[PROT_READ] flags=[MAP_PRIVATE MAP_ANONYMOUS] fd=-1 pgoffset=3u"
    );
    assert_eq!(call_of(Abi::I386, "mmap", &[77]), "arg=77u");
    assert_eq!(call_of(Abi::I386, "setuid", &[0xffff]), "uid=-1");
    assert_eq!(call_of(Abi::I386, "setuid", &[0x1_03e8]), "uid=1000");
    assert_eq!(call_of(Abi::I386, "setuid32", &[0xffff]), "uid=65535");
    assert_eq!(call_of(Abi::Arm, "chown", &[0, 0xffff, 7]), "pathname=- owner=-1 group=7");
    assert_eq!(
        call_of(Abi::I386, "clone", &[17, 0, 1, 2, 3]),
        "flags=[SIGCHLD] stack=0u parent_tid=1u tls=2u child_tid=3u"
    );
    assert_eq!(call_of(Abi::Arm, "open", &[0, 0o40000, 0]), "pathname=- flags=[O_RDONLY O_DIRECTORY] mode=-");
    assert_eq!(call_of(Abi::I386, "open", &[0, 0o200_000, 0]), "pathname=- flags=[O_RDONLY O_DIRECTORY] mode=-");
    assert_eq!(call_of(Abi::I386, "socketcall", &[3, 9]), "call=SYS_CONNECT args=9u");
    assert_eq!(
        call_of(Abi::I386, "ipc", &[23, 0, 4096, 0o600]),
        "call=SHMGET first=0 second=4096u third=384u ptr=0u fifth=0"
    );

    let narrow = words(&[1, 500_000_000]);
    assert_eq!(call(Abi::I386, "nanosleep", &[1, 0], &[(0, &narrow)], 0), "req=1.5s rem=-");
    // The padding over 32-bit nanoseconds is what happened to be there.
    let wide = longs(&[1, 0xdead_beef_1dcd_6500]);
    let clock = call(Abi::Arm, "clock_gettime64", &[1, 2], &[(1, &wide)], 0);
    assert_eq!(clock, "clockid=CLOCK_MONOTONIC tp=1.5s");
    let minus = words(&[u32::MAX, 0]);
    assert_eq!(call(Abi::I386, "clock_settime", &[0, 2], &[(1, &minus)], -22), "clockid=CLOCK_REALTIME tp=-1s");
    let limits = words(&[7, u32::MAX]);
    let setrlimit = call(Abi::I386, "setrlimit", &[0, 1], &[(1, &limits)], 0);
    assert_eq!(setrlimit, "resource=RLIMIT_CPU rlim.rlim_cur=7 rlim.rlim_max=-1");
    let ids = 1000_u16.to_le_bytes();
    let getresuid = call(Abi::I386, "getresuid", &[1, 2, 3], &[(0, &ids), (1, &ids), (2, &[0xff; 2])], 0);
    assert_eq!(getresuid, "ruid=1000 euid=1000 suid=-1");
    let siginfo = words(&[17, 0, 1, 99, 1000, 3]);
    assert_eq!(
        call(Abi::I386, "waitid", &[0, 0, 1, 4], &[(2, &siginfo)], 0),
        "idtype=P_ALL id=0 infop.si_code=CLD_EXITED infop.si_pid=99 infop.si_uid=1000 infop.si_status=3 \
         options=[WEXITED] rusage=0u"
    );
}

#[test]
fn what_was_not_copied_is_none() {
    let arguments = arguments_of("openat", Abi::X86_64).unwrap();
    let path = arguments.iter().nth(1).unwrap();
    let with = |status, bytes| shown(&decode(path, &[0; REGISTERS], Abi::X86_64, Some(Copied { bytes, status }), None));
    assert_eq!(with(CopyStatus::Whole, b"a\0b"), "'a'");
    assert_eq!(with(CopyStatus::Truncated, b"aaa"), "'aaa'");
    assert_eq!(with(CopyStatus::Fault, b"aaa"), "-");
    assert_eq!(with(CopyStatus::Whole, b""), "''");
    assert_eq!(shown(&decode(path, &[0; REGISTERS], Abi::X86_64, None, None)), "-");
    // A list that runs into memory that is not there is known up to there.
    let argv = arguments_of("execve", Abi::X86_64).unwrap().iter().nth(1).unwrap();
    let cut = Copied { bytes: b"sh\0", status: CopyStatus::Fault };
    assert_eq!(shown(&decode(argv, &[0; REGISTERS], Abi::X86_64, Some(cut), None)), "['sh\\x00']");
    // The result of a call that has not returned.
    let pair = arguments_of("pipe", Abi::X86_64).unwrap().iter().next().unwrap();
    let fds = Copied { bytes: &[0; 8], status: CopyStatus::Whole };
    assert_eq!(shown(&decode(pair, &[0; REGISTERS], Abi::X86_64, Some(fds), None)), "-");
}

#[test]
fn rules() {
    let rules = |abi, name: &str, buffers| {
        let rules = arguments_of(name, abi).unwrap().copy_rules(buffers);
        rules.map(|rule| (rule.how, rule.by, rule.bytes, rule.at_exit))
    };
    let none = (How::Value, 0, 0, false);
    let path = (How::String, 0, TEXT_BYTES, false);
    assert_eq!(rules(Abi::X86_64, "openat", 99), [none, path, none, none, none, none]);
    assert_eq!(rules(Abi::X86_64, "read", 0), [none; 6]);
    assert_eq!(rules(Abi::X86_64, "read", 64)[1], (How::Returned, 0, 64, true));
    assert_eq!(rules(Abi::X86_64, "write", 64)[1], (How::Counted, 3, 64, false));
    assert_eq!(rules(Abi::X86_64, "connect", 0)[1], (How::Counted, 3, 128, false));
    let recvfrom = rules(Abi::X86_64, "recvfrom", 0);
    assert_eq!(recvfrom[1], none);
    assert_eq!(recvfrom[4..], [(How::CountedAt, 6, 128, true), (How::Bytes, 0, 4, true)]);
    assert_eq!(rules(Abi::X86_64, "execve", 0)[..3], [path, (How::Strings, 0, TEXTS_BYTES, false), none]);
    assert_eq!(rules(Abi::X86_64, "openat2", 0)[2], (How::Bytes, 0, 24, false));
    assert_eq!(rules(Abi::X86_64, "stat", 0)[1], (How::Bytes, 0, 56, true));
    assert_eq!(rules(Abi::I386, "stat64", 0)[1], (How::Bytes, 0, 52, true));
    assert_eq!(rules(Abi::X86_64, "nanosleep", 0)[..2], [(How::Bytes, 0, 16, false), (How::Bytes, 0, 16, true)]);
    assert_eq!(rules(Abi::I386, "nanosleep", 0)[..2], [(How::Bytes, 0, 8, false), (How::Bytes, 0, 8, true)]);
    assert_eq!(rules(Abi::I386, "futex_time64", 0)[3], (How::Bytes, 0, 16, false));
    assert_eq!(rules(Abi::Arm, "pwrite64", 8)[1], (How::Counted, 3, 8, false));
    assert_eq!(rules(Abi::X86_64, "readlink", 0)[1], (How::Returned, 0, TEXT_BYTES, true));
    assert_eq!(rules(Abi::X86_64, "getsockopt", 8)[3], (How::CountedAt, 5, 8, true));
}

/// Asked for nothing, no rule takes the content of a buffer, and none ever the environment.
#[test]
fn nothing_is_copied_unasked() {
    for abi in Abi::ALL {
        for (name, arguments) in calls_of(abi) {
            for argument in arguments.iter() {
                let rule = |buffers| arguments.copy_rules(buffers)[usize::from(argument.register)];
                if argument.kind == Kind::Buffer {
                    assert_eq!(rule(0).how, How::Value, "{name}: {}", argument.name);
                    assert!(rule(7).bytes == 7, "{name}: {}", argument.name);
                }
                assert!(argument.name != "envp" || rule(u16::MAX).how == How::Value);
            }
        }
    }
}

#[test]
fn registers_are_counted() {
    let count = |name, abi| arguments_of(name, abi).map(Arguments::registers);
    assert_eq!(count("openat", Abi::X86_64), Some(4));
    assert_eq!(count("openat2", Abi::X86_64), Some(4));
    assert_eq!(count("getpid", Abi::X86_64), Some(0));
    assert_eq!(count("preadv", Abi::X86_64), Some(5));
    assert_eq!(count("fallocate", Abi::I386), Some(6));
    assert_eq!(count("pread64", Abi::Arm), Some(6));
    assert_eq!(count("fallocate", Abi::X86_64), Some(4));
    assert_eq!(count("no_such_call", Abi::X86_64), None);
    assert_eq!(count("", Abi::X86_64), None);
    assert!(Abi::ALL.iter().all(|abi| names(*abi).count() > 250 || *abi == Abi::X32));
}

/// Numbers that libc has as well are the same there.
#[test]
#[expect(clippy::cast_possible_wrap, reason = "libc's constants have several types")]
fn numbers_are_those_of_libc() {
    let sets: &'static [Set] = flags::read(table::family(Abi::NATIVE)).unwrap().leak();
    macro_rules! same {
        ($set:literal: $($name:ident)+) => {
            let set = sets.iter().find(|set| set.name() == $set).unwrap();
            $(
                let names: Vec<_> = if set.kind() == SetKind::Flags {
                    FlagNames::new(set, u64::from((libc::$name as i32).cast_unsigned())).iter().collect()
                } else {
                    set.word(i64::from(libc::$name as i32).cast_unsigned()).into_iter().collect()
                };
                assert!(names.contains(&stringify!($name)), "{}: {names:?}", stringify!($name));
            )+
        };
    }
    same!("open": O_RDONLY O_WRONLY O_RDWR O_TMPFILE O_SYNC O_DSYNC O_APPEND O_ASYNC O_CLOEXEC O_CREAT O_DIRECT O_DIRECTORY
        O_EXCL O_NOATIME O_NOCTTY O_NOFOLLOW O_NONBLOCK O_PATH O_TRUNC);
    same!("mmap": MAP_SHARED MAP_PRIVATE MAP_FIXED MAP_ANONYMOUS MAP_GROWSDOWN MAP_NORESERVE MAP_POPULATE MAP_HUGETLB);
    same!("signal": SIGHUP SIGINT SIGKILL SIGSEGV SIGTERM SIGCHLD SIGSTOP SIGSYS SIGIO SIGPWR SIGSTKFLT);
    same!("clock": CLOCK_REALTIME CLOCK_MONOTONIC CLOCK_BOOTTIME CLOCK_TAI CLOCK_THREAD_CPUTIME_ID);
    same!("family": AF_UNSPEC AF_UNIX AF_INET AF_INET6 AF_NETLINK AF_PACKET AF_VSOCK AF_ALG AF_BLUETOOTH);
    same!("epoll": EPOLLIN EPOLLOUT EPOLLERR EPOLLHUP EPOLLRDHUP EPOLLET EPOLLONESHOT EPOLLEXCLUSIVE);
    same!("madvise": MADV_NORMAL MADV_DONTNEED MADV_FREE MADV_HUGEPAGE MADV_COLD);
    same!("unshare": CLONE_NEWNS CLONE_NEWPID CLONE_NEWNET CLONE_NEWUSER CLONE_FILES);
    same!("rusage": RUSAGE_SELF RUSAGE_CHILDREN RUSAGE_THREAD);
    same!("rlimit": RLIMIT_CPU RLIMIT_NOFILE RLIMIT_MEMLOCK RLIMIT_RTTIME);
    same!("ioctl": TIOCGWINSZ TCGETS FIONREAD);
    same!("fcntl": F_DUPFD F_GETFL F_SETLK F_OFD_SETLK F_DUPFD_CLOEXEC F_ADD_SEALS);
}

#[test]
fn sets_are_well_formed() {
    for family in [flags::Family::X86, flags::Family::Arm] {
        let sets: &'static [Set] = flags::read(family).unwrap().leak();
        for set in sets {
            assert!(set.names().count() > 0, "{}", set.name());
            // Each name is that of its own value.
            for value in (0..32).map(|bit| 1_u64 << bit) {
                let names = FlagNames::new(set, value);
                assert!(names.rest() == value || names.iter().count() > 0, "{}", set.name());
            }
        }
    }
}
