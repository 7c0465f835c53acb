/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs for system calls. They match, filter, fill and submit at the entry. At the exit they send the result in a
 * record of its own.
 */
#ifndef RAWTP_SYSCALL_HOOK_BPF_H
#define RAWTP_SYSCALL_HOOK_BPF_H

/* Returns the call of a number that is_watched knows, or NULL when it is not watched in the task's own table. */
static __always_inline const volatile struct call *watched_call(struct task_struct *task, __u32 nr, __u32 *abi)
{
	const volatile struct call *call;

	*abi = abi_of(task, nr);
	if (!cfg_unnamed && is_outside(*abi, nr))
		return NULL;
	call = call_of(*abi, nr);
	return call->condition == CALL_NEVER ? NULL : call;
}

/* include/uapi/linux/btrfs.h: where the structures of both commands have the name, and the flags of the second. */
#define SNAP_DESTROY_NAME 8
#define SNAP_DESTROY_V2_NAME 56
#define SNAP_DESTROY_V2_FLAGS 16
#define BTRFS_SUBVOL_SPEC_BY_ID (1 << 4)

/* The bytes of an ioctl's structure (include/uapi/asm-generic/ioctl.h). */
#define IOC_SIZE(command) ((command) >> 16 & 0x3fff)

#define SEEK_SET 0

/* struct space_resv, whose 64-bit members i386 aligns to 4 bytes only (include/linux/falloc.h). */
#define SPACE_RESV_PACKED_BYTES 44
#define SPACE_RESV_WHENCE 2

static __always_inline void read_ioctl(struct operands *operands, __u64 argument)
{
	__u32 command = operands->flags, start_at;
	__u64 by_id = 0;
	__u16 whence;

	switch (command) {
	case BTRFS_IOC_SNAP_DESTROY:
		operands->name = argument + SNAP_DESTROY_NAME;
		operands->has_name = 1;
		return;
	case BTRFS_IOC_SNAP_DESTROY_V2:
		bpf_probe_read_user(&by_id, sizeof(by_id), (const void *)(argument + SNAP_DESTROY_V2_FLAGS));
		/* The descriptor is then any of the file system's. */
		operands->has_no_dfd = by_id & BTRFS_SUBVOL_SPEC_BY_ID ? 1 : 0;
		operands->has_name = !operands->has_no_dfd;
		operands->name = argument + SNAP_DESTROY_V2_NAME;
		return;
	case FS_IOC_UNRESVSP:
	case FS_IOC_UNRESVSP64:
	case FS_IOC_ZERO_RANGE:
	case FS_IOC_UNRESVSP_32:
	case FS_IOC_UNRESVSP64_32:
	case FS_IOC_ZERO_RANGE_32:
		start_at = IOC_SIZE(command) == SPACE_RESV_PACKED_BYTES ? 4 : 8;
		if (bpf_probe_read_user(&whence, sizeof(whence), (const void *)(argument + SPACE_RESV_WHENCE)) ||
		    whence != SEEK_SET)
			return;
		operands->has_range = !bpf_probe_read_user(&operands->range, sizeof(operands->range),
							   (const void *)(argument + start_at));
	}
}

/*
 * Reads the operands that are not a register each. A 32-bit program passes a 64-bit number as two. It is global, so the
 * verifier checks it once for all programs.
 */
__noinline int read_split_operands(__u32 slot, __u32 condition, __u32 abi)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct operands *operands;
	__u64 *at;

	if (!state)
		return 0;
	operands = &state->operands;
	at = state->arguments.at;
	if (condition == CALL_IOCTL) {
		read_ioctl(operands, at[3]);
	} else {
		operands->range.start = abi == ABI_COMPAT ? at[3] | at[4] << 32 : at[3];
		operands->range.length = abi == ABI_COMPAT ? at[5] | at[6] << 32 : at[4];
		operands->has_range = 1;
	}
	return 0;
}

/*
 * Finds out whether the call follows a symbolic link that its name leads to, and forgets a name that is empty where
 * that means the descriptor itself. Since Linux 6.11 some calls take NULL for that. It is global, so that it takes no
 * room on the stack of the program that walks.
 */
__noinline int apply_at_flags(__u32 slot, __u32 traits)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct operands *operands;
	__u8 first = 1;

	if (!state)
		return 0;
	operands = &state->operands;
	if (traits & CALL_AT)
		operands->follows = !(operands->flags & AT_SYMLINK_NOFOLLOW);
	else
		operands->follows = !!(operands->flags & AT_SYMLINK_FOLLOW);
	if (operands->flags & AT_EMPTY_PATH &&
	    (!operands->name || (!bpf_probe_read_user(&first, 1, (const void *)operands->name) && !first)))
		operands->has_name = 0;
	return 0;
}

