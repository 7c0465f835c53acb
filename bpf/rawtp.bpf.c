// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* match -> filter -> fill -> submit, at the entry of a call; its result, in a record of its own, at the end. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "task.bpf.h"
#include "syscall.bpf.h"
#include "state.bpf.h"
#include "filter.bpf.h"
#include "in_flight.bpf.h"
#include "name.bpf.h"
#include "walk.bpf.h"
#include "path_filter.bpf.h"
#include "identity.bpf.h"
#include "report.bpf.h"
#include "uring.bpf.h"
#include "cgroup.bpf.h"

/* Only so that these types are in the object's BTF, from which the skeleton makes the Rust ones. */
struct counters _counters = {0};
struct enter_record _enter_record = {0};
struct exit_record _exit_record = {0};
struct completion_record _completion_record = {0};
struct cgroup_record _cgroup_record = {0};
struct segment _segment = {0};
struct directory _directory = {0};
struct ancestor _ancestor = {0};
struct call _call = {0};
struct request_call _request_call = {0};
struct comm_filter _comm_filter = {0};
struct path_filter _path_filter = {0};
enum record_kind _record_kind = 0;
enum segment_kind _segment_kind = 0;
enum name_status _name_status = 0;
enum walk_status _walk_status = 0;
enum abi _abi = 0;
enum via _via = 0;
enum call_condition _call_condition = 0;
enum enter_mark _enter_mark = 0;

/* NULL for a call that nobody asked for. */
static __always_inline const volatile struct call *watched_call(struct task_struct *task, __u32 nr, __u32 *abi)
{
	const volatile struct call *call;

	*abi = abi_of(task, nr);
	/* In the 32-bit table that bit is part of the number, and there is no such call. */
	if (*abi == ABI_COMPAT && nr & X32_BIT)
		return NULL;
	call = call_of(*abi, nr);
	return call->condition == CALL_NEVER ? NULL : call;
}

/* What the call is to be done to, as it was passed. */
static __always_inline void ask(struct asked *asked, const volatile struct call *call,
				const struct arguments *arguments, __u32 flags)
{
	asked->name = arguments->at[call->path & 7];
	asked->new_name = arguments->at[call->new_path & 7];
	asked->dfd = call->dfd ? arguments->at[call->dfd & 7] : AT_FDCWD;
	asked->new_dfd = call->new_dfd ? arguments->at[call->new_dfd & 7] : AT_FDCWD;
	asked->flags = flags;
	asked->has_name = call->path;
	asked->has_new_name = call->new_path;
	asked->has_no_dfd = 0;
}

/*
 * The record of a call, whose arguments are in the state; the caller has set what it is of. False when it is filtered,
 * which is counted.
 */
static __always_inline bool fill_record(struct call_state *state, struct counters *counted, __u32 cpu, __u32 slot,
					struct task_struct *task, const volatile struct call *call, __u32 flags)
{
	counted->matched++;
	if (is_filtered(task)) {
		counted->filtered++;
		return false;
	}
	state->record.via = VIA_SYSCALL;
	ask(&state->asked, call, &state->arguments, flags);
	begin_record(state, counted, cpu, task);
	return append_segments(state, counted, slot, false, task);
}

static __always_inline int on_enter(__u32 nr, struct pt_regs *regs)
{
	const volatile struct call *call;
	struct counters *counted;
	struct call_state *state;
	struct task_struct *task;
	__u8 *decision = NULL, decided = CALL_LEFT_OUT;
	enum is_event what;
	__u32 cpu, abi, flags;

	if (!is_watched(nr))
		return 0;
	task = current_task();
	call = watched_call(task, nr, &abi);
	if (!call)
		return 0;
	cpu = bpf_get_smp_processor_id();
	counted = bpf_map_lookup_elem(&counters, &cpu);
	state = bpf_map_lookup_elem(&call_states, &cpu);
	if (!counted || !state || is_closed)
		return 0;
	read_arguments(&state->arguments, typed_regs(task, regs), abi);
	what = is_event(call, &state->arguments, &flags);
	/* The exit sees it in the same registers. */
	if (what == IS_NO_EVENT && call->condition == CALL_O_TRUNC)
		return 0;
	if (cfg_results)
		decision = decision_of(task);
	if (what == IS_UNKNOWN && decision) {
		*decision = CALL_UNSEEN;
		return 0;
	}
	state->record.nr = nr & ~X32_BIT;
	state->record.abi = abi;
	state->record.marks = (decision ? 0 : ENTER_NO_EXIT) | (what == IS_UNKNOWN ? ENTER_NO_FLAGS : 0);
	if (what != IS_NO_EVENT && fill_record(state, counted, cpu, cpu, task, call, flags)) {
		if (cfg_results && !decision)
			__sync_fetch_and_add(&counted->lost_exits, 1);
		if (send_record(state, counted))
			decided = state->segments.has_fault ? CALL_FAULT : CALL_SENT;
	}
	if (decision)
		*decision = decided;
	return 0;
}

/* Cheapest, and exact where nothing else can run on the CPU meanwhile. */
SEC("raw_tp/sys_enter")
int handle_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	return on_enter(ctx->args[1], (struct pt_regs *)ctx->args[0]);
}

