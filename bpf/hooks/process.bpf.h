/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Programs that follow processes, at their fork and exit, and threads, where an exec changes their id. */
#ifndef RAWTP_PROCESS_HOOK_BPF_H
#define RAWTP_PROCESS_HOOK_BPF_H

/* Runs before the child does, so that none of its calls is missed. */
SEC("raw_tp/sched_process_fork")
int handle_fork(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct counters *counted;

	if (follow_child((void *)ctx->args[0], (void *)ctx->args[1]))
		return 0;
	counted = bpf_map_lookup_elem(&counters, &cpu);
	if (counted)
		counted->unfollowed++;
	return 0;
}

SEC("raw_tp/sched_process_exit")
int handle_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	forget_process((void *)ctx->args[0]);
	return 0;
}

/* Runs in an exec that succeeded. Its exit goes by the id that the thread has now. */
SEC("raw_tp/sched_process_exec")
int handle_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 began = ctx->args[1], tid = BPF_CORE_READ(task, pid);
	__u8 *from, *to;

	if (tid == began)
		return 0;
	from = decision_at(began);
	to = decision_at(tid);
	if (!from || !to)
		return 0;
	*to = *from;
	*from = CALL_UNSEEN;
	if (*to == CALL_UNSEEN || *to == CALL_LEFT_OUT)
		return 0;
	if (bpf_map_update_elem(&exec_threads, &tid, &began, BPF_ANY)) {
		*to = CALL_LEFT_OUT;
		count_lost_exit(bpf_get_smp_processor_id());
	}
	return 0;
}

#endif
