/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel's types, as far as the programs read them. They are kept by hand. CO-RE relocates every access against the
 * running kernel's BTF, so only the names and kinds of the members matter, not their offsets.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef unsigned char __u8;
typedef signed char __s8;
typedef unsigned short __u16;
typedef short __s16;
typedef unsigned int __u32;
typedef int __s32;
typedef unsigned long long __u64;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;

enum {
	false = 0,
	true = 1,
};

/* Numbers of the kernel's BPF interface (include/uapi/linux/bpf.h). */
enum bpf_map_type {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_CGROUP_ARRAY = 8,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
	BPF_EXIST = 2,
	BPF_F_MMAPABLE = 1 << 10,
	BPF_RB_AVAIL_DATA = 0,
};

/* Only for asking the running kernel whether it has these helpers (bpf_core_enum_value_exists). */
enum bpf_func_id {
	BPF_FUNC_get_current_task_btf = 158,
	BPF_FUNC_task_pt_regs = 175,
};

struct bpf_raw_tracepoint_args {
	__u64 args[0];
};

struct bpf_pidns_info {
	__u32 pid;
	__u32 tgid;
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

#if defined(__TARGET_ARCH_x86)
struct pt_regs {
	unsigned long r10;
	unsigned long r9;
	unsigned long r8;
	unsigned long dx;
	unsigned long si;
	unsigned long di;
	unsigned long bp;
	unsigned long bx;
	unsigned long ax;
	unsigned long cx;
	unsigned long orig_ax;
};

struct thread_info {
	unsigned int status;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_pt_regs {
	__u64 regs[31];
};

struct pt_regs {
	__u64 orig_x0;
	int syscallno;
};

struct thread_info {
	unsigned long flags;
};
#else
#error "rawtp knows the registers of x86_64 and arm64 only"
#endif

struct trace_event_raw_sys_enter {
	long id;
	unsigned long args[6];
};

struct trace_event_raw_sys_exit {
	long id;
	long ret;
};

typedef struct {
	unsigned int val;
} kuid_t;

typedef struct {
	unsigned int val;
} kgid_t;

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kuid_t fsuid;
	kgid_t fsgid;
};

struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	struct ns_common ns;
};

struct mount;

struct mnt_namespace {
	struct ns_common ns;
	struct mount *root;
	__u64 event;
};

struct nsproxy {
	struct mnt_namespace *mnt_ns;
};