/* Copies the call's operands from its arguments. */
static __always_inline void read_operands(struct call_state *state, __u32 slot, const volatile struct call *call,
					  __u32 flags, __u32 abi)
{
	const struct arguments *arguments = &state->arguments;
	struct operands *operands = &state->operands;
	__u64 length = arguments->at[call->length & 7];

	operands->name = arguments->at[call->path & 7];
	operands->new_name = arguments->at[call->new_path & 7];
	operands->file = 0;
	operands->dfd = call->dfd ? arguments->at[call->dfd & 7] : AT_FDCWD;
	operands->new_dfd = call->new_dfd ? arguments->at[call->new_dfd & 7] : AT_FDCWD;
	operands->flags = flags;
	operands->has_name = call->path;
	operands->has_new_name = call->new_path;
	operands->has_no_dfd = !!(call->traits & CALL_PATHLESS);
	operands->has_range = 0;
	operands->has_length = call->length;
	operands->follows = !!(call->traits & CALL_FOLLOWS);
	if (abi == ABI_COMPAT)
		length = call->traits & CALL_SPLITS_LENGTH ? length | arguments->at[(call->length + 1) & 7] << 32
							   : (__u64)(__s64)(__s32)length;
	operands->length = length;
	if (call->traits & (CALL_AT | CALL_AT_LINK))
		apply_at_flags(slot, call->traits);
	if (call->traits & CALL_RANGES || call->condition == CALL_IOCTL)
		read_split_operands(slot, call->condition, abi);
}

/*
 * Fills the record of a call. The caller has put the call's arguments into the state, and its number and ABI into the
 * record. Returns false, and counts it, when the call is filtered.
 */
static __always_inline bool fill_record(struct call_state *state, struct counters *counted, __u32 cpu, __u32 slot,
					struct task_struct *task, const volatile struct call *call, __u32 flags)
{
	counted->matched++;
	if (is_filtered(task) || (is_launching(task) && !(call->traits & CALL_EXECS))) {
		counted->filtered++;
		return false;
	}
	state->record.via = VIA_SYSCALL;
	read_operands(state, slot, call, flags, state->record.abi);
	begin_record(state, counted, cpu, task);
	if (!append_segments(state, counted, slot, false, task))
		return false;
	if (cfg_args)
		append_entry_arguments(slot);
	return true;
}

/* Whether calls of CALL_EXECS are watched with their results. */
const volatile bool cfg_execs = false;

/*
 * Returns the decision about an exec that begins, or NULL when there is no room for it. The id's byte is not the
 * exec's, unless there is no room.
 */
static __always_inline __u8 *begin_exec(struct task_struct *task)
{
	struct exec begun = {.mm = mm_of(task), .tid = TASK(task, pid), .decision = CALL_LEFT_OUT};
	struct exec *exec = keep_exec(task, &begun);
	__u8 *decision = decision_of(task);

	if (decision)
		*decision = exec ? CALL_UNSEEN : CALL_LEFT_OUT;
	return exec ? &exec->decision : NULL;
}

/* Decides about a call at its entry, and reports it. */
static __always_inline void report_entry(struct call_state *state, struct counters *counted, __u32 cpu,
					 struct task_struct *task, const volatile struct call *call, __u32 nr,
					 __u32 abi, struct pt_regs *regs)
{
	__u8 *decision = NULL, decided = CALL_LEFT_OUT;
	enum verdict verdict;
	bool is_exec, returns;
	__u32 flags;

	read_arguments(&state->arguments, typed_regs(task, regs), abi);
	verdict = verdict_of(call, &state->arguments, &flags);
	/* The exit sees that in the same registers. */
	if (verdict == IS_NO_EVENT && call->condition >= CALL_O_TRUNC)
		return;
	is_exec = cfg_execs && call->traits & CALL_EXECS;
	if (cfg_results)
		decision = is_exec ? begin_exec(task) : decision_of(task);
	if (verdict == IS_UNKNOWN && decision) {
		*decision = CALL_UNSEEN;
		return;
	}
	state->record.nr = number_of(abi, nr);
	state->record.abi = abi;
	returns = decision && !(call->traits & CALL_NO_RETURN);
	state->record.marks = (returns ? 0 : ENTER_NO_EXIT) | (verdict == IS_UNKNOWN ? ENTER_NO_FLAGS : 0) |
			      (is_exec && returns ? ENTER_EXEC : 0);
	if (verdict != IS_NO_EVENT && fill_record(state, counted, cpu, cpu, task, call, flags)) {
		if (cfg_results && !decision)
			__sync_fetch_and_add(&counted->lost_exits, 1);
		if (send_record(state, counted))
			decided = state->segments.has_fault ? CALL_FAULT : CALL_SENT;
	}
	if (decision)
		*decision = call->traits & CALL_NO_RETURN ? CALL_GONE : decided;
}

