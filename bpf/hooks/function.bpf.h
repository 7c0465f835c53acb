/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs on the kernel's own functions that make events of their own, without a hook on any system call.
 *
 * With cfg_by_functions, the functions that the kernel calls for the security modules (truth.bpf.h) make the event of a
 * call, from the registers with which the thread entered the kernel. In any case, those for inodes make the events of
 * the kernel's own threads, which make no calls. The functions that do the work give the result as they return. Each
 * program exists twice, as in truth.bpf.h.
 */
#ifndef RAWTP_FUNCTION_HOOK_BPF_H
#define RAWTP_FUNCTION_HOOK_BPF_H

#define AT_REMOVEDIR 0x200
#define ATTR_SIZE (1 << 3) /* include/linux/fs.h */
#define S_IFMT 00170000
#define S_IFDIR 0040000

/* The calls that requests of io_uring and kernel threads are reported as, by their work, or NO_NR. */
const volatile __u32 cfg_request_nrs[WORKS_MAX] = {NO_NR, NO_NR, NO_NR, NO_NR};
const volatile __u32 cfg_kernel_nrs[WORKS_MAX] = {NO_NR, NO_NR, NO_NR, NO_NR};
/* The position of the dentry among the arguments of security_inode_setattr: 0 until Linux 6.0, then 1. */
const volatile __u32 cfg_setattr_dentry = 0;

/* Whether results are seen. User space sets it when the programs for them are attached. */
volatile __u32 sees_results = 0;
/* Whether a program for results has run. */
volatile __u32 result_runs = 0;
/* Whether the function that does the work has begun. */
volatile __u32 work_begins = 0;
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

#define REMOVES(directory_, dentry_)                                                                                   \
	{                                                                                                              \
		.work = WORK_REMOVE, .dentry = (struct dentry *)(dentry_),                                             \
		.mnt = BPF_CORE_READ((const struct path *)(directory_), mnt)                                           \
	}
#define RENAMES(directory_, dentry_, new_directory_, new_dentry_, flags_)                                              \
	{                                                                                                              \
		.work = WORK_RENAME, .flags = (flags_), .dentry = (struct dentry *)(dentry_),                          \
		.mnt = BPF_CORE_READ((const struct path *)(directory_), mnt),                                          \
		.new_dentry = (struct dentry *)(new_dentry_),                                                          \
		.new_mnt = BPF_CORE_READ((const struct path *)(new_directory_), mnt)                                   \
	}
#define TRUNCATES(path_)                                                                                               \
	{                                                                                                              \
		.work = WORK_TRUNCATE, .dentry = BPF_CORE_READ((const struct path *)(path_), dentry),                  \
		.mnt = BPF_CORE_READ((const struct path *)(path_), mnt)                                                \
	}
#define TRUNCATES_FILE(file_)                                                                                          \
	{                                                                                                              \
		.work = WORK_TRUNCATE, .dentry = BPF_CORE_READ((struct file *)(file_), f_path.dentry),                 \
		.mnt = BPF_CORE_READ((struct file *)(file_), f_path.mnt)                                               \
	}
#define KERNEL_REMOVES(dentry_)                                                                                        \
	{                                                                                                              \
		.work = WORK_REMOVE, .dentry = (struct dentry *)(dentry_)                                              \
	}
#define KERNEL_RENAMES(dentry_, new_dentry_, flags_)                                                                   \
	{                                                                                                              \
		.work = WORK_RENAME, .flags = (flags_), .dentry = (struct dentry *)(dentry_),                          \
		.new_dentry = (struct dentry *)(new_dentry_)                                                           \
	}
#define KERNEL_TRUNCATES(dentry_, attributes_)                                                                         \
	{                                                                                                              \
		.work = WORK_TRUNCATE, .dentry = (struct dentry *)(dentry_),                                           \
		.length = BPF_CORE_READ((struct iattr *)(attributes_), ia_size)                                        \
	}

/* security_path_unlink and security_path_rmdir */
SEC("kprobe")
int kprobe_call_remove(struct pt_regs *ctx)
{
	const struct work_arguments arguments = REMOVES(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx));

	return on_work(false, &arguments);
}

/* security_path_rename */
SEC("kprobe")
int kprobe_call_rename(struct pt_regs *ctx)
{
	const struct work_arguments arguments = RENAMES(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx),
							PT_REGS_PARM4(ctx), PT_REGS_PARM5(ctx));

	return on_work(false, &arguments);
}

/* security_path_truncate */
SEC("kprobe")
int kprobe_call_truncate(struct pt_regs *ctx)
{
	const struct work_arguments arguments = TRUNCATES(PT_REGS_PARM1(ctx));

	return on_work(false, &arguments);
}

/* security_file_truncate */
SEC("kprobe")
int kprobe_call_truncate_file(struct pt_regs *ctx)
{
	const struct work_arguments arguments = TRUNCATES_FILE(PT_REGS_PARM1(ctx));

	return on_work(false, &arguments);
}