struct upid {
	int nr;
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct qstr {
	union {
		struct {
			__u32 hash;
			__u32 len;
		};
	};
	const unsigned char *name;
};

struct hlist_bl_node {
	struct hlist_bl_node *next;
	struct hlist_bl_node **pprev;
};

struct seqcount {
	unsigned int sequence;
};

typedef struct seqcount seqcount_t;

struct seqcount_spinlock {
	seqcount_t seqcount;
};

typedef struct seqcount_spinlock seqcount_spinlock_t;

struct timespec64 {
	__s64 tv_sec;
	long tv_nsec;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	__u16 i_mode;
	kuid_t i_uid;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__s64 i_size;
	__u32 i_generation;
};

/* The modification time, until Linux 6.5, until 6.10, and since. */
struct inode___i_mtime {
	struct timespec64 i_mtime;
};

struct inode___private_mtime {
	struct timespec64 __i_mtime;
};

struct inode___mtime_sec {
	__s64 i_mtime_sec;
	__u32 i_mtime_nsec;
};

struct iattr {
	unsigned int ia_valid;
	__s64 ia_size;
};

struct dentry {
	unsigned int d_flags;
	seqcount_spinlock_t d_seq;
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup_root {
	unsigned int subsys_mask;
	int hierarchy_id;
};

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
};

enum cgroup_subsys_id {
	memory_cgrp_id,
	pids_cgrp_id,
	devices_cgrp_id,
	cpu_cgrp_id,
};

#define CGROUP_SUBSYS_MAX 16

struct css_set {
	struct cgroup *dfl_cgrp;
	struct cgroup_subsys_state *subsys[CGROUP_SUBSYS_MAX];
};

struct fs_struct {
	struct path root;
	struct path pwd;
};

struct file {
	unsigned int f_mode;
	struct path f_path;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct mm_struct {
	struct file *exe_file;
	unsigned long arg_start;
	unsigned long arg_end;
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live;
};

typedef struct {
	unsigned long sig[1];
} sigset_t;

struct sigpending {
	sigset_t signal;
};

struct task_struct {
	struct thread_info thread_info;
	struct mm_struct *mm;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct nsproxy *nsproxy;
	__u64 start_boottime;
	__u64 parent_exec_id;
	__u64 self_exec_id;
	kuid_t loginuid;
	unsigned int sessionid;
	int pid;
	int tgid;
	struct task_struct *real_parent;
	const struct cred *cred;
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct sigpending pending;
	struct css_set *cgroups;
	unsigned int flags;
	void *stack;
	void *worker_private;
	char comm[16];
};

struct filename {
	const char *name;
};

/* Since Linux 7.0 a pointer with marks in its low bits (include/linux/fs.h). */
struct delayed_filename {
	struct filename *__incomplete_filename;
};

/* The beginning of io_uring's data of a request. */
struct io_unlink {
	int dfd;
	int flags;
	struct filename *filename;
};

struct io_rename {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct io_mkdir {
	int dfd;
	struct filename *filename;
};

struct io_link {
	int old_dfd;
	int new_dfd;
	struct filename *oldpath;
	struct filename *newpath;
	int flags;
};

struct open_how {
	__u64 flags;
};

struct io_open {
	int dfd;
	struct filename *filename;
	struct open_how how;
};

struct io_sync {
	struct file *file;
	long long len;
	long long off;
	int mode;
};

struct io_unlink___delayed {
	struct delayed_filename filename;
};

struct io_rename___delayed {
	struct delayed_filename oldpath;
	struct delayed_filename newpath;
};

struct io_mkdir___delayed {
	struct delayed_filename filename;
};

struct io_link___delayed {
	struct delayed_filename oldpath;
	struct delayed_filename newpath;
};

struct io_open___delayed {
	struct delayed_filename filename;
};

struct io_cqe {
	int fd;
};

struct io_wq_work {
	struct {
		void *next;
	} list;
};

/* A thread of io_uring's that runs requests (io_uring/io-wq.c). */
struct io_worker {
	struct io_wq_work *cur_work;
};

struct io_uring_cqe {
	__s32 res;
};

struct io_ring_ctx {
	unsigned int flags;
};

struct io_kiocb {
	__u8 opcode;
	unsigned int flags;
	struct io_cqe cqe;
	struct io_wq_work work;
};

/*
 * The arguments of the tracepoints of cgroups and io_uring, as the kernel's own types declare them. The first is always
 * the tracepoint's data. The programs only look for the variants and never call them.
 */
typedef void (*btf_trace_cgroup_mkdir)(void *, struct cgroup *, const char *);
typedef void (*btf_trace_cgroup_notify_populated)(void *, struct cgroup *, const char *, int);
typedef void (*btf_trace_io_uring_submit_req)(void *, struct io_kiocb *);
typedef void (*btf_trace_io_uring_submit_sqe___req)(void *, struct io_kiocb *, bool);
typedef void (*btf_trace_io_uring_submit_sqe___ctx_req)(void *, void *, void *, __u8, __u64, __u32, bool, bool);
typedef void (*btf_trace_io_uring_submit_sqe___ctx_req_late)(void *, void *, void *, __u64, __u8, __u32, bool, bool);
typedef void (*btf_trace_io_uring_fail_link___req)(void *, struct io_kiocb *, struct io_kiocb *);
typedef void (*btf_trace_io_uring_complete___ctx)(void *, void *, __u64, int, unsigned int);
typedef void (*btf_trace_io_uring_complete___ctx_req)(void *, void *, void *, __u64, int, unsigned int, __u64, __u64);
typedef void (*btf_trace_io_uring_complete___cqe)(void *, struct io_ring_ctx *, void *, struct io_uring_cqe *);

#pragma clang attribute pop

#endif
