/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which calls are watched, in whose numbers, and what their arguments are. */
#ifndef RAWTP_SYSCALL_BPF_H
#define RAWTP_SYSCALL_BPF_H

/* Numbers that are watched in any table, one bit each. A bitmap in rodata costs what an empty program costs. */
const volatile __u64 cfg_syscalls[SYSCALLS_MAX / 64] = {};
/* By table: the native one, which x32 shares, and the 32-bit one. */
const volatile struct call cfg_calls[2][SYSCALLS_MAX] = {};

#if defined(__TARGET_ARCH_x86)
#define X32_BIT 0x40000000UL /* arch/x86/include/uapi/asm/unistd.h, __X32_SYSCALL_BIT */
#else
#define X32_BIT 0UL
#endif

#define AT_FDCWD -100
#define O_TRUNC 01000 /* the same on all architectures that are supported here */

static __always_inline bool is_watched(__u64 nr)
{
	nr &= ~X32_BIT;
	return nr < SYSCALLS_MAX && (cfg_syscalls[nr / 64] >> (nr % 64) & 1);
}

static __always_inline __u32 abi_of(struct task_struct *task, __u64 nr)
{
	if (is_compat(task))
		return ABI_COMPAT;
	return nr & X32_BIT ? ABI_X32 : ABI_NATIVE;
}

/* After is_watched: the number's meaning in its own table, where it may well be of no interest. */
static __always_inline const volatile struct call *call_of(__u32 abi, __u64 nr)
{
	return &cfg_calls[abi == ABI_COMPAT][nr & (SYSCALLS_MAX - 1)];
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

static __always_inline void read_arguments(struct arguments *arguments, struct pt_regs *regs, __u32 abi)
{
	arguments->at[0] = 0;
#if defined(__TARGET_ARCH_x86)
	if (abi == ABI_COMPAT) {
		arguments->at[1] = (__u32)REGISTER(regs, bx);
		arguments->at[2] = (__u32)REGISTER(regs, cx);
		arguments->at[3] = (__u32)REGISTER(regs, dx);
		arguments->at[4] = (__u32)REGISTER(regs, si);
		arguments->at[5] = (__u32)REGISTER(regs, di);
		return;
	}
#endif
	arguments->at[1] = ARGUMENT(regs, 1);
	arguments->at[2] = ARGUMENT(regs, 2);
	arguments->at[3] = ARGUMENT(regs, 3);
	arguments->at[4] = ARGUMENT(regs, 4);
	arguments->at[5] = ARGUMENT(regs, 5);
#if defined(__TARGET_ARCH_arm64)
	if (abi == ABI_COMPAT)
		for (int i = 1; i < 6; i++)
			arguments->at[i] = (__u32)arguments->at[i];
#endif
}

/* open_how(2type): a 64-bit word of flags comes first. */
static __always_inline __u64 how_flags(const void *how)
{
	__u64 flags = 0;

	bpf_probe_read_user(&flags, sizeof(flags), how);
	return flags;
}

#endif
