/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Programs that follow processes, at their fork and exit, and forget the exec of a thread that ends. */
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

/*
 * Runs in a thread that ends. An exec ends before, but a debugger can have given it a number that is not watched, and
 * another thread may have the address next.
 */
SEC("raw_tp/sched_process_exit")
int handle_thread_exit(struct bpf_raw_tracepoint_args *ctx)
{
	end_exec((void *)ctx->args[0]);
	return 0;
}

#endif
