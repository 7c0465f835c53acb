/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Reports the paths of cgroups when they are created and when their last process leaves them. User space can look up
 * the path of a cgroup that exists, but a container's cgroup is gone soon after its last process. A cgroup with
 * processes cannot be removed, so one of the two reports is in the ring before the removal.
 */
#ifndef RAWTP_CGROUP_BPF_H
#define RAWTP_CGROUP_BPF_H

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cgroup_state);
} cgroup_states SEC(".maps");

/*
 * Whether the tracepoints have the expected arguments. Elsewhere the programs must not attach, because they would read
 * other values as the cgroup and its path.
 */
#define KNOWS_CGROUPS                                                                                                  \
	(bpf_core_type_exists(btf_trace_cgroup_mkdir) && bpf_core_type_exists(btf_trace_cgroup_notify_populated) &&    \
	 bpf_core_field_exists(((struct cgroup_root *)0)->subsys_mask) &&                                              \
	 bpf_core_field_exists(((struct cgroup_root *)0)->hierarchy_id))

/*
 * Returns the version of the cgroup's hierarchy: 2, 1, or 0 for a hierarchy whose ids no record has. Ids are unique
 * only within one hierarchy.
 */
static __always_inline __u16 version_of(struct cgroup *cgroup)
{
	__u32 subsys;

	/* The kernel numbers its hierarchies and gives 0 to that of version 2. */
	if (!BPF_CORE_READ(cgroup, root, hierarchy_id))
		return 2;
	subsys = cgroup_v1_subsys();
	return subsys < CGROUP_SUBSYS_MAX && BPF_CORE_READ(cgroup, root, subsys_mask) >> subsys & 1;
}

/*
 * Sends the cgroup's path. The kernel holds a lock of its own around each of these tracepoints, so no report interrupts
 * another.
 */
static __always_inline int report_cgroup(struct cgroup *cgroup, const char *path, bool is_new)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct cgroup_state *state = bpf_map_lookup_elem(&cgroup_states, &cpu);
	struct counters *counted;
	__u64 bytes;
	long n;

	if (!state || live.is_closed)
		return 0;
	state->record.version = version_of(cgroup);
	if (!state->record.version)
		return 0;
	n = bpf_probe_read_kernel_str(state->path, CGROUP_PATH_BYTES, path);
	/* The kernel cuts a longer path without marking that. */
	if (n <= 1 || n >= CGROUP_PATH_BYTES)
		return 0;
	state->record.kind = RECORD_CGROUP;
	state->record.is_new = is_new;
	state->record.id = BPF_CORE_READ(cgroup, kn, id);
	bytes = n - 1;
	barrier_var(bytes);
	bytes = sizeof(state->record) + (bytes & (CGROUP_PATH_BYTES - 1));
	if (bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) + bytes + 8 <= cfg_enter_bytes &&
	    !bpf_ringbuf_output(&events, state, bytes, 0))
		return 0;
	counted = bpf_map_lookup_elem(&counters, &cpu);
	if (counted)
		__sync_fetch_and_add(&counted->lost_cgroups, 1);
	return 0;
}

/* Runs before any process can be in the cgroup. */
SEC("raw_tp")
int handle_cgroup_made(struct bpf_raw_tracepoint_args *ctx)
{
	if (!KNOWS_CGROUPS)
		return UNKNOWN_ARGUMENTS(ctx);
	return report_cgroup((struct cgroup *)ARGUMENT_AT(ctx, 0), (const char *)ARGUMENT_AT(ctx, 1), true);
}

/* Reports cgroups that are older than the tracer. */
SEC("raw_tp")
int handle_cgroup_left(struct bpf_raw_tracepoint_args *ctx)
{
	if (!KNOWS_CGROUPS)
		return UNKNOWN_ARGUMENTS(ctx);
	if (ARGUMENT_AT(ctx, 2))
		return 0;
	return report_cgroup((struct cgroup *)ARGUMENT_AT(ctx, 0), (const char *)ARGUMENT_AT(ctx, 1), false);
}

#endif