/* Exact where raw tracepoints' programs can be preempted: the kernel runs those of this one with preemption off. */
SEC("tp/raw_syscalls/sys_enter")
int trace_sys_enter(struct trace_event_raw_sys_enter *ctx)
{
	return on_enter(ctx->id, NULL);
}

/* seccomp ends such a call before it begins: what is in the register of the return is then none. */
static __always_inline bool has_result(struct task_struct *task)
{
	return !(TASK(task, pending.signal.sig[0]) & 1UL << (SIGSYS - 1));
}

/*
 * A call whose entry was not seen: it began before the tracer did, or seccomp refused it, which comes before the
 * tracepoint. The counters are those of the CPU's entries: one such program at a time runs on a CPU, but where raw
 * tracepoints are preemptible, and hook="raw_tp" was asked for all the same.
 */
static __always_inline void report_unseen(struct call_state *state, __u32 cpu, __u32 slot, struct task_struct *task,
					  const volatile struct call *call, __s64 ret)
{
	struct counters *counted = bpf_map_lookup_elem(&counters, &cpu);
	enum is_event what;
	__u32 flags;

	if (!counted || is_closed)
		return;
	what = is_event(call, &state->arguments, &flags);
	if (what == IS_NO_EVENT)
		return;
	state->record.marks = ENTER_NO_EXIT | ENTER_AT_EXIT | (what == IS_UNKNOWN ? ENTER_NO_FLAGS : 0);
	if (!fill_record(state, counted, cpu, slot, task, call, flags))
		return;
	if (has_result(task))
		append_result(&state->segments, ret);
	send_record(state, counted);
}

static __always_inline int on_exit(__u32 nr, struct pt_regs *regs, __s64 ret)
{
	const volatile struct call *call;
	struct arguments *arguments;
	struct segments *segments;
	struct exit_record *record;
	struct counters *counted;
	struct call_state *state;
	struct task_struct *task;
	__u32 cpu, slot, abi, flags;
	__u8 *decision, decided;
	__u64 bytes;

	if (!is_watched(nr))
		return 0;
	task = current_task();
	call = watched_call(task, nr, &abi);
	if (!call)
		return 0;
	cpu = bpf_get_smp_processor_id();
	slot = cfg_exit_slots + cpu;
	state = bpf_map_lookup_elem(&call_states, &slot);
	if (!state)
		return 0;
	arguments = &state->arguments;
	if (call->condition == CALL_O_TRUNC) {
		read_arguments(arguments, typed_regs(task, regs), abi);
		if (is_event(call, arguments, &flags) == IS_NO_EVENT)
			return 0;
	}
	decision = decision_of(task);
	if (!decision)
		return 0;
	decided = *decision;
	*decision = CALL_UNSEEN;
	if (decided == CALL_LEFT_OUT)
		return 0;
	if (decided != CALL_SENT)
		read_arguments(arguments, typed_regs(task, regs), abi);
	if (decided == CALL_UNSEEN) {
		state->record.nr = nr & ~X32_BIT;
		state->record.abi = abi;
		report_unseen(state, cpu, slot, task, call, ret);
		return 0;
	}

	record = &state->exit;
	record->kind = RECORD_EXIT;
	record->tid = TASK(task, pid);
	record->ts_ns = bpf_ktime_get_boot_ns();
	record->ret = ret;
	record->nr = nr & ~X32_BIT;
	record->abi = abi;
	record->lost_exits = state->lost_exits_unreported;
	bytes = sizeof(*record);
	if (decided == CALL_FAULT) {
		segments = &state->segments;
		segments->end = 0;
		if (call->path)
			append_name(segments, SEGMENT_FILENAME, (const void *)arguments->at[call->path & 7]);
		if (call->new_path)
			append_name(segments, SEGMENT_NEW_FILENAME, (const void *)arguments->at[call->new_path & 7]);
		bytes += within_segments(segments->end);
	}
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
	return on_exit(trusted_nr(regs), regs, ret);
}

SEC("tp/raw_syscalls/sys_exit")
int trace_sys_exit(struct trace_event_raw_sys_exit *ctx)
{
	return on_exit(ctx->id, NULL, ctx->ret);
}

/* For others than the program that the state is of. */
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

/* The request that was sent under this key is over. */
static __always_inline void send_completion(const struct request_key *key, const struct sent *sent, __s64 ret)
{
	struct completion_record record = {
		.kind = RECORD_COMPLETION,
		.cpu = sent->cpu,
		.seq = sent->seq,
		.ts_ns = bpf_ktime_get_boot_ns(),
		.ret = ret,
	};

	close_request(key);
	if (bpf_ringbuf_output(&events, &record, sizeof(record), 0))
		count_lost_exit(bpf_get_smp_processor_id());
}

