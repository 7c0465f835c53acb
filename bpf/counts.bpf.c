// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Counts system calls in the kernel, and sends nothing. The entry counts a call, the exit its error and its time. What
 * a call costs here is paid by every call of the host, so there is no hash on the way of counting by call.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "record.h"
#include "config.h"
#include "counts.h"
#include "lib/scratch.bpf.h"
#include "lib/task.bpf.h"
#include "lib/filter_task.bpf.h"
#include "lib/follow.bpf.h"

#if defined(__TARGET_ARCH_x86)
#define X32_BIT 0x40000000UL /* arch/x86/include/uapi/asm/unistd.h, __X32_SYSCALL_BIT */
#else
#define X32_BIT 0UL
#endif

/* The slot of each number, by table. Numbers that are too large share the last element. */
const volatile __u16 cfg_slots[TABLES][SYSCALLS_MAX] = {};
const volatile __u8 cfg_traits[SLOTS_MAX] = {};
/* The number of slots, 0 included. */
const volatile __u32 cfg_slot_count = 1;
/* Whether calls are counted by process too. */
const volatile bool cfg_by_process = false;
/* Whether there is any filter but that of cfg_self. */
const volatile bool cfg_is_filtered = false;
/* Whether the times of calls are measured. */
const volatile bool cfg_latency = false;

/* No call has it. It counts, as calls, the processes that are not followed because `followed` was full. */
#define SLOT_OF_UNFOLLOWED 0

/* By CPU and slot: only the CPU's programs write its elements. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call_count);
} call_counts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call_times);
} call_times SEC(".maps");

/* By CPU and slot, too. Small tables in an array: an error costs no hash, and whoever may map it can read it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call_errnos);
} call_errnos SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct process_errno);
	__type(value, __u64);
} process_errnos SEC(".maps");

/* What does not fit here is counted by CPU and slot, and so shown as that of other processes. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct process_key);
	__type(value, struct process_count);
} process_counts SEC(".maps");

/*
 * The call that each possible thread is in: its slot in the low bits, and its start above them; 0 for none. An element
 * for every thread id takes no hash, cannot fill up, and is there on kernels without task storage.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} starts SEC(".maps");

#define SLOT_BITS 12
#define SLOT_MASK ((1 << SLOT_BITS) - 1)

struct name {
	__u64 comm[COMM_BYTES / 8];
};

/* The names of processes in prctl(2), which can change them, by thread id. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct name);
} names SEC(".maps");

struct exec {
	__u64 mm;    /* the address of the memory with which it began */
	__u64 start; /* as in `starts` */
	struct name name;
};

/* What finds no room is not timed. */
#include "lib/execs.bpf.h"

/* A process's first element. It is in a map because it is too large for a program's stack. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct process_count);
} nothing SEC(".maps");

static __always_inline __u32 slot_of(struct task_struct *task, __u32 nr)
{
	__u32 table = ABI_NATIVE, slot;
	__u64 at = nr;

	if (is_compat(task)) {
		table = ABI_COMPAT;
	} else if (nr & X32_BIT) {
		table = ABI_X32;
		at = nr & ~X32_BIT;
	}
	if (at >= SYSCALLS_MAX)
		at = SYSCALLS_MAX - 1;
	barrier_var(at);
	slot = cfg_slots[table][at & (SYSCALLS_MAX - 1)];
	return slot;
}

static __always_inline bool has_trait(__u32 slot, __u8 trait)
{
	return cfg_traits[slot & (SLOTS_MAX - 1)] & trait;
}

static __always_inline struct call_count *count_of(__u32 slot)
{
	__u32 at = bpf_get_smp_processor_id() * cfg_slot_count + slot;

	return bpf_map_lookup_elem(&call_counts, &at);
}

static __always_inline struct call_errnos *errnos_of(__u32 slot)
{
	__u32 at = bpf_get_smp_processor_id() * cfg_slot_count + slot;

	return bpf_map_lookup_elem(&call_errnos, &at);
}

static __always_inline struct call_times *times_of(__u32 slot)
{
	__u32 at = bpf_get_smp_processor_id() * cfg_slot_count + slot;

	return bpf_map_lookup_elem(&call_times, &at);
}

/* Returns the element of a thread id. Ids that follow one another are put on different lines of the CPUs' caches. */
static __always_inline __u64 *start_at(__u32 tid)
{
	__u32 at = (tid & ~511U) + ((tid & 63) << 3) + (tid >> 6 & 7);

	return bpf_map_lookup_elem(&starts, &at);
}

