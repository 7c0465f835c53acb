/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reads the current task and the registers with which it entered the kernel. */
#ifndef RAWTP_TASK_BPF_H
#define RAWTP_TASK_BPF_H

/*
 * Whether the kernel has typed pointers. Calling a helper costs more than anything else a program does here. The
 * verifier knows the type of the task's pointer since Linux 5.11 (`bpf_get_current_task_btf`) and of its registers'
 * since Linux 5.15 (`bpf_task_pt_regs`), and reading through such a pointer takes a plain load. CO-RE writes the answer
 * into the program as a constant, so the verifier removes the other branch.
 */
#define HAS_TYPED_TASK bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)
#define HAS_TYPED_REGS (HAS_TYPED_TASK && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))

#define TASK(task, field) (HAS_TYPED_TASK ? (task)->field : BPF_CORE_READ(task, field))
#define ARGUMENT(regs, n) (HAS_TYPED_REGS ? PT_REGS_PARM##n##_SYSCALL(regs) : PT_REGS_PARM##n##_CORE_SYSCALL(regs))

/* include/linux/sched.h */
#define PF_IO_WORKER 0x10 /* io_uring's threads, which are workers or poll a queue */
#define PF_KTHREAD 0x00200000

/* include/uapi/asm-generic/signal.h, and the same on x86 */
#define SIGKILL 9
#define SIGSEGV 11
#define SIGSYS 31
#define SIGNAL_BIT(signal) (1UL << ((signal)-1))

#define REGISTER(regs, name) (HAS_TYPED_REGS ? (regs)->name : BPF_CORE_READ(regs, name))

#if defined(__TARGET_ARCH_x86)
#define TS_COMPAT 0x0002 /* arch/x86/include/asm/thread_info.h */
#elif defined(__TARGET_ARCH_arm64)
#define TIF_32BIT 22 /* arch/arm64/include/asm/thread_info.h */
#endif

static __always_inline struct task_struct *current_task(void)
{
	if (HAS_TYPED_TASK)
		return bpf_get_current_task_btf();
	return (struct task_struct *)bpf_get_current_task();
}

/* The kernel's BTF id of `struct task_struct`. */
const volatile __u32 cfg_task_type = 0;

/*
 * Returns the same task, as an untrusted pointer from which pointers are read. For each pointer read through a trusted
 * one, a newer verifier searches the names of all of the kernel's types, up to four times, to find out whether to trust
 * that one too. That takes a millisecond, and nothing here needs trust. No helper has this number. User space replaces
 * it by a call of bpf_rdonly_cast, which the kernel turns into a move, or by a plain move where the kernel lacks it
 * (src/load/rdonly_cast.rs). Reading through the result takes some more instructions, so everything else is read from
 * the task itself.
 */
#define UNTRUSTED_CALL 0x72617774
static void *(*const untrusted)(const void *pointer, __u32 type) = (void *)UNTRUSTED_CALL;

/* The kernel's BTF id of `struct pt_regs`, where `untrusted` gives types. */
const volatile __u32 cfg_regs_type = 0;

/* An argument in the registers of a raw tracepoint, read without a helper where the kernel allows that. */
#define RAW_ARGUMENT(regs, n)                                                                                          \
	(cfg_regs_type ? PT_REGS_PARM##n##_SYSCALL((struct pt_regs *)untrusted(regs, cfg_regs_type))                   \
		       : PT_REGS_PARM##n##_CORE_SYSCALL(regs))

/* Returns the tracepoint's registers, through a typed pointer where the kernel has one. */
static __always_inline struct pt_regs *typed_regs(struct task_struct *task, struct pt_regs *regs)
{
	if (HAS_TYPED_REGS)
		return (struct pt_regs *)bpf_task_pt_regs(task);
	return regs;
}

/*
 * The size of a kernel stack where no helper finds the registers at its end, which is so before Linux 5.15
 * (THREAD_SIZE). A kernel with KASAN has a larger one. Then what is read there names no watched call.
 */
#define THREAD_BYTES 16384

/* Returns the registers with which the task entered the kernel, for programs that are not handed them. */
static __always_inline struct pt_regs *entry_regs(struct task_struct *task)
{
	if (HAS_TYPED_REGS)
		return typed_regs(task, NULL);
	return BPF_CORE_READ(task, stack) + THREAD_BYTES - bpf_core_type_size(struct pt_regs);
}

/* Returns the number of the call with which the task entered the kernel. */
static __always_inline __u32 entered_nr(struct pt_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	return REGISTER(regs, orig_ax);
#elif defined(__TARGET_ARCH_arm64)
	return REGISTER(regs, syscallno);
#endif
}

/* Returns the address of the task's memory. An exec replaces it. */
static __always_inline __u64 mm_of(struct task_struct *task)
{
	return (__u64)TASK(task, mm);
}

/* Whether a signal ends the thread, such as the kernel sends when an exec fails too late or a signal's frame is bad. */
static __always_inline bool is_ending(struct task_struct *task)
{
	return TASK(task, pending.signal.sig[0]) & (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSEGV));
}

/* Whether the task is a thread of the kernel's own. Until Linux 5.12 those of io_uring's were such threads too. */
static __always_inline bool is_kernel_thread(struct task_struct *task)
{
	return (TASK(task, flags) & (PF_KTHREAD | PF_IO_WORKER)) == PF_KTHREAD;
}

/*
 * Whether the task is a 32-bit one. Its numbers come from another table: i386 263 is timer_delete, x86_64 263 is
 * unlinkat.
 */
static __always_inline bool is_compat(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return TASK(task, thread_info.status) & TS_COMPAT;
#elif defined(__TARGET_ARCH_arm64)
	return TASK(task, thread_info.flags) >> TIF_32BIT & 1;
#endif
}

/* Copies the name byte by byte, because not every verifier lets a load take several elements of an array. */
static __always_inline void read_comm(__u8 comm[COMM_BYTES], struct task_struct *task)
{
	if (HAS_TYPED_TASK) {
#pragma unroll
		for (int i = 0; i < COMM_BYTES; i++)
			comm[i] = task->comm[i];
	} else {
		BPF_CORE_READ_INTO((char(*)[COMM_BYTES])comm, task, comm);
	}
}

#endif
