/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which calls are watched, in whose numbers, and where their arguments are. */
#ifndef RAWTP_SYSCALL_BPF_H
#define RAWTP_SYSCALL_BPF_H

/* Native syscall numbers to report, one bit each. A bitmap in rodata costs what an empty program costs. */
const volatile __u64 cfg_syscalls[SYSCALLS_MAX / 64] = {};
/* enum syscall_shape of each number in cfg_syscalls. */
const volatile __u8 cfg_shapes[SYSCALLS_MAX] = {};

static __always_inline bool is_watched(__u64 nr)
{
	/* x32 numbers have bit 30 set and end here too. */
	return nr < SYSCALLS_MAX && (cfg_syscalls[nr / 64] >> (nr % 64) & 1);
}

/* For programs whose regs the verifier knows the type of (tp_btf), where a plain load is allowed. */
static __always_inline __u64 trusted_nr(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	return (__u32)regs->syscallno;
#endif
}

static __always_inline const void *path_argument(struct pt_regs *regs, __u64 nr)
{
	if (cfg_shapes[nr & (SYSCALLS_MAX - 1)] == SHAPE_AT)
		return (const void *)ARGUMENT(regs, 2);
	return (const void *)ARGUMENT(regs, 1);
}

#endif
