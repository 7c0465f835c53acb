/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Events of calls without a hook on any system call. With cfg_by_functions, the functions that the kernel calls for the
 * security modules (truth.bpf.h) make them, from the registers with which the thread entered the kernel.
 */
#ifndef RAWTP_FUNCTION_HOOK_BPF_H
#define RAWTP_FUNCTION_HOOK_BPF_H

#define AT_REMOVEDIR 0x200
#define S_IFMT 00170000
#define S_IFDIR 0040000

/* The calls that requests of io_uring are reported as, by their work, or NO_NR. */
const volatile __u32 cfg_request_nrs[WORKS_MAX] = {NO_NR, NO_NR, NO_NR, NO_NR};

/* Whether results are seen. User space sets it when the programs for them are attached. */
volatile __u32 sees_results = 0;
/* Whether the calls that remove directories show no result, because the compiler has put vfs_rmdir into them. */
volatile __u32 hides_rmdir = 0;

/*
 * Whether the call does this work. Within a call the kernel can do other work, such as to remove files of a cache, and
 * that is not what the call asks for.
 */
static __always_inline bool does(const volatile struct call *call, __u32 work)
{
	bool truncates = call->length || call->traits & CALL_OPENS;

	if (!(call->traits & CALL_WORKS))
		return false;
	if (work == WORK_TRUNCATE)
		return truncates;
	return !truncates && (work == WORK_RENAME) == !!call->new_path;
}

/* Sets the operands of what is no call: only the flags are known. */
static __always_inline void set_operands(struct operands *operands, __u32 flags)
{
	__builtin_memset(operands, 0, sizeof(*operands));
	operands->dfd = NO_DFD;
	operands->new_dfd = NO_DFD;
	operands->has_no_dfd = 1;
	operands->flags = flags;
}

/* Returns the flags of unlinkat(2) or renameat2(2) that would do this work. */
static __always_inline __u32 flags_of(const struct work_arguments *arguments)
{
	/* A variable of its own: CO-RE would take the way through the arguments for the kernel's. */
	struct dentry *dentry = arguments->dentry;

	if (arguments->work != WORK_REMOVE)
		return arguments->flags;
	return (BPF_CORE_READ(dentry, d_inode, i_mode) & S_IFMT) == S_IFDIR ? AT_REMOVEDIR : 0;
}

/*
 * Appends the files of the state's work and their names, unless the segments before leave no room for them. It is
 * global, so that it takes no room on the stack below the walks of the names that were passed.
 */
__noinline int append_work(__u32 slot, __u32 cpu)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct work_arguments *work;
	struct segments *segments;

	if (!state)
		return 0;
	work = &state->work;
	segments = &state->segments;
	if (segments->end > SEGMENTS_BYTES - 2 * SEGMENT_MOST) {
		count_lost_truth(cpu);
		return 0;
	}
	append_file(segments, SEGMENT_FILE, work->dentry);
	if (work->new_dentry)
		append_file(segments, SEGMENT_REPLACED, work->new_dentry);
	if (!cfg_places)
		return 0;
	begin_walks(slot, current_task());
	append_real(slot, SEGMENT_REAL, work->dentry, work->mnt);
	if (work->new_dentry)
		append_real(slot, SEGMENT_NEW_REAL, work->new_dentry, work->new_mnt);
	return 0;
}

/*
 * Forgets the event before, and tells whether the end of the function is to send the result of the one that begins.
 * That is asked again when it is sent, so that the answer takes no room on the stack meanwhile.
 */
static __always_inline bool begin_work(struct counters *counted, struct task_struct *task, bool has_end)
{
	__u8 *decision;

	if (!cfg_results || !sees_results)
		return false;
	decision = decision_of(task);
	if (decision)
		*decision = CALL_UNSEEN;
	else if (has_end)
		__sync_fetch_and_add(&counted->lost_exits, 1);
	return decision && has_end;
}

/* Sends the record. `depth` is that of the work that has begun already. */
static __always_inline void send_work(struct call_state *state, struct counters *counted, __u8 depth)
{
	__u8 *decision;

	if (!send_record(state, counted) || state->record.marks & ENTER_NO_EXIT)
		return;
	decision = decision_of(current_task());
	if (decision)
		*decision = CALL_SENT | WORK_DEPTH(depth);
}

