/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Keeps the set of followed processes: a fork adds a child, and the end of its last thread takes a process out. */
#ifndef RAWTP_FOLLOW_BPF_H
#define RAWTP_FOLLOW_BPF_H

/* Follows a followed process's child. Returns false when there is no room for it. */
static __always_inline bool follow_child(struct task_struct *parent, struct task_struct *child)
{
	__u32 from = BPF_CORE_READ(parent, tgid), pid = BPF_CORE_READ(child, tgid);
	__u8 is_in = 1;

	if (from == pid || !bpf_map_lookup_elem(&followed, &from))
		return true;
	return !bpf_map_update_elem(&followed, &pid, &is_in, BPF_ANY);
}

/* Forgets a process when its last thread ends, because its pid is then free for others. */
static __always_inline void forget_process(struct task_struct *task)
{
	__u32 pid = BPF_CORE_READ(task, tgid);

	if (!BPF_CORE_READ(task, signal, live.counter))
		bpf_map_delete_elem(&followed, &pid);
}

#endif
