// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A program that the verifier must reject. In a raw tracepoint, args[0] is a number to the verifier, not a pointer, so
 * a plain load through it is an "invalid mem access 'scalar'". PT_REGS_PARM2_CORE is the correct way. The program
 * exists so that the report of a rejection is tested on a real one.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

__u64 name_address = 0;

SEC("raw_tp/sys_enter")
int direct_access(struct bpf_raw_tracepoint_args *ctx)
{
	struct pt_regs *regs = (struct pt_regs *)ctx->args[0];

	name_address = PT_REGS_PARM2(regs);
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