SEC("raw_tp")
int handle_request(struct bpf_raw_tracepoint_args *ctx)
{
	struct io_kiocb *req = (void *)(SUBMITS_CTX_REQ ? ARGUMENT_AT(ctx, 1) : ARGUMENT_AT(ctx, 0));
	const volatile struct request_call *call;
	struct request_key key = {(__u64)req, 0};
	struct enter_record *record;
	struct counters *counted;
	struct call_state *state;
	struct task_struct *task;
	struct sent sent = {0}, *unfinished;
	__u32 cpu, slot;
	__u8 opcode;

	if (!SUBMITS_REQ && !SUBMITS_CTX_REQ)
		return UNKNOWN_ARGUMENTS(ctx);
	/*
	 * The address is another request's now: the one before has ended without a completion, as what is linked to a
	 * failed one with IOSQE_CQE_SKIP_SUCCESS does. It must not get this one's result.
	 */
	if (cfg_results && COMPLETES && !COMPLETES_CTX && requests_open) {
		unfinished = bpf_map_lookup_elem(&requests, &key);
		if (unfinished)
			send_completion(&key, unfinished, NO_RESULT);
	}
	opcode = BPF_CORE_READ(req, opcode);
	if (opcode >= OPCODES_MAX)
		return 0;
	call = &cfg_requests[opcode];
	if (call->condition == CALL_NEVER)
		return 0;
	cpu = bpf_get_smp_processor_id();
	slot = cfg_cpus + cpu;
	counted = bpf_map_lookup_elem(&counters, &slot);
	state = bpf_map_lookup_elem(&call_states, &slot);
	if (!counted || !state || is_closed || !read_request(req, opcode, &state->asked))
		return 0;
	if (call->condition == CALL_O_TRUNC && !(state->asked.flags & O_TRUNC))
		return 0;
	counted->matched++;
	task = current_task();
	if (is_filtered(task)) {
		counted->filtered++;
		return 0;
	}

	record = &state->record;
	record->nr = call->nr;
	record->abi = ABI_NATIVE;
	record->via = VIA_IO_URING;
	begin_record(state, counted, cpu, task);
	/* A thread of the kernel's is named after its work. Rare, and so not worth one more typed pointer. */
	if (TASK(task, flags) & PF_IO_WORKER)
		BPF_CORE_READ_INTO((char(*)[COMM_BYTES])record->comm, task, group_leader, comm);
	if (!append_segments(state, counted, slot, true, task))
		return 0;

	if (COMPLETES_CTX) {
		key.request = ARGUMENT_AT(ctx, 0);
		key.user_data = bpf_core_type_exists(btf_trace_io_uring_submit_sqe___ctx_req) ? ARGUMENT_AT(ctx, 3)
											      : ARGUMENT_AT(ctx, 2);
	}
	sent.seq = record->seq;
	sent.cpu = cpu;
	record->marks = 0;
	if (!cfg_results || !COMPLETES || BPF_CORE_READ(req, flags) & IOSQE_CQE_SKIP_SUCCESS) {
		record->marks = ENTER_NO_EXIT;
	} else if (!open_request(&key, &sent)) {
		record->marks = ENTER_NO_EXIT;
		count_lost_exit(cpu);
	}
	if (!send_record(state, counted) && !record->marks)
		close_request(&key);
	return 0;
}

SEC("raw_tp")
int handle_completion(struct bpf_raw_tracepoint_args *ctx)
{
	struct request_key key = {0};
	struct sent *sent;
	__s64 ret;

	if (!COMPLETES)
		return UNKNOWN_ARGUMENTS(ctx);
	if (!requests_open)
		return 0;
	if (COMPLETES_CTX) {
		key.request = ARGUMENT_AT(ctx, 0);
		key.user_data = ARGUMENT_AT(ctx, 1);
		ret = (__s32)ARGUMENT_AT(ctx, 2);
	} else if (COMPLETES_CTX_REQ) {
		key.request = ARGUMENT_AT(ctx, 1);
		ret = (__s32)ARGUMENT_AT(ctx, 3);
	} else {
		key.request = ARGUMENT_AT(ctx, 1);
		ret = BPF_CORE_READ((struct io_uring_cqe *)ARGUMENT_AT(ctx, 2), res);
	}
	sent = bpf_map_lookup_elem(&requests, &key);
	if (sent)
		send_completion(&key, sent, ret);
	return 0;
}

/* Before the child runs: none of its calls is missed. */
SEC("raw_tp/sched_process_fork")
int handle_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	__u32 from = BPF_CORE_READ(parent, tgid), pid = BPF_CORE_READ(child, tgid);
	__u32 cpu = bpf_get_smp_processor_id();
	struct counters *counted;
	__u8 is_in = 1;

	if (from == pid || !bpf_map_lookup_elem(&followed, &from))
		return 0;
	if (bpf_map_update_elem(&followed, &pid, &is_in, BPF_ANY)) {
		counted = bpf_map_lookup_elem(&counters, &cpu);
		if (counted)
			counted->unfollowed++;
	}
	return 0;
}

/* With its last thread a process is over, and its number free for others. */
SEC("raw_tp/sched_process_exit")
int handle_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	__u32 pid = BPF_CORE_READ(task, tgid);

	if (!BPF_CORE_READ(task, signal, live.counter))
		bpf_map_delete_elem(&followed, &pid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
