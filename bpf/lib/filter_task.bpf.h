/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The filters by process. The verifier removes those that are off. */
#ifndef RAWTP_FILTER_TASK_BPF_H
#define RAWTP_FILTER_TASK_BPF_H

/* The values of each filter, any of which may match, and their number; 0 lets everything through. */
const volatile __u32 cfg_pids[FILTER_MAX] = {};
const volatile __u32 cfg_pid_count = 0;
const volatile __u32 cfg_uids[FILTER_MAX] = {};
const volatile __u32 cfg_uid_count = 0;
const volatile struct comm_filter cfg_comms[FILTER_MAX] = {};
const volatile __u32 cfg_comm_count = 0;
/* Whether only what the user cfg_owner does may be told. */
const volatile bool cfg_is_limited = false;
const volatile __u32 cfg_owner = 0;
const volatile __u32 cfg_cgroup_count = 0;
/* Whether the filter by pid uses `followed` instead of cfg_pids. */
const volatile bool cfg_follow = false;
/* The process that is left out, by its pid in its own pid namespace; 0 for none. */
const volatile __u32 cfg_self = 0;
/* The device and inode number of that namespace, unless it is the initial one. */
const volatile __u64 cfg_self_dev = 0;
const volatile __u64 cfg_self_ino = 0;

/* The process that waits to execute the command of rawtp.run(), and is left out until it does; 0 for none. */
const volatile __u32 cfg_launcher = 0;

/* The chosen processes and their descendants since. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FOLLOWED_MAX);
	__type(key, __u32);
	__type(value, __u8);
} followed SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, FILTER_MAX);
	__type(key, __u32);
	__type(value, __u32);
} cgroups SEC(".maps");

static __always_inline bool has_pid(struct task_struct *task)
{
	__u32 pid = TASK(task, tgid);

	if (cfg_follow)
		return bpf_map_lookup_elem(&followed, &pid);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FILTER_MAX && i < cfg_pid_count; i++)
		if (cfg_pids[i] == pid)
			return true;
	return false;
}

/* The users of a task: who started it, whose rights it has, and whose rights decide about files. */
struct users {
	__u32 uid;
	__u32 euid;
	__u32 fsuid;
};

static __always_inline struct users users_of(struct task_struct *task)
{
	const struct cred *cred = TASK(task, cred);
	struct users users = {};

	users.uid = TASK(cred, uid.val);
	users.euid = TASK(cred, euid.val);
	users.fsuid = TASK(cred, fsuid.val);
	return users;
}

static __always_inline bool has_uid(struct task_struct *task)
{
	struct users users = users_of(task);

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FILTER_MAX && i < cfg_uid_count; i++)
		if (cfg_uids[i] == users.uid || cfg_uids[i] == users.euid || cfg_uids[i] == users.fsuid)
			return true;
	return false;
}

/*
 * Whether the task acts for its owner alone. A set-user-id program, or a daemon that borrows the user's rights for a
 * moment, knows what the user may not.
 */
static __always_inline bool is_owned(struct task_struct *task)
{
	struct users users = users_of(task);

	return users.uid == cfg_owner && users.euid == cfg_owner && users.fsuid == cfg_owner;
}

static __always_inline bool has_comm(struct task_struct *task)
{
	__u64 comm[COMM_BYTES / 8];

	read_comm((__u8 *)comm, task);
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FILTER_MAX && i < cfg_comm_count; i++) {
		const volatile struct comm_filter *filter = &cfg_comms[i];

		if (!((comm[0] ^ filter->words[0]) & filter->masks[0]) &&
		    !((comm[1] ^ filter->words[1]) & filter->masks[1]))
			return true;
	}
	return false;
}

/* Whether the task is in one of the cgroups, or below it. */
static __always_inline bool has_cgroup(void)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < FILTER_MAX && i < cfg_cgroup_count; i++)
		if (bpf_current_task_under_cgroup(&cgroups, i) == 1)
			return true;
	return false;
}

static __always_inline bool is_self(struct task_struct *task)
{
	struct bpf_pidns_info info = {};

	if (!cfg_self_ino)
		return TASK(task, tgid) == cfg_self;
	return !bpf_get_ns_current_pid_tgid(cfg_self_dev, cfg_self_ino, &info, sizeof(info)) && info.tgid == cfg_self;
}

/*
 * Whether the task is the launcher of a command, before it executes that. Each exec adds one to self_exec_id, and a
 * fork copies the parent's to parent_exec_id. The launcher is an interpreter, which is one exec after the fork. The
 * command is the next.
 */
static __always_inline bool is_launching(struct task_struct *task)
{
	return cfg_launcher && TASK(task, tgid) == cfg_launcher &&
	       TASK(task, self_exec_id) - TASK(task, parent_exec_id) < 2;
}

/*
 * Whether a filter leaves the task out. The answer is the same at a call's entry and exit, because nothing that a call
 * does to its own thread changes it.
 */
static __always_inline bool is_filtered(struct task_struct *task)
{
	return (cfg_is_limited && !is_owned(task)) || (cfg_pid_count && !has_pid(task)) ||
	       (cfg_uid_count && !has_uid(task)) || (cfg_comm_count && !has_comm(task)) ||
	       (cfg_cgroup_count && !has_cgroup()) || (cfg_self && is_self(task));
}

#endif
