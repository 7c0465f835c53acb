// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What rawtp is measured against: hooks that do nothing, and the least that can be done with a call that matches. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "floor.h"

/* FLOOR_NR, the number of unlinkat on this machine, comes from the command line. */

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 << 20);
} events SEC(".maps");

/* One a CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOOR_CPUS);
	__type(key, __u32);
	__type(value, struct floor_event);
} scratch SEC(".maps");

SEC("raw_tp/sys_enter")
int empty_enter(struct bpf_raw_tracepoint_args *ctx)
{
	return 0;
}

SEC("tp_btf/sys_exit")
int empty_exit(void *ctx)
{
	return 0;
}

SEC("raw_tp/sys_enter")
int count(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct floor_event *event;
	long bytes;

	if (ctx->args[1] != FLOOR_NR)
		return 0;
	event = bpf_map_lookup_elem(&scratch, &cpu);
	if (!event)
		return 0;
	event->pid = bpf_get_current_pid_tgid() >> 32;
	bpf_get_current_comm(event->comm, sizeof(event->comm));
	bytes = bpf_probe_read_user_str(event->filename, sizeof(event->filename),
					(void *)PT_REGS_PARM2_CORE_SYSCALL((struct pt_regs *)ctx->args[0]));
	if (bytes < 0 || bytes > FLOOR_NAME_BYTES)
		return 0;
	bpf_ringbuf_output(&events, event, __builtin_offsetof(struct floor_event, filename) + bytes, 0);
	return 0;
}

SEC("raw_tp/sys_enter")
int printk(struct bpf_raw_tracepoint_args *ctx)
{
	char filename[FLOOR_NAME_BYTES] = {}, comm[16] = {};

	if (ctx->args[1] != FLOOR_NR)
		return 0;
	bpf_get_current_comm(comm, sizeof(comm));
	bpf_probe_read_user_str(filename, sizeof(filename),
				(void *)PT_REGS_PARM2_CORE_SYSCALL((struct pt_regs *)ctx->args[0]));
	bpf_printk("[RAW_TP] pid: %d comm: %s filename: %s", (int)(bpf_get_current_pid_tgid() >> 32), comm, filename);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
