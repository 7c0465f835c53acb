// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* What rawtp is measured against: hooks that do nothing, and the least that can be done with a call that matches. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "floor.h"

/* FLOOR_NR and FLOOR_OPENAT, the numbers of unlinkat and of openat on this machine, come from the command line. */

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

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOOR_CPUS);
	__type(key, __u32);
	__type(value, struct floor_call);
} calls SEC(".maps");

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

/* One call alone, and its arguments by name: what a program says that was written for it. */
SEC("tp_btf/sys_enter")
int BPF_PROG(openat, struct pt_regs *regs, long nr)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct floor_call *call;
	__u64 task;
	long bytes;

	if (nr != FLOOR_OPENAT)
		return 0;
	call = bpf_map_lookup_elem(&calls, &cpu);
	if (!call)
		return 0;
	task = bpf_get_current_pid_tgid();
	call->pid = task >> 32;
	call->tid = task;
	call->ts_ns = bpf_ktime_get_boot_ns();
	bpf_get_current_comm(call->comm, sizeof(call->comm));
	call->arguments[0] = PT_REGS_PARM1_SYSCALL(regs);
	call->arguments[1] = PT_REGS_PARM2_SYSCALL(regs);
	call->arguments[2] = PT_REGS_PARM3_SYSCALL(regs);
	call->arguments[3] = PT_REGS_PARM4_SYSCALL(regs);
	call->arguments[4] = PT_REGS_PARM5_SYSCALL(regs);
	call->arguments[5] = PT_REGS_PARM6_SYSCALL(regs);
	bytes = bpf_probe_read_user_str(call->filename, sizeof(call->filename), (void *)call->arguments[1]);
	if (bytes < 0 || bytes > FLOOR_NAME_BYTES)
		return 0;
	bpf_ringbuf_output(&events, call, __builtin_offsetof(struct floor_call, filename) + bytes, 0);
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
