/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Events of the kernel's own threads, which make no calls: nfsd and ksmbd serve others so. The functions that the
 * kernel calls for the security modules about inodes make them, whatever hooks the calls have.
 */
#ifndef RAWTP_KERNEL_THREAD_HOOK_BPF_H
#define RAWTP_KERNEL_THREAD_HOOK_BPF_H

#define ATTR_SIZE (1 << 3) /* include/linux/fs.h */

/* The calls that they are reported as, by their work, or NO_NR. */
const volatile __u32 cfg_kernel_nrs[WORKS_MAX] = {NO_NR, NO_NR, NO_NR, NO_NR};
/* The position of the dentry among the arguments of security_inode_setattr: 0 until Linux 6.0, then 1. */
const volatile __u32 cfg_setattr_dentry = 0;

/* Appends the place of a file whose mount is not known, and compares it with the filter by path. */
static __always_inline void append_place_of(struct call_state *state, __u32 slot, __u32 kind, struct dentry *dentry)
{
	__u32 at = state->segments.end;

	walk_from(slot, dentry, NULL);
	append_place(slot, kind);
	if (cfg_has_paths && !state->segments.is_wanted)
		state->segments.is_wanted =
			BPF_CORE_READ(dentry, d_inode, i_nlink) > 1 || may_be_wanted(slot, NOWHERE, at);
}

/*
 * Fills the record of a kernel thread. It has no executable, arguments or names of its own. Returns false when it is
 * filtered.
 */
static __always_inline bool fill_kernel(struct call_state *state, struct counters *counted, __u32 cpu, __u32 slot,
					struct task_struct *task, const struct work_arguments *arguments)
{
	struct segments *segments = &state->segments;

	counted->matched++;
	if (is_filtered(task)) {
		counted->filtered++;
		return false;
	}
	state->record.via = VIA_KERNEL;
	set_operands(&state->operands, flags_of(arguments));
	begin_record(state, counted, cpu, task);
	state->exec.is_sent = 1;
	if (arguments->work == WORK_TRUNCATE)
		append_length(segments, arguments->length);
	append_file(segments, SEGMENT_FILE, arguments->dentry);
	if (arguments->new_dentry)
		append_file(segments, SEGMENT_REPLACED, arguments->new_dentry);
	begin_walks(slot, task);
	append_place_of(state, slot, SEGMENT_REAL, arguments->dentry);
	if (arguments->new_dentry)
		append_place_of(state, slot, SEGMENT_NEW_REAL, arguments->new_dentry);
	if (cfg_has_paths && !segments->is_wanted) {
		counted->filtered++;
		counted->seq--;
		return false;
	}
	return true;
}

/* Reports the work of one of the kernel's own threads. */
static __always_inline int on_kernel_work(bool nests, const struct work_arguments *arguments)
{
	__u32 cpu = bpf_get_smp_processor_id(), slot = cfg_kernel_slots + cpu, nr = cfg_kernel_nrs[arguments->work];
	struct task_struct *task = current_task();
	struct counters *counted;
	struct call_state *state;
	bool has_end;

	if (!is_kernel_thread(task) || live.is_closed || nr == NO_NR)
		return 0;
	counted = bpf_map_lookup_elem(&counters, &slot);
	state = bpf_map_lookup_elem(&call_states, &slot);
	if (!counted || !state)
		return 0;
	/* No function does all that a change of attributes is for. */
	has_end = begin_work(counted, task, arguments->work != WORK_TRUNCATE);
	if (!nests || begin_use(state)) {
		state->record.nr = nr;
		state->record.abi = ABI_NATIVE;
		state->record.marks = ENTER_AT_FUNCTION | (has_end ? 0 : ENTER_NO_EXIT);
		if (fill_kernel(state, counted, cpu, slot, task, arguments))
			/* The function that does the work has begun already. */
			send_work(state, counted, 1);
	} else {
		__sync_fetch_and_add(&counted->missed, 1);
	}
	if (nests)
		end_use(state);
	return 0;
}

/* Whether a change of attributes makes a file shorter, or leaves it as long as it is. */
static __always_inline bool shortens(__u64 dentry, __u64 attributes)
{
	struct iattr *attrs = (struct iattr *)attributes;

	return BPF_CORE_READ(attrs, ia_valid) & ATTR_SIZE &&
	       BPF_CORE_READ(attrs, ia_size) <= BPF_CORE_READ((struct dentry *)dentry, d_inode, i_size);
}

#endif
