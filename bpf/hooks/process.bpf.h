/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Programs that follow processes, at their fork and exit. */
#ifndef RAWTP_PROCESS_HOOK_BPF_H
#define RAWTP_PROCESS_HOOK_BPF_H

/* Runs before the child does, so that none of its calls is missed. */
SEC("raw_tp/sched_process_fork")
int handle_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	__u32 from = BPF_CORE_READ(parent, tgid), pid = BPF_CORE_READ(child, tgid);
	__u32 cpu = bpf_get_smp_processor_id();
	struct counters *counted;
	__u8 is_in = 1;

	if (from == pid || !bpf_map_lookup_elem(&followed, &from))
		return 0;
	if (bpf_map_update_elem(&followed, &pid, &is_in, BPF_ANY)) {
		counted = bpf_map_lookup_elem(&counters, &cpu);
		if (counted)
			counted->unfollowed++;
	}
	return 0;
}

/* Forgets a process when its last thread ends, because its pid is then free for others. */
SEC("raw_tp/sched_process_exit")
int handle_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 pid = BPF_CORE_READ(task, tgid);

	if (!BPF_CORE_READ(task, signal, live.counter))
		bpf_map_delete_elem(&followed, &pid);
	return 0;
}

#endif
