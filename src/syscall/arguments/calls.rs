//! The text of the calls: a line each, with their arguments in the order of the registers.
//!
//! ```text
//! name[@TABLES] argument:kind[/WIDTH][(COUNT)] …
//! ```
//!
//! Of the lines of a name the first for a table counts. `@x86_64,i386` names tables, `@64` and `@32` those of a width.
//!
//! `argument:kind` is in a register, and `argument&8:kind` at offset 8 of what the register points to, when the call
//! enters; `>8` is when it exits. `8|4` is 8 in tables of 64 bits and 4 in those of 32. `+argument` shares the register
//! of the one before it.
//!
//! A width is in bytes, `long`, or `wide`, which is 64 bits in two registers of a 32-bit table. A count is a number of
//! bytes, the name of an argument that has it, `*` and the name of one that has its address, or `ret`, what the call
//! returned.
//!
//! Kinds are those of `table.rs`, or sets of `sets.rs`. `by(other;1,2=kind;*=kind)` depends on another argument.

pub(super) const CALLS: &str = "\
# Files
access pathname:path mode:access
acct filename:path
chdir path:path
chmod pathname:path mode:mode
chown pathname:path owner:oldid group:oldid
chown32 pathname:path owner:id group:id
chroot path:path
close fd:fd
close_range first:uint last:uint flags:close_range
copy_file_range fd_in:fd off_in&:off fd_out:fd off_out&:off len:size flags:uint
creat pathname:path mode:mode
dup oldfd:fd
dup2 oldfd:fd newfd:fd
dup3 oldfd:fd newfd:fd flags:dup3
faccessat dirfd:fd pathname:path mode:access
faccessat2 dirfd:fd pathname:path mode:access flags:accessat
fadvise64 fd:fd offset:off len:size advice:fadvise
fadvise64_64@i386 fd:fd offset:off len:off advice:fadvise
arm_fadvise64_64 fd:fd advice:fadvise offset:off len:off
fallocate fd:fd mode:falloc offset:off len:off
fchdir fd:fd
fchmod fd:fd mode:mode
fchmodat dirfd:fd pathname:path mode:mode
fchmodat2 dirfd:fd pathname:path mode:mode flags:at
fchown fd:fd owner:oldid group:oldid
fchown32 fd:fd owner:id group:id
fchownat dirfd:fd pathname:path owner:id group:id flags:at
fcntl fd:fd cmd:fcntl arg:by(cmd;0,1027,1030=fd;2=fd_flags;4=open;8,1031=int;10=signal;1024=lease;1026=notify;1033=seal;5,6,7,12,13,14,15,16,17,36,37,38,1035,1036,1037,1038=ptr)
fcntl64 fd:fd cmd:fcntl arg:by(cmd;0,1027,1030=fd;2=fd_flags;4=open;8,1031=int;10=signal;1024=lease;1026=notify;1033=seal;5,6,7,12,13,14,15,16,17,36,37,38,1035,1036,1037,1038=ptr)
fdatasync fd:fd
fgetxattr fd:fd name:str value>:buf(ret) size:size
flistxattr fd:fd list>:buf(ret) size:size
flock fd:fd operation:flock
fremovexattr fd:fd name:str
fsetxattr fd:fd name:str value&:buf(size) size:size flags:xattr
fstat@x86_64 fd:fd statbuf.st_mode>24:mode +statbuf.st_size>48:off
fstat@aarch64 fd:fd statbuf.st_mode>16:mode +statbuf.st_size>48:off
fstat@32 fd:fd statbuf.st_mode>8:mode/2 +statbuf.st_size>20:ulong
fstat64@i386 fd:fd statbuf.st_mode>16:mode +statbuf.st_size>44:off
fstat64@arm fd:fd statbuf.st_mode>16:mode +statbuf.st_size>48:off
fstatat@aarch64 dirfd:fd pathname:path statbuf.st_mode>16:mode +statbuf.st_size>48:off flags:at
fstatat64@i386 dirfd:fd pathname:path statbuf.st_mode>16:mode +statbuf.st_size>44:off flags:at
fstatat64@arm dirfd:fd pathname:path statbuf.st_mode>16:mode +statbuf.st_size>48:off flags:at
fstatfs fd:fd buf:ptr
fstatfs64 fd:fd size:size buf:ptr
fsync fd:fd
ftruncate fd:fd length:long
ftruncate64 fd:fd length:off
futimesat dirfd:fd pathname:path times[0]&:tv +times[1]&16|8:tv
getcwd buf>:str size:size
getdents fd:fd dirp:ptr count:uint
getdents64 fd:fd dirp:ptr count:uint
getxattr path:path name:str value>:buf(ret) size:size
inotify_add_watch fd:fd pathname:path mask:inotify_mask
inotify_init
inotify_init1 flags:inotify
inotify_rm_watch fd:fd wd:int
fanotify_init flags:fanotify event_f_flags:open
fanotify_mark fanotify_fd:fd flags:fanotify_mark mask:fanotify_mask/wide dirfd:fd pathname:path
ioctl fd:fd request:ioctl argp:ptr
lchown pathname:path owner:oldid group:oldid
lchown32 pathname:path owner:id group:id
lgetxattr path:path name:str value>:buf(ret) size:size
link oldpath:path newpath:path
linkat olddirfd:fd oldpath:path newdirfd:fd newpath:path flags:at
listxattr path:path list>:buf(ret) size:size
llistxattr path:path list>:buf(ret) size:size
_llseek fd:fd offset_high:ulong offset_low:ulong result>:off whence:seek
lremovexattr path:path name:str
lseek fd:fd offset:long whence:seek
lsetxattr path:path name:str value&:buf(size) size:size flags:xattr
lstat@x86_64 pathname:path statbuf.st_mode>24:mode +statbuf.st_size>48:off
lstat@32 pathname:path statbuf.st_mode>8:mode/2 +statbuf.st_size>20:ulong
lstat64@i386 pathname:path statbuf.st_mode>16:mode +statbuf.st_size>44:off
lstat64@arm pathname:path statbuf.st_mode>16:mode +statbuf.st_size>48:off
memfd_create name:str flags:memfd
mkdir pathname:path mode:mode
mkdirat dirfd:fd pathname:path mode:mode
mknod pathname:path mode:mode dev:uint
mknodat dirfd:fd pathname:path mode:mode dev:uint
name_to_handle_at dirfd:fd pathname:path handle:ptr mount_id>:int flags:handle
newfstatat@x86_64 dirfd:fd pathname:path statbuf.st_mode>24:mode +statbuf.st_size>48:off flags:at
open pathname:path flags:open mode:cmode
open_by_handle_at mount_fd:fd handle:ptr flags:open
openat dirfd:fd pathname:path flags:open mode:cmode
openat2 dirfd:fd pathname:path how.flags&:open/8 +how.mode&8:mode/8 +how.resolve&16:resolve/8 size:size
pipe pipefd>:ints(8)
pipe2 pipefd>:ints(8) flags:pipe
pread64 fd:fd buf>:buf(ret) count:size offset:off
preadv fd:fd iov:ptr iovcnt:int offset:pair
preadv2 fd:fd iov:ptr iovcnt:int offset:pair flags:rwf
pwrite64 fd:fd buf&:buf(count) count:size offset:off
pwritev fd:fd iov:ptr iovcnt:int offset:pair
pwritev2 fd:fd iov:ptr iovcnt:int offset:pair flags:rwf
quotactl cmd:uint special:path id:int addr:ptr
read fd:fd buf>:buf(ret) count:size
readahead fd:fd offset:off count:size
readlink pathname:path buf>:str(ret) bufsiz:int
readlinkat dirfd:fd pathname:path buf>:str(ret) bufsiz:int
readv fd:fd iov:ptr iovcnt:int
removexattr path:path name:str
rename oldpath:path newpath:path
renameat olddirfd:fd oldpath:path newdirfd:fd newpath:path
renameat2 olddirfd:fd oldpath:path newdirfd:fd newpath:path flags:rename
rmdir pathname:path
sendfile out_fd:fd in_fd:fd offset&:long count:size
sendfile64 out_fd:fd in_fd:fd offset&:off count:size
setxattr path:path name:str value&:buf(size) size:size flags:xattr
splice fd_in:fd off_in&:off fd_out:fd off_out&:off len:size flags:splice
stat@x86_64 pathname:path statbuf.st_mode>24:mode +statbuf.st_size>48:off
stat@32 pathname:path statbuf.st_mode>8:mode/2 +statbuf.st_size>20:ulong
stat64@i386 pathname:path statbuf.st_mode>16:mode +statbuf.st_size>44:off
stat64@arm pathname:path statbuf.st_mode>16:mode +statbuf.st_size>48:off
statfs path:path buf:ptr
statfs64 path:path size:size buf:ptr
statx dirfd:fd pathname:path flags:at mask:statx statxbuf.stx_mode>28:mode/2 +statxbuf.stx_size>40:u64
symlink target:path linkpath:path
symlinkat target:path newdirfd:fd linkpath:path
sync
sync_file_range@64,i386 fd:fd offset:off nbytes:off flags:sync_range
arm_sync_file_range fd:fd flags:sync_range offset:off nbytes:off
syncfs fd:fd
tee fd_in:fd fd_out:fd len:size flags:splice
truncate path:path length:long
truncate64 path:path length:off
umask mask:mode
unlink pathname:path
unlinkat dirfd:fd pathname:path flags:unlinkat
utime filename:path times.actime&:long +times.modtime&8|4:long
utimensat dirfd:fd pathname:path times[0]&:filetime +times[1]&16|8:filetime flags:at
utimensat_time64 dirfd:fd pathname:path times[0]&:filetime64 +times[1]&16:filetime64 flags:at
utimes filename:path times[0]&:tv +times[1]&16|8:tv
vmsplice fd:fd iov:ptr nr_segs:size flags:splice
write fd:fd buf&:buf(count) count:size
writev fd:fd iov:ptr iovcnt:int
# Mounts
fsconfig fd:fd cmd:fsconfig key:str value:ptr aux:int
fsmount fd:fd flags:fsmount attr_flags:mount_attr
fsopen fsname:str flags:fsopen
fspick dirfd:fd pathname:path flags:fspick
mount source:path target:path filesystemtype:str mountflags:mount/long data:ptr
mount_setattr dirfd:fd pathname:path flags:at attr.attr_set&:mount_attr/8 +attr.attr_clr&8:mount_attr/8 +attr.propagation&16:propagation/8 +attr.userns_fd&24:ulong/8 size:size
move_mount from_dirfd:fd from_pathname:path to_dirfd:fd to_pathname:path flags:move_mount
open_tree dirfd:fd pathname:path flags:open_tree
pivot_root new_root:path put_old:path
swapoff path:path
swapon path:path swapflags:swap
umount@32 target:path
umount2 target:path flags:umount
# Processes
arch_prctl code:arch_prctl addr:ulong
capget hdrp:ptr datap:ptr
capset hdrp:ptr datap:ptr
clone@x86_64 flags:clone/long stack:ptr parent_tid:ptr child_tid:ptr tls:ptr
clone flags:clone/long stack:ptr parent_tid:ptr tls:ptr child_tid:ptr
clone3 cl_args.flags&:clone3/8 +cl_args.exit_signal&32:signal/8 size:size
execve pathname:path argv:argv envp:ptr
execveat dirfd:fd pathname:path argv:argv envp:ptr flags:execveat
exit status:int
exit_group status:int
fork
get_robust_list pid:int head_ptr:ptr len_ptr:ptr
getpgid pid:int
getpgrp
getpid
getppid
getpriority which:priority who:int
getrlimit resource:rlimit rlim.rlim_cur>:long +rlim.rlim_max>8|4:long
getrusage who:rusage usage.ru_utime>:tv +usage.ru_stime>16|8:tv
getsid pid:int
gettid
ioprio_get which:ioprio who:int
ioprio_set which:ioprio who:int ioprio:int
kcmp pid1:int pid2:int type:kcmp idx1:ulong idx2:ulong
kill pid:int sig:signal
landlock_add_rule ruleset_fd:fd rule_type:landlock_rule rule_attr:ptr flags:uint
landlock_create_ruleset attr:ptr size:size flags:landlock
landlock_restrict_self ruleset_fd:fd flags:uint
nice inc:int
pause
personality persona:uint
pidfd_getfd pidfd:fd targetfd:fd flags:uint
pidfd_open pid:int flags:pidfd
pidfd_send_signal pidfd:fd sig:signal info:ptr flags:pidfd_signal
prctl option:prctl arg2:ulong arg3:ulong arg4:ulong arg5:ulong
prlimit64 pid:int resource:rlimit new_limit.rlim_cur&:long/8 +new_limit.rlim_max&8:long/8 old_limit.rlim_cur>:long/8 +old_limit.rlim_max>8:long/8
process_vm_readv pid:int local_iov:ptr liovcnt:ulong remote_iov:ptr riovcnt:ulong flags:ulong
process_vm_writev pid:int local_iov:ptr liovcnt:ulong remote_iov:ptr riovcnt:ulong flags:ulong
ptrace request:ptrace/long pid:long addr:ptr data:ptr
restart_syscall
rseq rseq:ptr rseq_len:uint flags:int sig:uint
rt_sigaction signum:signal act:ptr oldact:ptr sigsetsize:size
rt_sigpending set:ptr sigsetsize:size
rt_sigprocmask how:sigprocmask set&:sigset/8 oldset>:sigset/8 sigsetsize:size
rt_sigqueueinfo tgid:int sig:signal info:ptr
rt_sigreturn
rt_sigsuspend mask&:sigset/8 sigsetsize:size
rt_sigtimedwait set&:sigset/8 info:ptr timeout&:ts sigsetsize:size
rt_sigtimedwait_time64 set&:sigset/8 info:ptr timeout&:ts64 sigsetsize:size
rt_tgsigqueueinfo tgid:int tid:int sig:signal info:ptr
sched_get_priority_max policy:sched
sched_get_priority_min policy:sched
sched_getaffinity pid:int cpusetsize:uint mask:ptr
sched_getattr pid:int attr:ptr size:uint flags:uint
sched_getparam pid:int param.sched_priority>:int
sched_getscheduler pid:int
sched_rr_get_interval pid:int tp>:ts
sched_rr_get_interval_time64 pid:int tp>:ts64
sched_setaffinity pid:int cpusetsize:uint mask:ptr
sched_setattr pid:int attr:ptr flags:uint
sched_setparam pid:int param.sched_priority&:int
sched_setscheduler pid:int policy:sched param.sched_priority&:int
sched_yield
seccomp operation:seccomp flags:seccomp_flags args:ptr
set_robust_list head:ptr len:size
set_tid_address tidptr:ptr
setns fd:fd nstype:unshare
setpgid pid:int pgid:int
setpriority which:priority who:int prio:int
setrlimit resource:rlimit rlim.rlim_cur&:long +rlim.rlim_max&8|4:long
setsid
sigaltstack ss:ptr old_ss:ptr
tgkill tgid:int tid:int sig:signal
times buf:ptr
tkill tid:int sig:signal
ugetrlimit resource:rlimit rlim.rlim_cur>:long +rlim.rlim_max>8|4:long
unshare flags:unshare/long
vfork
wait4 pid:int wstatus>:int options:wait rusage:ptr
waitid idtype:idtype id:int infop.si_code>8:cld +infop.si_pid>16|12:int +infop.si_uid>20|16:id +infop.si_status>24|20:int options:wait rusage:ptr
waitpid pid:int wstatus>:int options:wait
# Users and groups
getegid
getegid32
geteuid
geteuid32
getgid
getgid32
getgroups size:int list:ptr
getgroups32 size:int list:ptr
getresgid rgid>:oldid egid>:oldid sgid>:oldid
getresgid32 rgid>:id egid>:id sgid>:id
getresuid ruid>:oldid euid>:oldid suid>:oldid
getresuid32 ruid>:id euid>:id suid>:id
getuid
getuid32
setfsgid fsgid:oldid
setfsgid32 fsgid:id
setfsuid fsuid:oldid
setfsuid32 fsuid:id
setgid gid:oldid
setgid32 gid:id
setgroups size:int list:ptr
setgroups32 size:int list:ptr
setregid rgid:oldid egid:oldid
setregid32 rgid:id egid:id
setresgid rgid:oldid egid:oldid sgid:oldid
setresgid32 rgid:id egid:id sgid:id
setresuid ruid:oldid euid:oldid suid:oldid
setresuid32 ruid:id euid:id suid:id
setreuid ruid:oldid euid:oldid
setreuid32 ruid:id euid:id
setuid uid:oldid
setuid32 uid:id
# Network
accept sockfd:fd addr>:sa(*addrlen) addrlen>:int
accept4 sockfd:fd addr>:sa(*addrlen) addrlen>:int flags:accept4
bind sockfd:fd addr&:sa(addrlen) addrlen:int
connect sockfd:fd addr&:sa(addrlen) addrlen:int
getpeername sockfd:fd addr>:sa(*addrlen) addrlen>:int
getsockname sockfd:fd addr>:sa(*addrlen) addrlen>:int
getsockopt sockfd:fd level:sol optname:by(level;0=ip;1=so;6=tcp;17=udp;41=ipv6;263=packet_option;270=netlink_option;*=int) optval>:buf(*optlen) optlen>:int
listen sockfd:fd backlog:int
recv sockfd:fd buf>:buf(ret) len:size flags:msg
recvfrom sockfd:fd buf>:buf(ret) len:size flags:msg src_addr>:sa(*addrlen) addrlen>:int
recvmmsg sockfd:fd msgvec:ptr vlen:uint flags:msg timeout&:ts
recvmmsg_time64 sockfd:fd msgvec:ptr vlen:uint flags:msg timeout&:ts64
recvmsg sockfd:fd msg:ptr flags:msg
send sockfd:fd buf&:buf(len) len:size flags:msg
sendmmsg sockfd:fd msgvec:ptr vlen:uint flags:msg
sendmsg sockfd:fd msg:ptr flags:msg
sendto sockfd:fd buf&:buf(len) len:size flags:msg dest_addr&:sa(addrlen) addrlen:int
setsockopt sockfd:fd level:sol optname:by(level;0=ip;1=so;6=tcp;17=udp;41=ipv6;263=packet_option;270=netlink_option;*=int) optval&:buf(optlen) optlen:int
shutdown sockfd:fd how:shutdown
socket domain:family type:socket protocol:by(domain;2,10=ipproto;16=netlink;*=int)
socketcall call:socketcall args:ptr
socketpair domain:family type:socket protocol:by(domain;2,10=ipproto;16=netlink;*=int) sv>:ints(8)
# Memory
brk addr:ptr
get_mempolicy mode>:int nodemask:ptr maxnode:ulong addr:ptr flags:mpol_get/long
madvise addr:ptr length:size advice:madvise
mbind addr:ptr len:ulong mode:mpol nodemask:ptr maxnode:ulong flags:mpol_move
membarrier cmd:membarrier flags:uint cpu_id:int
memfd_secret flags:dup3
migrate_pages pid:int maxnode:ulong old_nodes:ptr new_nodes:ptr
mincore addr:ptr length:size vec:ptr
mlock addr:ptr len:size
mlock2 addr:ptr len:size flags:mlock2
mlockall flags:mlockall
mmap@64 addr:ptr length:size prot:prot flags:mmap fd:fd offset:long
mmap@i386 arg:ptr
mmap2 addr:ptr length:size prot:prot flags:mmap fd:fd pgoffset:ulong
move_pages pid:int count:ulong pages:ptr nodes:ptr status:ptr flags:mpol_move
mprotect addr:ptr len:size prot:prot
mremap old_address:ptr old_size:size new_size:size flags:mremap new_address:ptr
mseal addr:ptr len:size flags:ulong
msync addr:ptr length:size flags:msync
munlock addr:ptr len:size
munlockall
munmap addr:ptr length:size
pkey_alloc flags:uint access_rights:pkey
pkey_free pkey:int
pkey_mprotect addr:ptr len:size prot:prot pkey:int
process_madvise pidfd:fd iovec:ptr vlen:size advice:madvise flags:uint
process_mrelease pidfd:fd flags:uint
remap_file_pages addr:ptr size:size prot:prot pgoff:size flags:mmap
set_mempolicy mode:mpol nodemask:ptr maxnode:ulong
userfaultfd flags:userfaultfd
# System V and POSIX IPC
ipc call:ipc_call first:int second:ulong third:ulong ptr:ptr fifth:long
mq_getsetattr mqdes:int newattr:ptr oldattr:ptr
mq_notify mqdes:int sevp:ptr
mq_open name:str oflag:open mode:cmode attr:ptr
mq_timedreceive mqdes:int msg_ptr>:buf(ret) msg_len:size msg_prio>:uint abs_timeout&:ts
mq_timedreceive_time64 mqdes:int msg_ptr>:buf(ret) msg_len:size msg_prio>:uint abs_timeout&:ts64
mq_timedsend mqdes:int msg_ptr&:buf(msg_len) msg_len:size msg_prio:uint abs_timeout&:ts
mq_timedsend_time64 mqdes:int msg_ptr&:buf(msg_len) msg_len:size msg_prio:uint abs_timeout&:ts64
mq_unlink name:str
msgctl msqid:int cmd:msgctl buf:ptr
msgget key:int msgflg:ipc
msgrcv msqid:int msgp:ptr msgsz:size msgtyp:long msgflg:ipc_op
msgsnd msqid:int msgp:ptr msgsz:size msgflg:ipc_op
semctl semid:int semnum:int cmd:semctl arg:ulong
semget key:int nsems:int semflg:ipc
semop semid:int sops:ptr nsops:uint
semtimedop semid:int sops:ptr nsops:uint timeout&:ts
semtimedop_time64 semid:int sops:ptr nsops:uint timeout&:ts64
shmat shmid:int shmaddr:ptr shmflg:shmat
shmctl shmid:int cmd:shmctl buf:ptr
shmdt shmaddr:ptr
shmget key:int size:size shmflg:shm
# Time
adjtimex buf:ptr
alarm seconds:uint
clock_adjtime clk_id:clock buf:ptr
clock_adjtime64 clk_id:clock buf:ptr
clock_getres clockid:clock res>:ts
clock_getres_time64 clockid:clock res>:ts64
clock_gettime clockid:clock tp>:ts
clock_gettime64 clockid:clock tp>:ts64
clock_nanosleep clockid:clock flags:timer request&:ts remain>:ts
clock_nanosleep_time64 clockid:clock flags:timer request&:ts64 remain>:ts64
clock_settime clockid:clock tp&:ts
clock_settime64 clockid:clock tp&:ts64
getitimer which:itimer curr_value.it_interval>:tv +curr_value.it_value>16|8:tv
gettimeofday tv>:tv tz:ptr
nanosleep req&:ts rem>:ts
setitimer which:itimer new_value.it_interval&:tv +new_value.it_value&16|8:tv old_value.it_interval>:tv +old_value.it_value>16|8:tv
settimeofday tv&:tv tz:ptr
time tloc:ptr
timer_create clockid:clock sevp:ptr timerid>:int
timer_delete timerid:int
timer_getoverrun timerid:int
timer_gettime timerid:int curr_value.it_interval>:ts +curr_value.it_value>16|8:ts
timer_gettime64 timerid:int curr_value.it_interval>:ts64 +curr_value.it_value>16:ts64
timer_settime timerid:int flags:timer new_value.it_interval&:ts +new_value.it_value&16|8:ts old_value.it_interval>:ts +old_value.it_value>16|8:ts
timer_settime64 timerid:int flags:timer new_value.it_interval&:ts64 +new_value.it_value&16:ts64 old_value.it_interval>:ts64 +old_value.it_value>16:ts64
timerfd_create clockid:clock flags:timerfd
timerfd_gettime fd:fd curr_value.it_interval>:ts +curr_value.it_value>16|8:ts
timerfd_gettime64 fd:fd curr_value.it_interval>:ts64 +curr_value.it_value>16:ts64
timerfd_settime fd:fd flags:timerfd_set new_value.it_interval&:ts +new_value.it_value&16|8:ts old_value.it_interval>:ts +old_value.it_value>16|8:ts
timerfd_settime64 fd:fd flags:timerfd_set new_value.it_interval&:ts64 +new_value.it_value&16:ts64 old_value.it_interval>:ts64 +old_value.it_value>16:ts64
# Waiting for events
epoll_create size:int
epoll_create1 flags:epoll_create
epoll_ctl@x86_64,i386 epfd:fd op:epoll_ctl fd:fd event.events&:epoll +event.data&4:ulong/8
epoll_ctl@aarch64,arm epfd:fd op:epoll_ctl fd:fd event.events&:epoll +event.data&8:ulong/8
epoll_pwait epfd:fd events:ptr maxevents:int timeout:int sigmask&:sigset/8 sigsetsize:size
epoll_pwait2 epfd:fd events:ptr maxevents:int timeout&:ts64 sigmask&:sigset/8 sigsetsize:size
epoll_wait epfd:fd events:ptr maxevents:int timeout:int
eventfd initval:uint
eventfd2 initval:uint flags:eventfd
futex uaddr:ptr futex_op:futex val:uint timeout&:by(futex_op%0x7f;0,6,9,11,13=ts;3,4,5,12=uint) uaddr2:ptr val3:uint
futex_time64 uaddr:ptr futex_op:futex val:uint timeout&:by(futex_op%0x7f;0,6,9,11,13=ts64;3,4,5,12=uint) uaddr2:ptr val3:uint
futex_waitv waiters:ptr nr_futexes:uint flags:uint timeout&:ts64 clockid:clock
io_cancel ctx_id:ptr iocb:ptr result:ptr
io_destroy ctx_id:ptr
io_getevents ctx_id:ptr min_nr:long nr:long events:ptr timeout&:ts
io_setup nr_events:uint ctx_idp:ptr
io_submit ctx_id:ptr nr:long iocbpp:ptr
io_uring_enter fd:fd to_submit:uint min_complete:uint flags:io_uring_enter sig:ptr sz:size
io_uring_register fd:fd opcode:uint arg:ptr nr_args:uint
io_uring_setup entries:uint p:ptr
_newselect nfds:int readfds:ptr writefds:ptr exceptfds:ptr timeout&:tv
poll fds:ptr nfds:uint timeout:int
ppoll fds:ptr nfds:uint tmo_p&:ts sigmask&:sigset/8 sigsetsize:size
ppoll_time64 fds:ptr nfds:uint tmo_p&:ts64 sigmask&:sigset/8 sigsetsize:size
pselect6 nfds:int readfds:ptr writefds:ptr exceptfds:ptr timeout&:ts sigmask:ptr
pselect6_time64 nfds:int readfds:ptr writefds:ptr exceptfds:ptr timeout&:ts64 sigmask:ptr
select@64 nfds:int readfds:ptr writefds:ptr exceptfds:ptr timeout&:tv
select@i386 arg:ptr
signalfd fd:fd mask&:sigset/8 sizemask:size
signalfd4 fd:fd mask&:sigset/8 sizemask:size flags:signalfd
# The kernel
add_key type:str description:str payload&:buf(plen) plen:size keyring:keyring
bpf cmd:bpf attr:ptr size:uint
delete_module name:str flags:delete_module
finit_module fd:fd param_values:str flags:finit_module
getcpu cpu>:uint node>:uint tcache:ptr
getrandom buf>:buf(ret) buflen:size flags:getrandom
init_module module_image:ptr len:ulong param_values:str
ioperm from:ulong num:ulong turn_on:int
iopl level:uint
keyctl operation:keyctl arg2:ulong arg3:ulong arg4:ulong arg5:ulong
perf_event_open attr.type&:perf_type +attr.config&8:ulong/8 pid:int cpu:int group_fd:fd flags:perf/long
reboot magic:uint magic2:uint cmd:reboot arg:ptr
request_key type:str description:str callout_info:str dest_keyring:keyring
setdomainname name&:str(len) len:int
sethostname name&:str(len) len:int
sysinfo info:ptr
syslog type:syslog bufp:ptr len:int
uname buf:ptr
vhangup
";
