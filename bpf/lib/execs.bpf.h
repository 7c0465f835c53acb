/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Execs in flight, by the address of their thread. One that is not its process's first takes the first one's id
 * (de_thread, fs/exec.c), also where the exec fails after that, and another thread can have its own id before the exec
 * returns. The program defines struct exec before, with the thread's memory at the entry as `mm`.
 */
#ifndef RAWTP_EXECS_BPF_H
#define RAWTP_EXECS_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct exec);
} execs SEC(".maps");

/* Returns the exec as it is kept, or NULL when there is no room for it. */
static __always_inline struct exec *keep_exec(struct task_struct *task, const struct exec *exec)
{
	__u64 at = (__u64)task;

	return bpf_map_update_elem(&execs, &at, exec, BPF_ANY) ? NULL : bpf_map_lookup_elem(&execs, &at);
}

static __always_inline void end_exec(struct task_struct *task)
{
	__u64 at = (__u64)task;

	bpf_map_delete_elem(&execs, &at);
}

/* Whether the exec has given the thread another memory. */
static __always_inline bool is_replaced(const struct exec *exec, struct task_struct *task)
{
	return exec->mm != mm_of(task);
}

/* Returns the exec that ends with this result, or NULL where its entry was not seen or found no room. */
static __always_inline struct exec *ending_exec(struct task_struct *task, __s64 ret)
{
	__u64 at = (__u64)task;
	struct exec *exec = bpf_map_lookup_elem(&execs, &at);

	/* One whose exit had a number that is not watched, as a debugger can give it. This is the exit of another. */
	if (exec && is_replaced(exec, task) && ret && !is_ending(task)) {
		end_exec(task);
		return NULL;
	}
	return exec;
}

#endif