/* Leaves the decision about a call to its exit. */
static __always_inline void leave_to_exit(struct task_struct *task)
{
	__u8 *decision = decision_of(task);

	if (decision)
		*decision = CALL_UNSEEN;
	if (cfg_execs)
		end_exec(task);
}

static __always_inline int on_enter(__u32 nr, struct pt_regs *regs)
{
	const volatile struct call *call;
	struct counters *counted;
	struct call_state *state;
	struct task_struct *task;
	__u32 cpu, abi;

	task = current_task();
	call = watched_call(task, nr, &abi);
	if (!call || call->condition == CALL_MOUNTS)
		return 0;
	if (call->condition == CALL_ENDS) {
		begin_exec(task);
		return 0;
	}
	cpu = bpf_get_smp_processor_id();
	counted = bpf_map_lookup_elem(&counters, &cpu);
	state = bpf_map_lookup_elem(&call_states, &cpu);
	if (!counted || !state || live.is_closed)
		return 0;
	/* Otherwise the call's exit reports it, or nobody does when results are not watched. */
	if (take_state(state))
		report_entry(state, counted, cpu, task, call, nr, abi, regs);
	else if (cfg_results)
		leave_to_exit(task);
	else
		__sync_fetch_and_add(&counted->missed, 1);
	give_back_state(state);
	return 0;
}

/* The cheapest hook. It misses no call where nothing else can run on the CPU meanwhile. */
SEC("raw_tp/sys_enter")
int handle_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];
	__u32 nr = ctx->args[1];

	if (!is_watched(nr) || IS_LEFT_ALONE(nr, RAW_ARGUMENT(regs, 2), RAW_ARGUMENT(regs, 3)))
		return 0;
	return on_enter(nr, regs);
}

/*
 * Misses no call even where programs of raw tracepoints can be preempted. The kernel runs the programs of this
 * tracepoint with preemption off.
 */
SEC("tp/raw_syscalls/sys_enter")
int trace_sys_enter(struct trace_event_raw_sys_enter *ctx)
{
	if (!is_watched(ctx->id) || IS_LEFT_ALONE(ctx->id, ctx->args[1], ctx->args[2]))
		return 0;
	return on_enter(ctx->id, NULL);
}

/* Whether the call has a result. seccomp can end it before it begins, and then the register holds no return value. */
static __always_inline bool has_result(struct task_struct *task)
{
	return !(TASK(task, pending.signal.sig[0]) & SIGNAL_BIT(SIGSYS));
}

/*
 * Reports a call at its exit, because its entry was not seen. It began before the tracer did, or seccomp refused it
 * before the tracepoint. The report uses the counters of the CPU's entries, which take_state guards.
 */
static __always_inline void report_unseen(struct call_state *state, __u32 cpu, __u32 slot, struct task_struct *task,
					  struct counters *counted, const volatile struct call *call, __s64 ret)
{
	enum verdict verdict;
	__u32 flags;

	verdict = verdict_of(call, &state->arguments, &flags);
	if (verdict == IS_NO_EVENT)
		return;
	state->record.marks = ENTER_NO_EXIT | ENTER_AT_EXIT | (verdict == IS_UNKNOWN ? ENTER_NO_FLAGS : 0);
	if (!fill_record(state, counted, cpu, slot, task, call, flags))
		return;
	if (has_result(task))
		append_result(&state->segments, ret);
	if (cfg_files && call->traits & CALL_OPENS && ret >= 0)
		append_opened(slot, ret);
	/* A successful exec has the registers of the program that it began. */
	if (cfg_args && (ret || !(call->traits & CALL_EXECS)))
		append_arguments(slot, state->record.nr, state->record.abi, READ_AT_EXIT, ret);
	send_record(state, counted);
}

