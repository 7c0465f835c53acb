/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Finds out which calls are watched, by which table their numbers are, and what their arguments are. */
#ifndef RAWTP_SYSCALL_BPF_H
#define RAWTP_SYSCALL_BPF_H

/*
 * The watched numbers of all tables, one bit each. With a bitmap in rodata, a call that is not watched costs as much as
 * an empty program.
 */
const volatile __u64 cfg_syscalls[SYSCALLS_MAX / 64] = {};
/* The calls by table: the native one, which x32 shares, and the 32-bit one. */
const volatile struct call cfg_calls[2][SYSCALLS_MAX] = {};

#if defined(__TARGET_ARCH_x86)
#define X32_BIT 0x40000000UL /* arch/x86/include/uapi/asm/unistd.h, __X32_SYSCALL_BIT */
#else
#define X32_BIT 0UL
#endif

#define AT_FDCWD -100
#define O_TRUNC 01000 /* the same on all supported architectures */

/*
 * Whether the number is watched in any table. The kernel looks at the low 32 bits of a number, and any process can set
 * the others.
 */
static __always_inline bool is_watched(__u32 nr)
{
	__u64 at = nr & ~X32_BIT;

	/* Keeps the check and the checked value in one register. */
	barrier_var(at);
	return at < SYSCALLS_MAX && (cfg_syscalls[at / 64] >> (at % 64) & 1);
}

static __always_inline __u32 abi_of(struct task_struct *task, __u32 nr)
{
	if (is_compat(task))
		return ABI_COMPAT;
	return nr & X32_BIT ? ABI_X32 : ABI_NATIVE;
}

/*
 * Returns the meaning of a number in its own table, which may be a call that is not watched. Call it after is_watched.
 */
static __always_inline const volatile struct call *call_of(__u32 abi, __u32 nr)
{
	return &cfg_calls[abi == ABI_COMPAT][nr & (SYSCALLS_MAX - 1)];
}

/* Returns the number from registers whose type the verifier knows (tp_btf), where a plain load is allowed. */
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

/* Whether a watched call is an event, by its registers and the memory they point to. */
enum verdict {
	IS_EVENT,
	IS_NO_EVENT,
	IS_UNKNOWN, /* the page with openat2's flags is absent */
};

static __always_inline enum verdict verdict_of(const volatile struct call *call, const struct arguments *arguments,
					       __u32 *flags)
{
	__u64 how = 0;

	*flags = arguments->at[call->flags & 7];
	if (call->condition == CALL_HOW_O_TRUNC) {
		/* A 64-bit word of flags comes first (open_how(2type)). */
		if (bpf_probe_read_user(&how, sizeof(how), (const void *)arguments->at[call->flags & 7]))
			return IS_UNKNOWN;
		*flags = how;
	}
	return call->condition == CALL_ALWAYS || *flags & O_TRUNC ? IS_EVENT : IS_NO_EVENT;
}

#endif
