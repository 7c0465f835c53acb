/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Finds out which calls are watched, by which table their numbers are, and what their arguments are. */
#ifndef RAWTP_SYSCALL_BPF_H
#define RAWTP_SYSCALL_BPF_H

/*
 * The watched numbers of all tables, one bit each. With a bitmap in rodata, a call that is not watched costs as much as
 * an empty program.
 */
const volatile __u64 cfg_syscalls[SYSCALLS_MAX / 64] = {};
/* Whether numbers that are in no table are watched, too. */
const volatile bool cfg_unnamed = false;
/* The calls by table: the native one, which x32 shares, and the 32-bit one. */
const volatile struct call cfg_calls[2][SYSCALLS_MAX] = {};

#if defined(__TARGET_ARCH_x86)
#define X32_BIT 0x40000000UL /* arch/x86/include/uapi/asm/unistd.h, __X32_SYSCALL_BIT */
#else
#define X32_BIT 0UL
#endif

#define AT_FDCWD -100
/* include/uapi/linux/fcntl.h */
#define AT_SYMLINK_NOFOLLOW 0x100
#define AT_SYMLINK_FOLLOW 0x400
#define AT_EMPTY_PATH 0x1000

/* The same on all supported architectures (include/uapi/asm-generic/fcntl.h), but for O_DIRECTORY. */
#define O_CREAT 0100
#define O_EXCL 0200
#define O_TRUNC 01000
#define O_PATH 010000000
#define __O_TMPFILE 020000000
#if defined(__TARGET_ARCH_x86)
#define O_DIRECTORY 0200000
#elif defined(__TARGET_ARCH_arm64)
#define O_DIRECTORY 040000
#endif

#define RESOLVE_CACHED 0x20 /* include/uapi/linux/openat2.h */

/*
 * Whether the number is watched in any table. The kernel looks at the low 32 bits of a number, and any process can set
 * the others.
 */
static __always_inline bool is_watched(__u32 nr)
{
	__u64 at = nr & ~X32_BIT;

	/* Keeps the check and the checked value in one register. */
	barrier_var(at);
	/* The kernel writes NO_NR for "no call", as sigreturn does, whose exit then has it. */
	if (at >= SYSCALLS_MAX)
		return cfg_unnamed && nr != NO_NR;
	return cfg_syscalls[at / 64] >> (at % 64) & 1;
}

static __always_inline __u32 abi_of(struct task_struct *task, __u32 nr)
{
	if (is_compat(task))
		return ABI_COMPAT;
	return nr & X32_BIT ? ABI_X32 : ABI_NATIVE;
}

/*
 * Whether a number cannot be in its table: it is too large, or has the bit of x32 in the 32-bit table, where that is
 * part of the number, or is one of x32's own in the native table.
 */
static __always_inline bool is_outside(__u32 abi, __u32 nr)
{
	return (nr & ~X32_BIT) >= SYSCALLS_MAX || (abi == ABI_COMPAT && nr & X32_BIT) ||
	       (abi == ABI_NATIVE && nr >= X32_FIRST);
}

/* Returns the place of a number in its table. Call it after is_watched. */
static __always_inline __u32 index_of(__u32 abi, __u32 nr)
{
	if (cfg_unnamed && is_outside(abi, nr))
		return UNNAMED_NR;
	return nr & (SYSCALLS_MAX - 1);
}

/*
 * Returns the meaning of a number in its own table, which may be a call that is not watched. Call it after is_watched.
 */
static __always_inline const volatile struct call *call_of(__u32 abi, __u32 nr)
{
	return &cfg_calls[abi == ABI_COMPAT][index_of(abi, nr)];
}

/* Returns the number as a record has it: x32's bit is the record's ABI. */
static __always_inline __u32 number_of(__u32 abi, __u32 nr)
{
	return abi == ABI_COMPAT ? nr : (__u32)(nr & ~X32_BIT);
}

/* Whether an event has all arguments of its call. */
const volatile bool cfg_args = false;

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
		arguments->at[6] = (__u32)REGISTER(regs, bp);
		return;
	}
#endif
	arguments->at[1] = ARGUMENT(regs, 1);
	arguments->at[2] = ARGUMENT(regs, 2);
	arguments->at[3] = ARGUMENT(regs, 3);
	arguments->at[4] = ARGUMENT(regs, 4);
	arguments->at[5] = ARGUMENT(regs, 5);
	if (cfg_args)
		arguments->at[6] = ARGUMENT(regs, 6);
#if defined(__TARGET_ARCH_arm64)
	if (abi == ABI_COMPAT) {
		arguments->at[6] = ARGUMENT(regs, 6);
		for (int i = 1; i < 7; i++)
			arguments->at[i] = (__u32)arguments->at[i];
	}
#endif
}

/*
 * Whether an open with these flags can remove content. With O_PATH the kernel ignores O_TRUNC. O_TMPFILE makes a new
 * file, as does O_EXCL, or it fails. With O_DIRECTORY an open of a file fails before it truncates.
 */