/* A call that does the work of a function: its number, its table, and whether it is a request of io_uring. */
#define MATCHED(nr, abi, is_request) (1U << 31 | (is_request) << 30 | (abi) << 16 | ((nr) & (SYSCALLS_MAX - 1)))
#define MATCHED_NR(matched) ((matched) & (SYSCALLS_MAX - 1))
#define MATCHED_ABI(matched) ((matched) >> 16 & 3)
#define IS_MATCHED_REQUEST(matched) ((matched) >> 30 & 1)

/*
 * Finds the watched call that the thread is in, if it does this work. Returns 0 for another one. It is global, as
 * read_work is, so that the programs themselves need less stack.
 */
__noinline __u32 match_work(__u32 work)
{
	const volatile struct call *call;
	struct task_struct *task = current_task();
	__u64 at = work;
	__u32 nr, abi;

	if (is_kernel_thread(task))
		return 0;
	if (TASK(task, flags) & PF_IO_WORKER) {
		/* Keeps the mask, which the verifier needs. */
		barrier_var(at);
		nr = cfg_request_nrs[at & (WORKS_MAX - 1)];
		return nr == NO_NR ? 0 : MATCHED(nr, ABI_NATIVE, 1U);
	}
	nr = entered_nr(entry_regs(task));
	if (!is_watched(nr))
		return 0;
	call = watched_call(task, nr, &abi);
	return call && does(call, work) ? MATCHED(nr, abi, 0U) : 0;
}

/* Reads the call's operands from its registers into the state. It is global. */
__noinline int read_work(__u32 slot, __u32 matched)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	__u32 nr = MATCHED_NR(matched), abi = MATCHED_ABI(matched), flags;
	const volatile struct call *call;

	if (!state)
		return 0;
	state->record.nr = nr;
	state->record.abi = abi;
	if (IS_MATCHED_REQUEST(matched)) {
		state->record.via = VIA_IO_URING;
		set_operands(&state->operands, flags_of(&state->work));
		return 0;
	}
	call = call_of(abi, nr);
	state->record.via = VIA_SYSCALL;
	read_arguments(&state->arguments, entry_regs(current_task()), abi);
	if (verdict_of(call, &state->arguments, &flags) == IS_UNKNOWN)
		state->record.marks |= ENTER_NO_FLAGS;
	read_operands(state, slot, call, flags, abi);
	return 0;
}

/* Reports the work of a user's thread, which is in the state. */
static __always_inline void report_work(struct call_state *state, struct counters *counted, __u32 cpu, __u32 slot,
					__u32 matched)
{
	struct task_struct *task = current_task();
	bool has_end;

	counted->matched++;
	has_end = !hides_rmdir || state->work.work != WORK_REMOVE || !flags_of(&state->work);
	state->record.marks = ENTER_AT_FUNCTION | (begin_work(counted, task, has_end) ? 0 : ENTER_NO_EXIT);
	if (is_filtered(task)) {
		counted->filtered++;
		return;
	}
	read_work(slot, matched);
	begin_record(state, counted, cpu, task);
	/* As in handle_request. */
	if (IS_MATCHED_REQUEST(matched))
		BPF_CORE_READ_INTO((char(*)[COMM_BYTES])state->record.comm, task, group_leader, comm);
	if (!append_segments(state, counted, slot, false, task))
		return;
	if (cfg_files)
		append_work(slot, cpu);
	send_work(state, counted, 0);
}

static __always_inline int on_work(bool nests, const struct work_arguments *arguments)
{
	__u32 cpu = bpf_get_smp_processor_id(), slot = cpu, matched;
	struct counters *counted;
	struct call_state *state;

	if (!truth_runs)
		truth_runs = 1;
	if (live.is_closed)
		return 0;
	matched = match_work(arguments->work);
	if (!matched)
		return 0;
	if (IS_MATCHED_REQUEST(matched))
		slot += cfg_cpus;
	counted = bpf_map_lookup_elem(&counters, &slot);
	state = bpf_map_lookup_elem(&call_states, &slot);
	if (!counted || !state)
		return 0;
	if (!nests || begin_use(state)) {
		state->work = *arguments;
		report_work(state, counted, cpu, slot, matched);
	} else {
		__sync_fetch_and_add(&counted->missed, 1);
	}
	if (nests)
		end_use(state);
	return 0;
}

#endif