static __always_inline __u64 *start_of(struct task_struct *task)
{
	return start_at(TASK(task, pid));
}

/*
 * Whether an exit with this number can be that of an exec, in any table (arch/x86/entry/syscalls,
 * include/uapi/asm-generic/unistd.h, arch/arm/tools/syscall.tbl). A successful one has the number of execve(2).
 */
static __always_inline bool can_end_exec(__u32 nr)
{
	switch (nr) {
	case 11:
#if defined(__TARGET_ARCH_x86)
	case 59:
	case 322:
	case 358:
	case X32_BIT | 520:
	case X32_BIT | 545:
#elif defined(__TARGET_ARCH_arm64)
	case 221:
	case 281:
	case 387:
#endif
		return true;
	default:
		return false;
	}
}

static __always_inline void begin_exec(struct task_struct *task, __u64 start)
{
	struct exec exec = {.mm = mm_of(task), .start = start};

	if (cfg_by_process)
		read_comm((__u8 *)exec.name.comm, TASK(task, group_leader));
	keep_exec(task, &exec);
}

static __always_inline void name_process(struct process_key *key, struct task_struct *task)
{
	read_comm((__u8 *)key->comm, TASK(task, group_leader));
}

/* Returns the process's element of the call, or NULL when there is no room for it. */
static __always_inline struct process_count *process_of(const struct process_key *key)
{
	struct process_count *found = bpf_map_lookup_elem(&process_counts, key), *first;
	__u32 zero = 0;

	if (found)
		return found;
	first = bpf_map_lookup_elem(&nothing, &zero);
	if (!first)
		return NULL;
	/* Another thread may be first. */
	bpf_map_update_elem(&process_counts, key, first, BPF_NOEXIST);
	return bpf_map_lookup_elem(&process_counts, key);
}

/*
 * Whether a filter leaves the task's call out. Nearly always the only one is that of this very process. A flag that is
 * off costs a load, although the verifier knows its value, so one stands for all the others.
 */
static __always_inline bool is_left_out(struct task_struct *task, __u32 slot)
{
	if (!cfg_is_filtered)
		return cfg_self && is_self(task);
	return is_filtered(task) || (is_launching(task) && !has_trait(slot, SLOT_EXECS));
}

static __always_inline void count_call(__u32 slot)
{
	struct call_count *count = count_of(slot);

	if (count)
		count->calls++;
}

static __always_inline void count_call_by_process(struct task_struct *task, __u32 slot)
{
	struct process_count *process;
	struct process_key key = {};
	__u32 tid;

	key.pid = TASK(task, tgid);
	key.slot = slot;
	name_process(&key, task);
	process = process_of(&key);
	if (process)
		__sync_fetch_and_add(&process->count.calls, 1);
	else
		count_call(slot);
	if (cfg_latency && has_trait(slot, SLOT_RENAMES)) {
		tid = TASK(task, pid);
		bpf_map_update_elem(&names, &tid, key.comm, BPF_ANY);
	}
}

static __always_inline int on_enter(__u32 nr)
{
	struct task_struct *task = current_task();
	__u32 slot = slot_of(task, nr);
	__u64 *start, now;

	if (!slot || is_left_out(task, slot))
		return 0;
	if (cfg_by_process)
		count_call_by_process(task, slot);
	else
		count_call(slot);
	if (has_trait(slot, SLOT_EXECS))
		begin_exec(task, cfg_latency ? bpf_ktime_get_ns() << SLOT_BITS | slot : slot);
	if (cfg_latency) {
		now = has_trait(slot, SLOT_NO_RETURN | SLOT_EXECS) ? 0 : bpf_ktime_get_ns() << SLOT_BITS | slot;
		start = start_of(task);
		if (start)
			*start = now;
	}
	return 0;
}

