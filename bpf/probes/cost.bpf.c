// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The baselines that `rawtp.cost()` compares rawtp with: an empty hook, and the same work from two hooks. It takes four
 * steps from the tracepoint of one system call to the raw tracepoint of all of them. They are marked here.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "record.h"
#include "lib/scratch.bpf.h"
#include "lib/task.bpf.h"
#include "lib/user_string.bpf.h"

/* The number of unlinkat on this machine. */
const volatile __u64 cfg_unlinkat = 0;

/* Deletions that found no room. If there are any, the measured programs did less work. */
__u64 lost = 0;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} deletions SEC(".maps");

struct deletion {
	__u32 kind; /* every record begins with it, so the same reader counts them */
	__u32 pid;
	__u8 comm[COMM_BYTES];
	struct segments segments; /* only the name */
};

/* One element per CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct deletion);
} scratch SEC(".maps");

/* Does the work, which is the same from either hook. */
static __always_inline int submit(const void *filename)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct task_struct *task = current_task();
	struct deletion *deletion = bpf_map_lookup_elem(&scratch, &cpu);
	__u64 bytes;

	if (!deletion)
		return 0;
	deletion->kind = RECORD_ENTER;
	deletion->pid = TASK(task, tgid);
	read_comm(deletion->comm, task);
	deletion->segments.end = 0;
	append_name(&deletion->segments, SEGMENT_FILENAME, filename);
	bytes = __builtin_offsetof(struct deletion, segments) + within_segments(deletion->segments.end);
	if (bpf_ringbuf_output(&deletions, deletion, bytes, 0))
		__sync_fetch_and_add(&lost, 1);
	return 0;
}

SEC("raw_tp/sys_enter")
int empty(struct bpf_raw_tracepoint_args *ctx)
{
	return 0;
}

/* Before the steps: the kernel calls this only for unlinkat, and has laid out the arguments. */
SEC("tracepoint/syscalls/sys_enter_unlinkat")
int guide_tracepoint(struct trace_event_raw_sys_enter *ctx)
{
	return submit((const void *)ctx->args[1]);
}

/* Step 1, the section: one raw tracepoint for all system calls. libbpf finds it by its name, without tracefs. */
SEC("raw_tp/sys_enter")
/* Step 2, the context: the registers and the number that the kernel passes to the tracepoint itself. */
int guide_raw_tp(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];

	/*
	 * Step 3, the filter: every call of the host arrives here. (The numbers of a 32-bit task mean other calls: see
	 * abi_of.)
	 */
	if (ctx->args[1] != cfg_unlinkat)
		return 0;
	/* Step 4, the arguments: to the verifier args[0] is a number, so a helper must read the register. */
	return submit((const void *)PT_REGS_PARM2_CORE(regs));
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
