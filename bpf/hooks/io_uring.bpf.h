/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Programs for io_uring requests, at their submission and completion. */
#ifndef RAWTP_IO_URING_HOOK_BPF_H
#define RAWTP_IO_URING_HOOK_BPF_H

/* Sends the completion of the request with this key. */
static __always_inline void send_completion(const struct request_key *key, const struct open_request *open, __s64 ret)
{
	struct completion_record record = {
		.kind = RECORD_COMPLETION,
		.cpu = open->cpu,
		.seq = open->seq,
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
	struct open_request open = {0}, *unfinished;
	__u32 cpu, slot;
	__u8 opcode;

	if (!SUBMITS_REQ && !SUBMITS_CTX_REQ)
		return UNKNOWN_ARGUMENTS(ctx);
	/*
	 * The address now belongs to this request. The one before has ended without a completion, as a request linked
	 * to a failed one does with IOSQE_CQE_SKIP_SUCCESS. It must not get this one's result.
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
	if (!counted || !state || live.is_closed || !read_request(req, opcode, &state->operands))
		return 0;
	if (!is_met(call->condition, state->operands.flags))
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
	/* A kernel thread is named after its work. It is rare, and so not worth one more typed pointer. */
	if (TASK(task, flags) & PF_IO_WORKER)
		BPF_CORE_READ_INTO((char(*)[COMM_BYTES])record->comm, task, group_leader, comm);
	if (!append_segments(state, counted, slot, true, task))
		return 0;

	if (COMPLETES_CTX) {
		key.request = ARGUMENT_AT(ctx, 0);
		key.user_data = bpf_core_type_exists(btf_trace_io_uring_submit_sqe___ctx_req) ? ARGUMENT_AT(ctx, 3)
											      : ARGUMENT_AT(ctx, 2);
	}
	open.seq = record->seq;
	open.cpu = cpu;
	record->marks = 0;
	if (!cfg_results || !COMPLETES || BPF_CORE_READ(req, flags) & IOSQE_CQE_SKIP_SUCCESS) {
		record->marks = ENTER_NO_EXIT;
	} else if (!add_request(&key, &open)) {
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
	struct open_request *open;
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
	open = bpf_map_lookup_elem(&requests, &key);
	if (open)
		send_completion(&key, open, ret);
	return 0;
}

/*
 * A request that is linked to one that failed. It is cancelled, and has no completion where that of the failed one is
 * skipped (IOSQE_CQE_SKIP_SUCCESS). Left in the map it would take a place there, and the result of the next request at
 * its address.
 */
SEC("raw_tp")
int handle_cancelled(struct bpf_raw_tracepoint_args *ctx)
{
	struct request_key key = {0};
	struct open_request *open;

	if (!FAILS_LINK)
		return UNKNOWN_ARGUMENTS(ctx);
	if (!requests_open)
		return 0;
	key.request = ARGUMENT_AT(ctx, 1);
	open = bpf_map_lookup_elem(&requests, &key);
	if (open)
		send_completion(&key, open, -ECANCELED);
	return 0;
}

#endif
