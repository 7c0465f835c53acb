/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The ring, the state of each program, and what user space configured. */
#ifndef RAWTP_STATE_BPF_H
#define RAWTP_STATE_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/*
 * Indexed by slot: the CPU; then once more, for io_uring; and of call_states and walks a third time, for exits. Plain
 * arrays, not per-CPU ones: their look-up is inlined on every kernel, and they can be mapped, so that user space reads
 * the counters without a system call and without privilege. The loader freezes these: nobody but the programs writes
 * them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* In a map of its own, since user space writes it: once it is set, a program that begins counts and sends nothing more.
 */
volatile __u32 is_closed SEC(".data.closed") = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct call_state);
} call_states SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, EXEC_SLOTS);
	__type(key, __u32);
	__type(value, struct exec_entry);
} exec_entries SEC(".maps");

const volatile __u32 cfg_cpus = 1;
/* The slot of the first CPU's exits. */
const volatile __u32 cfg_exit_slots = 0;
/* Whether the exit program is loaded too. */
const volatile bool cfg_results = true;
/* Whether directories are resolved. */
const volatile bool cfg_paths = true;
/* Whether the rest of the fixed record is filled, and the two segments that say what the process runs. */
const volatile bool cfg_identity = true;
const volatile bool cfg_exe = true;
const volatile bool cfg_argv = true;
const volatile bool cfg_ancestors = false;
const volatile enum cgroup_v1 cfg_cgroup_v1 = CGROUP_V1_NONE;
/* Bytes of the ring that enter records may use. The rest is kept for exits, so that what was begun can be finished. */
const volatile __u64 cfg_enter_bytes = 0;

#endif