static __always_inline bool truncates(__u32 flags)
{
	return (flags & (O_TRUNC | O_PATH | __O_TMPFILE | O_DIRECTORY)) == O_TRUNC &&
	       (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL);
}

/* Whether an open with these flags can remove content, or make a file. */
static __always_inline bool changes(__u32 flags)
{
	return truncates(flags) || (flags & (O_CREAT | O_PATH)) == O_CREAT;
}

static __always_inline bool is_loss_mode(__u32 mode)
{
	return mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_WRITE_ZEROES);
}

static __always_inline bool is_loss_command(__u32 command)
{
	switch (command) {
	case BTRFS_IOC_SNAP_DESTROY:
	case BTRFS_IOC_SNAP_DESTROY_V2:
	case FS_IOC_UNRESVSP:
	case FS_IOC_UNRESVSP64:
	case FS_IOC_ZERO_RANGE:
	case XFS_IOC_ALLOCSP:
	case XFS_IOC_FREESP:
	case XFS_IOC_ALLOCSP64:
	case XFS_IOC_FREESP64:
	case FS_IOC_UNRESVSP_32:
	case FS_IOC_UNRESVSP64_32:
	case FS_IOC_ZERO_RANGE_32:
	case XFS_IOC_ALLOCSP_32:
	case XFS_IOC_FREESP_32:
	case XFS_IOC_ALLOCSP64_32:
	case XFS_IOC_FREESP64_32:
		return true;
	default:
		return false;
	}
}

/* Whether the flags fulfil a condition that they alone decide. The other conditions are met by any flags. */
static __always_inline bool is_met(__u8 condition, __u32 flags)
{
	switch (condition) {
	case CALL_O_TRUNC:
		return truncates(flags);
	case CALL_O_CHANGES:
		return changes(flags);
	case CALL_FALLOCATE:
		return is_loss_mode(flags);
	case CALL_IOCTL:
		return is_loss_command(flags);
	default:
		return true;
	}
}

/* Returns the native call of a watched number if its flags alone decide about it, and no 32-bit call has the number. */
static __always_inline const volatile struct call *call_by_flags(__u32 nr)
{
	const volatile struct call *call = call_of(ABI_NATIVE, nr);

	return call->condition >= CALL_O_TRUNC && call_of(ABI_COMPAT, nr)->condition == CALL_NEVER ? call : NULL;
}

/*
 * Whether the flags show that a watched call is no event. `second` and `third` are its arguments, if it is a native
 * one, of which only the needed one is evaluated. This is all that most opens and ioctls pay for being watched. So it
 * does not ask the task for its ABI, which takes a helper, and that takes longer than all of this. A 32-bit task's call
 * of the number is not watched. The barriers keep the two loads apart: merged into one with a variable offset, the
 * verifier would reject them.
 */
#define IS_LEFT_ALONE(nr, second, third)                                                                               \
	({                                                                                                             \
		const volatile struct call *by_flags = call_by_flags(nr);                                              \
		bool is_alone = false;                                                                                 \
		__u64 flags;                                                                                           \
                                                                                                                       \
		if (by_flags) {                                                                                        \
			if (by_flags->flags == 3) {                                                                    \
				flags = (third);                                                                       \
				barrier_var(flags);                                                                    \
			} else {                                                                                       \
				flags = (second);                                                                      \
				barrier_var(flags);                                                                    \
			}                                                                                              \
			is_alone = !is_met(by_flags->condition, flags);                                                \
		}                                                                                                      \
		is_alone;                                                                                              \
	})

/* Whether a watched call is an event, by its registers and the memory they point to. */
enum verdict {
	IS_EVENT,
	IS_NO_EVENT,
	IS_UNKNOWN, /* the page with openat2's flags is absent */
};

static __always_inline enum verdict verdict_of(const volatile struct call *call, const struct arguments *arguments,
					       __u32 *flags)
{
	/* The flags, the mode, and how the name is resolved (open_how(2type)). */
	__u64 how[3] = {};

	*flags = arguments->at[call->flags & 7];
	if (call->condition < CALL_HOW_O_TRUNC || call->condition > CALL_HOW_ANY)
		return is_met(call->condition, *flags) ? IS_EVENT : IS_NO_EVENT;
	if (bpf_probe_read_user(how, sizeof(how), (const void *)arguments->at[call->flags & 7]))
		return IS_UNKNOWN;
	*flags = how[0];
	if (call->condition == CALL_HOW_ANY)
		return IS_EVENT;
	/* The kernel refuses any flag in the upper half, and neither truncates nor makes a file with RESOLVE_CACHED. */
	if (how[0] >> 32 || how[2] & RESOLVE_CACHED)
		return IS_NO_EVENT;
	return (call->condition == CALL_HOW_CHANGES ? changes(how[0]) : truncates(how[0])) ? IS_EVENT : IS_NO_EVENT;
}

#endif
