/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs that report what processes run, at their fork and exec. A program can read the arguments of its own task
 * only, and a process may have ended when its child deletes something. So user space learns both beforehand.
 */
#ifndef RAWTP_EXEC_HOOK_BPF_H
#define RAWTP_EXEC_HOOK_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_state);
} exec_states SEC(".maps");

/* Forks and execs are rare next to what else these programs could read faster, so they read like any kernel's. */
static __always_inline void read_image(struct image *image, struct task_struct *task)
{
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	image->start_ns = BPF_CORE_READ(leader, start_boottime);
	image->exec_id = BPF_CORE_READ(task, self_exec_id);
	image->pid = BPF_CORE_READ(leader, tgid);
	image->reserved = 0;
	BPF_CORE_READ_INTO((char(*)[COMM_BYTES])image->comm, leader, comm);
}

/* Sends the record, or counts it. Half of the ring stays for events. */
static __always_inline void send_image(void *record, __u64 bytes)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct counters *counted;

	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + bytes + 8 <= cfg_enter_bytes / 2 &&
	    !bpf_ringbuf_output(&events, record, bytes, 0))
		return;
	counted = bpf_map_lookup_elem(&counters, &cpu);
	if (counted)
		__sync_fetch_and_add(&counted->lost_processes, 1);
}

/* Runs in the process that forks, before the child does. */
SEC("raw_tp/sched_process_fork")
int report_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	struct image_record record = {};

	if (live.is_closed || BPF_CORE_READ(parent, tgid) == BPF_CORE_READ(child, tgid))
		return 0;
	if (cfg_is_limited && !is_owned(current_task()))
		return 0;
	record.kind = RECORD_FORK;
	record.ts_ns = bpf_ktime_get_boot_ns();
	read_image(&record.image, child);
	read_image(&record.parent, parent);
	send_image(&record, sizeof(record));
	return 0;
}

/* Runs in the process that has executed a program, before that begins, so that its arguments are as they were given. */
SEC("raw_tp/sched_process_exec")
int report_exec(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 cpu = bpf_get_smp_processor_id();
	struct exec_state *state = bpf_map_lookup_elem(&exec_states, &cpu);
	__u64 start, bytes;

	if (!state || live.is_closed || (cfg_is_limited && !is_owned(current_task())))
		return 0;
	state->record.kind = RECORD_EXEC;
	state->record.ts_ns = bpf_ktime_get_boot_ns();
	read_image(&state->record.image, task);
	read_image(&state->record.parent, BPF_CORE_READ(task, real_parent));
	start = BPF_CORE_READ(task, mm, arg_start);
	bytes = BPF_CORE_READ(task, mm, arg_end) - start;
	state->head.kind = SEGMENT_ARGV;
	state->head.status = NAME_OK;
	if (bytes > ARGV_BYTES - 1) {
		bytes = ARGV_BYTES - 1;
		state->head.status = NAME_TRUNCATED;
	}
	barrier_var(bytes);
	bytes &= ARGV_BYTES - 1;
	if (bpf_probe_read_user(state->argv, bytes, (const void *)start)) {
		bytes = 0;
		state->head.status = NAME_FAULT;
	}
	state->head.bytes = bytes;
	bytes = (bytes + SEGMENT_ALIGN - 1) & ~(__u64)(SEGMENT_ALIGN - 1);
	send_image(state, sizeof(state->record) + sizeof(state->head) + bytes);
	return 0;
}

#endif
