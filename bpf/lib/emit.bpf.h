/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Fills and sends enter records, for all programs that write them. */
#ifndef RAWTP_EMIT_BPF_H
#define RAWTP_EMIT_BPF_H

static __always_inline void begin_record(struct call_state *state, struct counters *counted, __u32 cpu,
					 struct task_struct *task)
{
	struct task_struct *pointers = untrusted(task, cfg_task_type);
	struct enter_record *record = &state->record;

	record->kind = RECORD_ENTER;
	record->ts_ns = bpf_ktime_get_boot_ns();
	record->seq = ++counted->seq;
	record->cpu = cpu;
	record->lost = counted->lost;
	record->dfd = state->operands.dfd;
	record->flags = state->operands.flags;
	fill_ids(record, task, pointers);
	if (cfg_identity || cfg_exe || cfg_argv) {
		struct task_struct *leader = TASK(pointers, group_leader);

		record->start_ns = TASK(leader, start_boottime);
		if (cfg_identity)
			fill_identity(record, task, pointers, leader);
	}
	if (cfg_exe || cfg_argv) {
		fill_exec_source(&state->exec, task, pointers);
		state->exec.is_sent = is_exec_sent(record, &state->exec);
	}
	if (cfg_places) {
		record->mnt_ns = mnt_ns_of(task, pointers);
		report_mounts(record->mnt_ns);
	}
	state->segments.end = 0;
	state->segments.has_fault = 0;
	state->segments.is_wanted = !cfg_has_paths;
}

/*
 * Appends a name and the directory it is relative to: that of `dfd`, if it is one, or for an absolute name the
 * process's root, which may not be the host's. It is global, so the verifier checks it once for both names.
 */
__noinline int append_path(__u32 slot, __u32 is_new, __u32 in_kernel)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	__u16 name_kind = is_new ? SEGMENT_NEW_FILENAME : SEGMENT_FILENAME;
	__u16 kind = is_new ? SEGMENT_NEW_DIRECTORY : SEGMENT_DIRECTORY;
	struct segments *segments;
	struct segment *head;
	struct path directory = {};
	const void *name;
	__u32 name_at = NOWHERE, walk_at;
	bool has_name, has_dfd, is_absolute;
	__s32 dfd;

	if (!state)
		return 0;
	name = (const void *)(is_new ? state->operands.new_name : state->operands.name);
	has_name = is_new ? state->operands.has_new_name : state->operands.has_name;
	dfd = is_new ? state->operands.new_dfd : state->operands.dfd;
	has_dfd = !state->operands.has_no_dfd;
	segments = &state->segments;
	head = begin_segment(segments);
	if (has_name) {
		/* Otherwise it is no path, and not even an absolute one is compared with any. */
		if (has_dfd)
			name_at = segments->end;
		if (in_kernel)
			append_kernel_name(segments, name_kind, name);
		else
			append_name(segments, name_kind, name);
	}
	if (!cfg_paths)
		return 0;
	walk_at = segments->end;
	is_absolute = has_dfd && has_name && head->bytes && *(__u8 *)(head + 1) == '/';
	if (is_absolute) {
		walk_from_root(slot);
		append_walk(slot, kind);
	} else if (has_dfd && operand_path(&state->operands, dfd, &directory)) {
		walk_from(slot, directory.dentry, mount_of(directory.mnt));
		/*
		 * The directory is not below the process's root. Without the root's position user space could not tell
		 * where `..` stops.
		 */
		if (!append_walk(slot, kind) && has_name) {
			walk_from_root(slot);
			append_walk(slot, SEGMENT_ROOT);
		}
	}
	/*
	 * A request's relative name is resolved when the request runs, which a process can put off and change its
	 * directory meanwhile. So it could be any path.
	 */
	if (in_kernel && !is_absolute)
		segments->is_wanted = 1;
	/* A file with more names than one can be wanted by another of them. */
	if (cfg_has_paths && !has_name && BPF_CORE_READ(directory.dentry, d_inode, i_nlink) > 1)
		segments->is_wanted = 1;
	if (cfg_has_paths && !segments->is_wanted)
		segments->is_wanted = may_be_wanted(slot, name_at, walk_at < segments->end ? walk_at : NOWHERE);
	return 0;
}

static __always_inline void append_range(struct segments *segments, const struct range *range)
{
	struct segment *head = begin_segment(segments);

	*(struct range *)(head + 1) = *range;
	end_segment(segments, head, SEGMENT_RANGE, 0, sizeof(*range));
}

/* Appends all segments of the record. The operands are in the state. Returns false when no path filter matches. */
static __always_inline bool append_segments(struct call_state *state, struct counters *counted, __u32 slot,
					    bool in_kernel, struct task_struct *task)
{
	if (cfg_paths || cfg_exe || cfg_cwd)
		begin_walks(slot, task);
	append_path(slot, false, in_kernel);
	if (state->operands.has_new_name)
		append_path(slot, true, in_kernel);
	if (cfg_has_paths && !state->segments.is_wanted) {
		counted->filtered++;
		counted->seq--;
		return false;
	}
	if (state->operands.has_range)
		append_range(&state->segments, &state->operands.range);
	if (cfg_files && state->operands.has_length)
		append_length(&state->segments, state->operands.length);
	/* A call by a descriptor alone says whose content goes. */
	if (cfg_files && !cfg_by_functions && !state->operands.has_name && !state->operands.has_no_dfd)
		append_file_of(slot);
	if (cfg_exe && !state->exec.is_sent)
		append_exe(&state->segments, slot, &state->exec, task);
	if (cfg_argv && !state->exec.is_sent)
		append_argv(&state->segments, &state->exec);
	if (cfg_ancestors)
		append_ancestors(&state->segments, task);
	if (cfg_cwd)
		append_cwd(&state->segments, slot, task);
	return true;
}

/*
 * Asking how full the ring is costs as much as reading a name. So a program that asks takes a share of the free bytes,
 * and asks again when that is used up. The shares of all CPUs together are a small part of what is reserved for exits.
 */
#define RING_BUDGETS 64

static __always_inline bool has_room(struct call_state *state, __u64 bytes)
{
	__u64 used;

	bytes += 8; /* a record's header */
	if (bytes <= state->ring_budget) {
		state->ring_budget -= bytes;
		return true;
	}
	used = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + bytes;
	if (used > cfg_enter_bytes)
		return false;
	state->ring_budget = (cfg_enter_bytes - used) / (RING_BUDGETS * cfg_cpus);
	return true;
}

#define LOST_MAX 0xffffffff

/* Sends the record. Returns false, and counts it, when there was no room. */
static __always_inline bool send_record(struct call_state *state, struct counters *counted)
{
	__u64 bytes = sizeof(state->record) + within_segments(state->segments.end);

	/* Counted before it can be seen, so that a reader never holds more records than were submitted. */
	counted->submitted++;
	if (has_room(state, bytes) && !bpf_ringbuf_output(&events, &state->record, bytes, 0)) {
		counted->lost = 0;
		if ((cfg_exe || cfg_argv) && !state->exec.is_sent)
			set_exec_sent(&state->record, &state->exec);
		return true;
	}
	counted->submitted--;
	counted->lost_ring++;
	if (counted->lost != LOST_MAX)
		counted->lost++;
	return false;
}

#endif
