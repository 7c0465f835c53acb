/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reading the current task and the registers that it entered the kernel with. */
#ifndef RAWTP_TASK_BPF_H
#define RAWTP_TASK_BPF_H

/*
 * A call of a helper costs more than anything else that a program does here. Newer kernels give out pointers whose type
 * the verifier knows (5.11: the task, 5.15: its registers), and to read through those takes a plain load. Which kernel
 * it is, CO-RE writes into the program as a constant, so that the verifier removes the other way.
 */
#define HAS_TYPED_TASK bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)
#define HAS_TYPED_REGS (HAS_TYPED_TASK && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_task_pt_regs))

#define TASK(task, field) (HAS_TYPED_TASK ? (task)->field : BPF_CORE_READ(task, field))
#define ARGUMENT(regs, n) (HAS_TYPED_REGS ? PT_REGS_PARM##n##_SYSCALL(regs) : PT_REGS_PARM##n##_CORE_SYSCALL(regs))

#define PF_IO_WORKER 0x10 /* include/linux/sched.h: threads of io_uring's, of its worker pool or polling a queue */

#define SIGSYS 31 /* include/uapi/asm-generic/signal.h, and the same on x86 */

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

/* The kernel's number for `struct task_struct`. */
const volatile __u32 cfg_task_type = 0;

/*
 * The same task, for pointers to be read from. For each pointer that is read through one that it trusts, a newer
 * verifier goes through the names of all of the kernel's types, up to four times, to learn whether to trust that one
 * too: a millisecond. Here nothing need be trusted. No helper has this number: user space puts a call of
 * bpf_rdonly_cast in its place, which the kernel makes a move of, or a move where there is no such thing
 * (src/load/patch.rs). What is read through the result costs some instructions more, and so what is no pointer is read
 * from the task itself.
 */
#define UNTRUSTED_CALL 0x72617774
static void *(*const untrusted)(const void *pointer, __u32 type) = (void *)UNTRUSTED_CALL;

/* The registers that the tracepoint brings, as pointer of a known type where that can be had. */
static __always_inline struct pt_regs *typed_regs(struct task_struct *task, struct pt_regs *regs)
{
	if (HAS_TYPED_REGS)
		return (struct pt_regs *)bpf_task_pt_regs(task);
	return regs;
}

/* A 32-bit task's numbers come from another table: i386 263 is timer_delete, x86_64 263 is unlinkat. */
static __always_inline bool is_compat(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return TASK(task, thread_info.status) & TS_COMPAT;
#elif defined(__TARGET_ARCH_arm64)
	return TASK(task, thread_info.flags) >> TIF_32BIT & 1;
#endif
}

/* Byte by byte: not every verifier lets a load take several elements of an array. */
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