static __always_inline int on_exit(__u32 nr, struct pt_regs *regs, __s64 ret)
{
	const volatile struct call *call;
	struct segments *segments;
	struct exit_record *record;
	struct counters *counted;
	struct call_state *state, *entry;
	struct task_struct *task;
	struct exec *exec;
	__u32 cpu, slot, abi, flags;
	__u8 *decision, decided;
	__u64 bytes;

	task = current_task();
	call = watched_call(task, nr, &abi);
	if (!call)
		return 0;
	if (call->traits & CALL_REMOUNTS) {
		report_mounts(mnt_ns_of(task, untrusted(task, cfg_task_type)));
		if (call->condition == CALL_MOUNTS)
			return 0;
	}
	cpu = bpf_get_smp_processor_id();
	slot = cfg_exit_slots + cpu;
	state = bpf_map_lookup_elem(&call_states, &slot);
	if (!state)
		return 0;
	if (call->condition >= CALL_O_TRUNC) {
		read_arguments(&state->arguments, typed_regs(task, regs), abi);
		if (verdict_of(call, &state->arguments, &flags) == IS_NO_EVENT)
			return 0;
	}
	record = &state->exit;
	exec = cfg_execs && call->traits & CALL_EXECS ? ending_exec(task, ret) : NULL;
	if (exec) {
		decided = exec->decision;
		if (decided != CALL_LEFT_OUT && is_replaced(exec, task))
			decided = CALL_REPLACED;
		record->tid = exec->tid;
		record->nr = TASK(task, tgid);
		record->abi = ABI_EXEC;
		record->freed = FREED_NOTHING;
		end_exec(task);
	} else {
		decision = decision_of(task);
		if (!decision)
			return 0;
		decided = *decision & ~CALL_FREED;
		record->tid = TASK(task, pid);
		record->nr = number_of(abi, nr);
		record->abi = abi;
		record->freed = *decision & CALL_FREED ? FREED_FILE : FREED_NOTHING;
		*decision = CALL_UNSEEN;
	}
	/* A return of a signal's whose frame is bad ends with its own number. */
	if (decided == CALL_LEFT_OUT || (decided == CALL_GONE && call->traits & CALL_NO_RETURN && is_ending(task)))
		return 0;
	if (decided == CALL_GONE)
		decided = CALL_UNSEEN;
	/* A new thread has called nothing yet: what returns in it is the call of the one that made it. */
	if (call->traits & CALL_FORKS && !ret)
		return 0;
	/* The entry is not that of an exec that is watched, as far as anybody knows. */
	if (decided == CALL_UNSEEN && call->condition == CALL_ENDS)
		return 0;
	if (decided != CALL_SENT || cfg_args)
		read_arguments(&state->arguments, typed_regs(task, regs), abi);
	if (decided == CALL_UNSEEN) {
		state->record.nr = number_of(abi, nr);
		state->record.abi = abi;
		counted = bpf_map_lookup_elem(&counters, &cpu);
		entry = bpf_map_lookup_elem(&call_states, &cpu);
		if (!counted || !entry || live.is_closed)
			return 0;
		if (take_state(entry))
			report_unseen(state, cpu, slot, task, counted, call, ret);
		else
			__sync_fetch_and_add(&counted->missed, 1);
		give_back_state(entry);
		return 0;
	}

	record->kind = RECORD_EXIT;
	record->ts_ns = bpf_ktime_get_boot_ns();
	record->ret = ret;
	record->lost_exits = state->lost_exits_unreported;
	record->is_created = 0;
	if (!sees_freed)
		record->freed = FREED_UNKNOWN;
	segments = &state->segments;
	segments->end = 0;
	if (cfg_files && call->traits & CALL_OPENS && ret >= 0)
		record->is_created = append_opened(slot, ret);
	if (decided == CALL_FAULT) {
		read_operands(state, slot, call, state->arguments.at[call->flags & 7], abi);
		if (state->operands.has_name)
			append_name(segments, SEGMENT_FILENAME, (const void *)state->operands.name);
		if (state->operands.has_new_name)
			append_name(segments, SEGMENT_NEW_FILENAME, (const void *)state->operands.new_name);
	}
	/* What the entry could not read, the call has faulted in. */
	if (cfg_args && decided != CALL_REPLACED)
		append_arguments(slot, number_of(abi, nr), abi,
				 decided == CALL_FAULT ? READ_AT_ENTRY | READ_AT_EXIT : READ_AT_EXIT, ret);
	bytes = sizeof(*record) + within_segments(segments->end);
	if (!bpf_ringbuf_output(&events, record, bytes, 0)) {
		state->lost_exits_unreported = 0;
	} else {
		state->lost_exits_unreported++;
		counted = bpf_map_lookup_elem(&counters, &cpu);
		if (counted)
			__sync_fetch_and_add(&counted->lost_exits, 1);
	}
	return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(handle_sys_exit, struct pt_regs *regs, long ret)
{
	__u32 nr = trusted_nr(regs);

	if (!is_watched(nr) || IS_LEFT_ALONE(nr, PT_REGS_PARM2_SYSCALL(regs), PT_REGS_PARM3_SYSCALL(regs)))
		return 0;
	return on_exit(nr, regs, ret);
}

SEC("tp/raw_syscalls/sys_exit")
int trace_sys_exit(struct trace_event_raw_sys_exit *ctx)
{
	return is_watched(ctx->id) ? on_exit(ctx->id, NULL, ctx->ret) : 0;
}

/* Counts a lost exit, for programs that do not own the state of exits. */
static __always_inline void count_lost_exit(__u32 cpu)
{
	__u32 slot = cfg_exit_slots + cpu;
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct counters *counted = bpf_map_lookup_elem(&counters, &cpu);

	if (state && counted) {
		__sync_fetch_and_add(&counted->lost_exits, 1);
		__sync_fetch_and_add(&state->lost_exits_unreported, 1);
	}
}

#endif
