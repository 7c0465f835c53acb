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
#include "walk.bpf.h"
#include "identity.bpf.h"

/* Only so that these types are in the object's BTF, from which the skeleton makes the Rust ones. */
struct enter_state _enter_state = {0};
struct exit_state _exit_state = {0};
struct segment _segment = {0};
struct directory _directory = {0};
struct call _call = {0};
enum record_kind _record_kind = 0;
enum segment_kind _segment_kind = 0;
enum name_status _name_status = 0;
enum walk_status _walk_status = 0;
enum abi _abi = 0;
enum call_condition _call_condition = 0;

static __always_inline void fill_who(struct enter_record *record, struct task_struct *task)
{
	record->pid = TASK(task, tgid);
	record->tid = TASK(task, pid);
	record->ppid = parent_pid(task);
	record->uid = real_uid(task);
	record->gid = real_gid(task);
	read_comm(record->comm, task);
}

/* What the call is to be done to, as it was passed. Gives the flags, and whether the call is an event at all. */
static __always_inline bool is_event(const volatile struct call *call, const struct arguments *arguments, __u32 *flags)
{
	*flags = arguments->at[call->flags & 7];
	switch (call->condition) {
	case CALL_ALWAYS:
		return true;
	case CALL_O_TRUNC:
		return *flags & O_TRUNC;
	case CALL_HOW_O_TRUNC:
		*flags = how_flags((const void *)arguments->at[call->flags & 7]);
		return *flags & O_TRUNC;
	default:
		return false;
	}
}

/* A name and what it is relative to; for an absolute one that is the process's root, which may not be the host's. */
static __always_inline void append_path(struct segments *segments, __u32 cpu, bool is_new, struct task_struct *task,
					__s32 dfd, bool named, const void *user)
{
	struct segment *name = begin_segment(segments);
	__u16 kind = is_new ? SEGMENT_NEW_DIRECTORY : SEGMENT_DIRECTORY;
	struct path directory;

	if (named)
		append_name(segments, is_new ? SEGMENT_NEW_FILENAME : SEGMENT_FILENAME, user);
	if (!cfg_paths)
		return;
	if (named && name->bytes && *(__u8 *)(name + 1) == '/')
		append_walk(segments, cpu, kind, task, NULL);
	else if (directory_of(task, dfd, &directory))
		append_walk(segments, cpu, kind, task, &directory);
}

static __always_inline bool has_room(__u64 bytes)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + bytes + 8 <= cfg_enter_bytes;
}

SEC("raw_tp/sys_enter")
int handle_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 nr = ctx->args[1], bytes;
	const volatile struct call *call;
	struct arguments *arguments;
	struct segments *segments;
	struct enter_record *record;
	struct enter_state *state;
	struct task_struct *task;
	__u32 cpu, abi, flags;

	if (!is_watched(nr))
		return 0;
	task = current_task();
	abi = abi_of(task, nr);
	call = call_of(abi, nr);
	if (call->condition == CALL_NEVER)
		return 0;
	cpu = bpf_get_smp_processor_id();
	state = bpf_map_lookup_elem(&enter_states, &cpu);
	if (!state)
		return 0;
	arguments = &state->arguments;
	record = &state->record;
	segments = &state->segments;
	record->abi = abi;
	read_arguments(arguments, typed_regs(task, (struct pt_regs *)ctx->args[0]), abi);
	if (!is_event(call, arguments, &flags))
		return 0;
	state->matched++;
	if (is_filtered(task)) {
		state->filtered++;
		return 0;
	}

	record->kind = RECORD_ENTER;
	record->ts_ns = bpf_ktime_get_boot_ns();
	record->seq = ++state->seq;
	record->cpu = cpu;
	record->lost = state->lost;
	record->nr = nr & ~X32_BIT;
	record->dfd = call->dfd ? arguments->at[call->dfd & 7] : AT_FDCWD;
	record->flags = flags;
	fill_who(record, task);
	if (cfg_identity)
		fill_identity(record, task);
	segments->end = 0;
	segments->has_fault = 0;
	append_path(segments, cpu, false, task, record->dfd, call->path, (const void *)arguments->at[call->path & 7]);
	if (call->new_path)
		append_path(segments, cpu, true, task,
			    call->new_dfd ? (__s32)arguments->at[call->new_dfd & 7] : AT_FDCWD, true,
			    (const void *)arguments->at[call->new_path & 7]);
	if (cfg_exe)
		append_exe(segments, cpu, task);
	if (cfg_argv)
		append_argv(segments, task);
	bytes = sizeof(*record) + within_segments(segments->end);

	/* Counted before it can be seen: a reader never holds more records than were submitted. */
	state->submitted++;
	if (has_room(bytes) && !bpf_ringbuf_output(&events, record, bytes, 0)) {
		state->lost = 0;
		if (cfg_results && segments->has_fault)
			leave_note(record->tid, NOTE_FAULT);
		else if (cfg_results && call->condition == CALL_HOW_O_TRUNC)
			leave_note(record->tid, NOTE_EVENT);
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
	const volatile struct call *call;
	struct arguments *arguments;
	struct segments *segments;
	struct exit_record *record;
	struct exit_state *state;
	struct task_struct *task;
	__u32 cpu, abi, tid, flags;
	__u8 note;

	if (!is_watched(nr))
		return 0;
	task = current_task();
	abi = abi_of(task, nr);
	call = call_of(abi, nr);
	if (call->condition == CALL_NEVER || is_filtered(task))
		return 0;
	tid = TASK(task, pid);
	note = take_note(tid);
	if (note == NOTE_LOST)
		return 0;
	cpu = bpf_get_smp_processor_id();
	state = bpf_map_lookup_elem(&exit_states, &cpu);
	if (!state)
		return 0;
	arguments = &state->arguments;
	segments = &state->segments;
	if (call->condition != CALL_ALWAYS || note == NOTE_FAULT) {
		/* The registers are still those of the entry. What a structure held may have changed since. */
		read_arguments(arguments, typed_regs(task, regs), abi);
		if (call->condition == CALL_HOW_O_TRUNC ? !note : !is_event(call, arguments, &flags))
			return 0;
	}

	record = &state->record;
	record->kind = RECORD_EXIT;
	record->tid = tid;
	record->ts_ns = bpf_ktime_get_boot_ns();
	record->ret = ret;
	record->nr = nr & ~X32_BIT;
	record->abi = abi;
	record->lost_exits = state->lost_unreported;
	bytes = sizeof(*record);
	if (note == NOTE_FAULT) {
		/* The call itself has brought the names' pages in. */
		segments->end = 0;
		if (call->path)
			append_name(segments, SEGMENT_FILENAME, (const void *)arguments->at[call->path & 7]);
		if (call->new_path)
			append_name(segments, SEGMENT_NEW_FILENAME, (const void *)arguments->at[call->new_path & 7]);
		bytes += within_segments(segments->end);
	}
	if (!bpf_ringbuf_output(&events, record, bytes, 0)) {
		state->lost_unreported = 0;
	} else {
		state->lost_exits++;
		state->lost_unreported++;
	}
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
