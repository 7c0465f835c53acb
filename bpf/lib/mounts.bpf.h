/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Reports the mount namespaces in which events happen. User space needs a namespace's mounts to know what a name leads
 * to, and can read them only while a process is in it.
 */
#ifndef RAWTP_MOUNTS_BPF_H
#define RAWTP_MOUNTS_BPF_H

/* A direct-mapped cache of the namespaces that were reported. A collision only reports them again. */
#define MOUNTS_SEEN 256

struct mounts_seen {
	__u32 mnt_ns;
	__u32 reserved;
	__u64 changes; /* the kernel's count of changes in the namespace */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MOUNTS_SEEN);
	__type(key, __u32);
	__type(value, struct mounts_seen);
} mounts_seen SEC(".maps");

/*
 * Sends a record when the current task's namespace is not known yet or its mounts have changed. It is global, so that
 * its record takes no room on the stack of the programs that walk.
 */
__noinline int report_mounts(__u32 mnt_ns)
{
	__u32 at = mnt_ns & (MOUNTS_SEEN - 1);
	struct mounts_seen *seen = bpf_map_lookup_elem(&mounts_seen, &at);
	struct mounts_record record = {.kind = RECORD_MOUNTS, .mnt_ns = mnt_ns};
	struct task_struct *task = current_task();
	struct task_struct *pointers = untrusted(task, cfg_task_type);
	struct task_struct *parent;
	__u64 changes;

	changes = HAS_TYPED_TASK ? pointers->nsproxy->mnt_ns->event : BPF_CORE_READ(task, nsproxy, mnt_ns, event);
	if (!seen || (seen->mnt_ns == mnt_ns && seen->changes == changes))
		return 0;
	parent = TASK(pointers, real_parent);
	record.pid = TASK(task, tgid);
	record.ppid = TASK(parent, tgid);
	/* Whoever mounts in a loop leaves half of the ring to events. What finds no room is reported again. */
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + sizeof(record) + 8 > cfg_enter_bytes / 2 ||
	    bpf_ringbuf_output(&events, &record, sizeof(record), 0))
		return 0;
	seen->mnt_ns = mnt_ns;
	seen->changes = changes;
	return 0;
}

#endif
