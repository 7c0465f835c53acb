// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* match -> filter -> fill -> submit, at the entry of a call; its result, in a record of its own, at the exit. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "task.bpf.h"
#include "syscall.bpf.h"
#include "state.bpf.h"
#include "note.bpf.h"
#include "name.bpf.h"

/* Only so that these types are in the object's BTF, from which the skeleton makes the Rust ones. */
struct enter_state _enter_state = {0};
struct exit_state _exit_state = {0};
enum record_kind _record_kind = 0;
enum segment_kind _segment_kind = 0;
enum name_status _name_status = 0;
enum syscall_shape _syscall_shape = 0;

static __always_inline void fill_who(struct enter_record *record, struct task_struct *task)
{
	record->pid = TASK(task, tgid);
	record->tid = TASK(task, pid);
	record->ppid = parent_pid(task);
	record->uid = real_uid(task);
	record->gid = real_gid(task);
	read_comm(record->comm, task);
}

static __always_inline void fill_what(struct enter_record *record, struct pt_regs *regs, __u64 nr)
{
	record->nr = nr;
	/* The record is the CPU's last one, used again. */
	record->dfd = 0;
	record->flags = 0;
	if (cfg_shapes[nr & (SYSCALLS_MAX - 1)] == SHAPE_AT) {
		record->dfd = ARGUMENT(regs, 1);
		record->flags = ARGUMENT(regs, 3);
	}
}

static __always_inline bool has_room(__u64 bytes)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + bytes + 8 <= cfg_enter_bytes;
}

SEC("raw_tp/sys_enter")
int handle_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 nr = ctx->args[1], bytes;
	struct enter_record *record;
	struct enter_state *state;
	struct task_struct *task;
	struct pt_regs *regs;
	__u32 cpu;

	if (!is_watched(nr))
		return 0;
	task = current_task();
	if (is_compat(task))
		return 0;
	cpu = bpf_get_smp_processor_id();
	state = bpf_map_lookup_elem(&enter_states, &cpu);
	if (!state)
		return 0;
	state->matched++;
	if (is_filtered(task)) {
		state->filtered++;
		return 0;
	}

	regs = typed_regs(task, (struct pt_regs *)ctx->args[0]);
	record = &state->record;
	record->kind = RECORD_ENTER;
	record->ts_ns = bpf_ktime_get_boot_ns();
	record->seq = ++state->seq;
	record->cpu = cpu;
	record->lost = state->lost;
	fill_who(record, task);
	fill_what(record, regs, nr);
	bytes = sizeof(*record) + read_name(&state->name, path_argument(regs, nr));
	/* Counted before it can be seen: a reader never holds more records than were submitted. */
	state->submitted++;
	if (has_room(bytes) && !bpf_ringbuf_output(&events, record, bytes, 0)) {
		state->lost = 0;
		if (cfg_results && state->name.head.status == NAME_FAULT)
			leave_note(record->tid, NOTE_FAULT);
		return 0;
	}
	state->submitted--;
	state->lost_ring++;
	state->lost++;
	if (cfg_results)
		leave_note(record->tid, NOTE_LOST);
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(handle_sys_exit, struct pt_regs *regs, long ret)
{
	__u64 nr = trusted_nr(regs), bytes;
	struct exit_record *record;
	struct exit_state *state;
	struct task_struct *task;
	__u32 cpu, tid;
	__u8 note;

	if (!is_watched(nr))
		return 0;
	task = current_task();
	if (is_compat(task) || is_filtered(task))
		return 0;
	tid = TASK(task, pid);
	note = take_note(tid);
	if (note == NOTE_LOST)
		return 0;
	cpu = bpf_get_smp_processor_id();
	state = bpf_map_lookup_elem(&exit_states, &cpu);
	if (!state)
		return 0;

	record = &state->record;
	record->kind = RECORD_EXIT;
	record->tid = tid;
	record->ts_ns = bpf_ktime_get_boot_ns();
	record->ret = ret;
	record->nr = nr;
	record->lost_exits = state->lost_unreported;
	bytes = sizeof(*record);
	if (note == NOTE_FAULT)
		bytes += read_name(&state->name, path_argument(regs, nr));
	if (!bpf_ringbuf_output(&events, record, bytes, 0)) {
		state->lost_unreported = 0;
	} else {
		state->lost_exits++;
		state->lost_unreported++;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
