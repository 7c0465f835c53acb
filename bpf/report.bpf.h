/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Filling an enter record and sending it: what all that writes one has in common. */
#ifndef RAWTP_REPORT_BPF_H
#define RAWTP_REPORT_BPF_H

/* A name that an argument is: where it lies, if the call has it. */
struct name_argument {
	const void *at;
	bool is_there;
	bool in_kernel;
};

static __always_inline void fill_who(struct enter_record *record, struct task_struct *task)
{
	record->pid = TASK(task, tgid);
	record->tid = TASK(task, pid);
	record->ppid = parent_pid(task);
	record->uid = real_uid(task);
	record->gid = real_gid(task);
	read_comm(record->comm, task);
}

static __always_inline void begin_record(struct enter_state *state, __u32 cpu, struct task_struct *task)
{
	struct enter_record *record = &state->record;

	record->kind = RECORD_ENTER;
	record->ts_ns = bpf_ktime_get_boot_ns();
	record->seq = ++state->seq;
	record->cpu = cpu;
	record->lost = state->lost;
	fill_who(record, task);
	if (cfg_identity)
		fill_identity(record, task);
	state->segments.end = 0;
	state->segments.has_fault = 0;
}

/*
 * A name and what it is relative to: the directory of `dfd`, if that is one; for an absolute name the process's root,
 * which may not be the host's.
 */
static __always_inline void append_path(struct enter_state *state, __u32 slot, bool is_new, struct task_struct *task,
					__s32 dfd, bool has_directory, const struct name_argument *name)
{
	struct segments *segments = &state->segments;
	struct segment *head = begin_segment(segments);
	__u16 name_kind = is_new ? SEGMENT_NEW_FILENAME : SEGMENT_FILENAME;
	__u16 kind = is_new ? SEGMENT_NEW_DIRECTORY : SEGMENT_DIRECTORY;
	struct path directory;

	if (name->is_there && name->in_kernel)
		append_kernel_name(segments, name_kind, name->at);
	else if (name->is_there)
		append_name(segments, name_kind, name->at);
	if (!cfg_paths)
		return;
	if (name->is_there && head->bytes && *(__u8 *)(head + 1) == '/')
		append_walk(segments, slot, kind, task, NULL);
	else if (has_directory && directory_of(task, dfd, &directory))
		append_walk(segments, slot, kind, task, &directory);
}

static __always_inline void append_process(struct enter_state *state, __u32 slot, struct task_struct *task)
{
	if (cfg_exe)
		append_exe(&state->segments, slot, task);
	if (cfg_argv)
		append_argv(&state->segments, task);
	if (cfg_ancestors)
		append_ancestors(&state->segments, task);
}

static __always_inline bool has_room(__u64 bytes)
{
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + bytes + 8 <= cfg_enter_bytes;
}

/* False when there was no room for it, which is counted. */
static __always_inline bool send_record(struct enter_state *state)
{
	__u64 bytes = sizeof(state->record) + within_segments(state->segments.end);

	/* Counted before it can be seen: a reader never holds more records than were submitted. */
	state->submitted++;
	if (has_room(bytes) && !bpf_ringbuf_output(&events, &state->record, bytes, 0)) {
		state->lost = 0;
		return true;
	}
	state->submitted--;
	state->lost_ring++;
	state->lost++;
	return false;
}

#endif
