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

/* Of a number, the kernel looks at the low 32 bits: any process can set the others. */
static __always_inline bool is_watched(__u32 nr)
{
	__u64 at = nr & ~X32_BIT;

	/* One register for the check and for what it is a check of. */
	barrier_var(at);
	return at < SYSCALLS_MAX && (cfg_syscalls[at / 64] >> (at % 64) & 1);
}

static __always_inline __u32 abi_of(struct task_struct *task, __u32 nr)
{
	if (is_compat(task))
		return ABI_COMPAT;
	return nr & X32_BIT ? ABI_X32 : ABI_NATIVE;
}

/* After is_watched: the number's meaning in its own table, where it may well be of no interest. */
static __always_inline const volatile struct call *call_of(__u32 abi, __u32 nr)
{
	return &cfg_calls[abi == ABI_COMPAT][nr & (SYSCALLS_MAX - 1)];
}

/* For programs whose regs the verifier knows the type of (tp_btf), where a plain load is allowed. */
static __always_inline __u32 trusted_nr(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return regs->orig_ax;
#elif defined(__TARGET_ARCH_arm64)
	return regs->syscallno;
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

/* What the registers, and what they point to, say of a call of a watched number. */
enum is_event {
	IS_EVENT,
	IS_NO_EVENT,
	IS_UNKNOWN, /* openat2's flags lie in a page that is not there */
};

static __always_inline enum is_event is_event(const volatile struct call *call, const struct arguments *arguments,
					      __u32 *flags)
{
	__u64 how = 0;

	*flags = arguments->at[call->flags & 7];
	if (call->condition == CALL_HOW_O_TRUNC) {
		/* open_how(2type): a 64-bit word of flags comes first. */
		if (bpf_probe_read_user(&how, sizeof(how), (const void *)arguments->at[call->flags & 7]))
			return IS_UNKNOWN;
		*flags = how;
	}
	return call->condition == CALL_ALWAYS || *flags & O_TRUNC ? IS_EVENT : IS_NO_EVENT;
}

#endif