/* security_inode_unlink and security_inode_rmdir */
SEC("kprobe")
int kprobe_kernel_remove(struct pt_regs *ctx)
{
	const struct work_arguments arguments = KERNEL_REMOVES(PT_REGS_PARM2(ctx));

	return on_kernel_work(false, &arguments);
}

/* security_inode_rename */
SEC("kprobe")
int kprobe_kernel_rename(struct pt_regs *ctx)
{
	const struct work_arguments arguments =
		KERNEL_RENAMES(PT_REGS_PARM2(ctx), PT_REGS_PARM4(ctx), PT_REGS_PARM5(ctx));

	return on_kernel_work(false, &arguments);
}

/* Whether a change of attributes makes a file shorter, or leaves it as long as it is. */
static __always_inline bool shortens(__u64 dentry, __u64 attributes)
{
	struct iattr *attrs = (struct iattr *)attributes;

	return BPF_CORE_READ(attrs, ia_valid) & ATTR_SIZE &&
	       BPF_CORE_READ(attrs, ia_size) <= BPF_CORE_READ((struct dentry *)dentry, d_inode, i_size);
}

/* security_inode_setattr */
SEC("kprobe")
int kprobe_kernel_truncate(struct pt_regs *ctx)
{
	__u64 first = PT_REGS_PARM1(ctx), second = PT_REGS_PARM2(ctx), third = PT_REGS_PARM3(ctx);
	__u64 dentry = cfg_setattr_dentry ? second : first, attributes = cfg_setattr_dentry ? third : second;
	const struct work_arguments arguments = KERNEL_TRUNCATES(dentry, attributes);

	return shortens(dentry, attributes) ? on_kernel_work(false, &arguments) : 0;
}

/* vfs_unlink, vfs_rmdir, vfs_rename, do_truncate */
SEC("kprobe")
int kprobe_begin(struct pt_regs *ctx)
{
	return on_begin();
}

/* The same at their return, and the functions above that make events. */
SEC("kprobe")
int kprobe_end(struct pt_regs *ctx)
{
	return on_end(PT_REGS_RC(ctx));
}

SEC("raw_tp")
int fentry_call_remove(__u64 *ctx)
{
	const struct work_arguments arguments = REMOVES(ctx[0], ctx[1]);

	return on_work(true, &arguments);
}

SEC("raw_tp")
int fentry_call_rename(__u64 *ctx)
{
	const struct work_arguments arguments = RENAMES(ctx[0], ctx[1], ctx[2], ctx[3], ctx[4]);

	return on_work(true, &arguments);
}

SEC("raw_tp")
int fentry_call_truncate(__u64 *ctx)
{
	const struct work_arguments arguments = TRUNCATES(ctx[0]);

	return on_work(true, &arguments);
}

SEC("raw_tp")
int fentry_call_truncate_file(__u64 *ctx)
{
	const struct work_arguments arguments = TRUNCATES_FILE(ctx[0]);

	return on_work(true, &arguments);
}

SEC("raw_tp")
int fentry_kernel_remove(__u64 *ctx)
{
	const struct work_arguments arguments = KERNEL_REMOVES(ctx[1]);

	return on_kernel_work(true, &arguments);
}

SEC("raw_tp")
int fentry_kernel_rename(__u64 *ctx)
{
	const struct work_arguments arguments = KERNEL_RENAMES(ctx[1], ctx[3], ctx[4]);

	return on_kernel_work(true, &arguments);
}

SEC("raw_tp")
int fentry_kernel_truncate(__u64 *ctx)
{
	__u64 dentry, attributes;

	/* There is no third argument where the dentry is the first. */
	if (cfg_setattr_dentry) {
		dentry = ARGUMENT_AT(ctx, 1);
		attributes = ARGUMENT_AT(ctx, 2);
	} else {
		dentry = ARGUMENT_AT(ctx, 0);
		attributes = ARGUMENT_AT(ctx, 1);
	}
	const struct work_arguments arguments = KERNEL_TRUNCATES(dentry, attributes);

	return shortens(dentry, attributes) ? on_kernel_work(true, &arguments) : 0;
}

SEC("raw_tp")
int fentry_begin(__u64 *ctx)
{
	return on_begin();
}

/* The result follows the arguments, of which functions have one to six. */
#define FEXIT_END(arguments)                                                                                           \
	SEC("raw_tp")                                                                                                  \
	int fexit_end_##arguments(__u64 *ctx)                                                                          \
	{                                                                                                              \
		return on_end(ctx[arguments]);                                                                         \
	}

FEXIT_END(1)
FEXIT_END(2)
FEXIT_END(3)
FEXIT_END(4)
FEXIT_END(5)
FEXIT_END(6)

#endif
