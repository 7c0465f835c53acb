/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The results of events that functions made. The functions that do the work give them as they return. Work can be in
 * itself, as that of overlayfs is: only the outermost one has the result of the event.
 */
#ifndef RAWTP_FUNCTION_RESULT_HOOK_BPF_H
#define RAWTP_FUNCTION_RESULT_HOOK_BPF_H

/* Whether a program for results has run. */
volatile __u32 result_runs = 0;
/* Whether the function that does the work has begun. */
volatile __u32 work_begins = 0;

/* Returns the decision about the event that a function made of the thread, or NULL. */
static __always_inline __u8 *decision_at_function(struct task_struct *task)
{
	__u8 *decision;

	if (!cfg_by_functions && !is_kernel_thread(task))
		return NULL;
	decision = decision_of(task);
	return decision && DECISION_OF(*decision) == CALL_SENT ? decision : NULL;
}

/* Begins the work of an event. */
static __always_inline int on_begin(void)
{
	__u8 *decision;

	if (!work_begins)
		work_begins = 1;
	decision = decision_at_function(current_task());
	if (decision)
		*decision += WORK_DEPTH(1);
	return 0;
}

/* Sends the result when the work ends, or when a security module refuses it before it begins. */
static __always_inline int on_end(__s32 ret)
{
	struct exit_record record = {.kind = RECORD_EXIT, .abi = ABI_FUNCTION, .ret = ret};
	struct task_struct *task = current_task();
	__u32 cpu = bpf_get_smp_processor_id(), slot = cfg_exit_slots + cpu;
	struct call_state *state;
	__u8 *decision, depth;

	if (!result_runs)
		result_runs = 1;
	decision = decision_at_function(task);
	if (!decision || live.is_closed)
		return 0;
	depth = DEPTH_OF(*decision);
	if (depth > 1) {
		*decision -= WORK_DEPTH(1);
		return 0;
	}
	/* Before the work begins only the security modules are asked. */
	if (!depth && !ret)
		return 0;
	*decision = CALL_UNSEEN;
	state = bpf_map_lookup_elem(&call_states, &slot);
	if (!state)
		return 0;
	record.tid = TASK(task, pid);
	record.ts_ns = bpf_ktime_get_boot_ns();
	/* Otherwise the exit of a system call tells the losses. */
	if (cfg_by_functions)
		record.lost_exits = state->lost_exits_unreported;
	if (bpf_ringbuf_output(&events, &record, sizeof(record), 0))
		count_lost_exit(cpu);
	else if (cfg_by_functions)
		state->lost_exits_unreported = 0;
	return 0;
}

#endif