static __always_inline bool is_error(__s64 ret)
{
	return (__u64)ret >= (__u64)-4095; /* MAX_ERRNO, include/linux/err.h */
}

/* Counts an error by its number. It is global, so the verifier checks its loop once. */
__noinline int count_errno(__u32 slot, __u32 number)
{
	struct call_errnos *found = errnos_of(slot);

	if (!found)
		return 0;
	for (int at = 0; at < ERRNOS; at++) {
		if (found->errnos[at] != number) {
			if (found->errnos[at])
				continue;
			found->errnos[at] = number;
		}
		found->counts[at]++;
		return 0;
	}
	return 0;
}

/* Counts the same of a process. */
static __always_inline void count_process_errno(const struct process_key *process, __u64 number)
{
	struct process_errno key = {.process = *process, .errno = number};
	__u64 first = 0, *found;

	found = bpf_map_lookup_elem(&process_errnos, &key);
	if (!found) {
		/* Another thread may be first. */
		bpf_map_update_elem(&process_errnos, &key, &first, BPF_NOEXIST);
		found = bpf_map_lookup_elem(&process_errnos, &key);
	}
	if (found)
		__sync_fetch_and_add(found, 1);
}

/* Returns the bucket of a time. */
static __always_inline __u32 bucket_of(__u64 ns)
{
	__u32 bits = 0;

	ns >>= FIRST_BITS;
	if (ns >> (BUCKETS - 2))
		return BUCKETS - 1;
	if (ns >> 16) {
		ns >>= 16;
		bits += 16;
	}
	if (ns >> 8) {
		ns >>= 8;
		bits += 8;
	}
	if (ns >> 4) {
		ns >>= 4;
		bits += 4;
	}
	if (ns >> 2) {
		ns >>= 2;
		bits += 2;
	}
	return bits + (ns >= 2 ? 2 : ns);
}

/* Adds a time to an element that other CPUs write, too. Two at once may miss the longer one as the longest. */
static __always_inline void add_shared_time(struct call_times *times, __u64 ns)
{
	__u32 bucket = bucket_of(ns);

	barrier_var(bucket);
	__sync_fetch_and_add(&times->total_ns, ns);
	__sync_fetch_and_add(&times->buckets[bucket & (BUCKETS - 1)], 1);
	if (times->max_ns < ns)
		times->max_ns = ns;
}

static __always_inline void add_time(struct call_times *times, __u64 ns)
{
	__u32 bucket = bucket_of(ns);

	barrier_var(bucket);
	times->total_ns += ns;
	times->buckets[bucket & (BUCKETS - 1)]++;
	if (times->max_ns < ns)
		times->max_ns = ns;
}

