/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The ring, the programs' state and their configuration. */
#ifndef RAWTP_STATE_BPF_H
#define RAWTP_STATE_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} events SEC(".maps");

/*
 * The counters by slot: one slot per CPU, one more per CPU for io_uring, and one more for kernel threads. call_states
 * and walks have another one for exits, and one for truths. These are plain arrays, not per-CPU ones: their look-up is
 * inlined on every kernel, and they can be mapped, so user space reads the counters without system calls or privilege.
 * The loader freezes the counters, so only the programs write them.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* It is in a map of its own because user space writes it. */
volatile struct live_config live SEC(".data.live") = {};

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
/* The slot of the first CPU's truths. */
const volatile __u32 cfg_truth_slots = 0;
/* The slot of the first CPU's kernel threads. */
const volatile __u32 cfg_kernel_slots = 0;
/* Whether the exit program is loaded too. */
const volatile bool cfg_results = true;
/* Whether functions of the kernel's make the events, and no system call is hooked. */
const volatile bool cfg_by_functions = false;
/* Whether one program can begin on a CPU in the middle of another, because programs are preemptible. */
const volatile bool cfg_is_preemptible = false;
/* Whether directories are resolved. */
const volatile bool cfg_paths = true;
/* Whether files are read, and the sizes that truncations ask for. */
const volatile bool cfg_files = false;
/* Whether walks tell the places of files, and mount namespaces are reported. */
const volatile bool cfg_places = false;
/* Whether the rest of the fixed record is filled, and which optional segments are appended. */
const volatile bool cfg_identity = true;
const volatile bool cfg_exe = true;
const volatile bool cfg_argv = true;
const volatile bool cfg_cwd = false;
/* The most images in SEGMENT_ANCESTORS, the process's own included. */
const volatile __u32 cfg_ancestors = 0;
const volatile enum cgroup_v1 cfg_cgroup_v1 = CGROUP_V1_NONE;
/* The bytes of the ring that enter records may use. The rest is reserved for exits, so that calls in flight can end. */
const volatile __u64 cfg_enter_bytes = 0;

/*
 * Takes the state for one program. Returns false when another program is in the middle of it. Two that begin at the
 * same time may both get false, but never both true. Give it back in either case.
 */
static __always_inline bool begin_use(struct call_state *state)
{
	__sync_fetch_and_add(&state->users, 1);
	return *(volatile __u32 *)&state->users == 1;
}

static __always_inline void end_use(struct call_state *state)
{
	__sync_fetch_and_add(&state->users, -1);
}

/*
 * Takes the state of system calls where it can be in use. The entry of a call and the exit of a call whose entry was
 * not seen use the same one. See begin_use.
 */
static __always_inline bool take_state(struct call_state *state)
{
	return !cfg_is_preemptible || begin_use(state);
}

static __always_inline void give_back_state(struct call_state *state)
{
	if (cfg_is_preemptible)
		end_use(state);
}

#endif