static __always_inline int on_exit(__u32 nr, __s64 ret)
{
	struct process_count *process = NULL;
	struct process_key key = {};
	struct task_struct *task;
	struct call_count *count;
	struct call_times *times;
	__u64 now = 0, stamp = 0, ns = 0;
	struct exec *exec = NULL;
	struct name *name;
	__u64 *start;
	__u32 slot, tid;

	if (!cfg_latency && !is_error(ret))
		return 0;
	task = current_task();
	if (cfg_latency) {
		now = bpf_ktime_get_ns();
		start = start_of(task);
		if (start) {
			stamp = *start;
			*start = 0;
		}
	}
	if (!stamp && can_end_exec(nr)) {
		exec = ending_exec(task, ret);
		if (exec) {
			stamp = exec->start;
			key.comm[0] = exec->name.comm[0];
			key.comm[1] = exec->name.comm[1];
			end_exec(task);
		}
	}
	/* The call's own slot. Meanwhile an exec may have changed the thread's table. */
	slot = stamp & SLOT_MASK;
	if (!slot) {
		/* A sigreturn leaves NO_NR, and a register of what it goes on with. */
		if (!is_error(ret) || nr == NO_NR)
			return 0;
		slot = slot_of(task, nr);
		if (!slot || is_left_out(task, slot))
			return 0;
	}
	if (cfg_latency && stamp)
		ns = ((now << SLOT_BITS) - (stamp & ~(__u64)SLOT_MASK)) >> SLOT_BITS;
	if (cfg_by_process) {
		key.pid = TASK(task, tgid);
		key.slot = slot;
		if (!exec)
			name_process(&key, task);
		if (cfg_latency && stamp && has_trait(slot, SLOT_RENAMES)) {
			tid = TASK(task, pid);
			name = bpf_map_lookup_elem(&names, &tid);
			if (name) {
				key.comm[0] = name->comm[0];
				key.comm[1] = name->comm[1];
				bpf_map_delete_elem(&names, &tid);
			}
		}
		process = process_of(&key);
	}
	if (process) {
		if (is_error(ret)) {
			__sync_fetch_and_add(&process->count.errors, 1);
			count_process_errno(&key, -ret);
		}
		if (cfg_latency && stamp)
			add_shared_time(&process->times, ns);
		return 0;
	}
	if (is_error(ret)) {
		count = count_of(slot);
		if (count)
			count->errors++;
		count_errno(slot, -ret);
	}
	if (cfg_latency && stamp) {
		times = times_of(slot);
		if (times)
			add_time(times, ns);
	}
	return 0;
}

/* The cheapest hook. The kernel may skip it where it preempts programs, and counts that. */
SEC("raw_tp/sys_enter")
int count_enter(struct bpf_raw_tracepoint_args *ctx)
{
	return on_enter(ctx->args[1]);
}

/* The kernel runs the programs of these tracepoints with preemption off. */
SEC("tp/raw_syscalls/sys_enter")
int trace_enter(struct trace_event_raw_sys_enter *ctx)
{
	return on_enter(ctx->id);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(count_exit, struct pt_regs *regs, long ret)
{
#if defined(__TARGET_ARCH_x86)
	return on_exit(regs->orig_ax, ret);
#elif defined(__TARGET_ARCH_arm64)
	return on_exit(regs->syscallno, ret);
#endif
}

SEC("tp/raw_syscalls/sys_exit")
int trace_exit(struct trace_event_raw_sys_exit *ctx)
{
	return on_exit(ctx->id, ctx->ret);
}

/* Runs before the child does. The thread that had its id before may have ended in a call, and the child is in none. */
SEC("raw_tp/sched_process_fork")
int handle_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *child = (void *)ctx->args[1];
	struct call_count *count;
	__u64 *start;

	if (cfg_latency) {
		start = start_at(BPF_CORE_READ(child, pid));
		if (start)
			*start = 0;
	}
	if (cfg_follow && !follow_child((void *)ctx->args[0], child)) {
		count = count_of(SLOT_OF_UNFOLLOWED);
		if (count)
			__sync_fetch_and_add(&count->calls, 1);
	}
	return 0;
}

/* Runs in an exec that succeeded, whose exit is not looked at where there are no times. */
SEC("raw_tp/sched_process_exec")
int handle_exec(struct bpf_raw_tracepoint_args *ctx)
{
	end_exec((void *)ctx->args[0]);
	return 0;
}

/* Runs in a thread that ends. An exec ends before, but another thread may have the address next. */
SEC("raw_tp/sched_process_exit")
int handle_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];

	end_exec(task);
	if (cfg_follow)
		forget_process(task);
	return 0;
}

/* Variables that only put these types into the object's BTF, from which the skeleton generates the Rust types. */
struct call_count _call_count = {0};
struct call_times _call_times = {0};
struct call_errnos _call_errnos = {0};
struct process_errno _process_errno = {0};
struct process_count _process_count = {0};
struct process_key _process_key = {0};
enum slot_trait _slot_trait = 0;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
