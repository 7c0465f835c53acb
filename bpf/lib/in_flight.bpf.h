/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Calls in flight: what the entry of a thread's call decided, which its exit only carries out. */
#ifndef RAWTP_IN_FLIGHT_BPF_H
#define RAWTP_IN_FLIGHT_BPF_H

/*
 * The exit asks no filter again: meanwhile another thread can have changed this one's comm or cgroup, and what the exit
 * of one call tells would be joined to another. A byte for every thread id that there can be, and not a hash: nobody's
 * calls can fill it up, and nothing in it is of another thread.
 */
enum decision {
	CALL_UNSEEN = 0, /* no entry was seen, or it could not tell: the exit decides */
	CALL_SENT = 1,
	CALL_FAULT = 2,	   /* sent, but a name's page was not there: the call itself faults it in, read it again */
	CALL_LEFT_OUT = 3, /* filtered, no event, or lost: an exit record alone would only take room from others */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct decisions);
} in_flight SEC(".maps");

/* NULL for a thread id beyond those that there were when the tracer was loaded (kernel.pid_max was raised). */
static __always_inline __u8 *decision_of(struct task_struct *task)
{
	__u32 tid = TASK(task, pid), page = tid / DECISIONS_BYTES;
	__u64 at = (tid & 63) << 6 | (tid >> 6 & 63);
	struct decisions *decisions = bpf_map_lookup_elem(&in_flight, &page);

	if (!decisions)
		return NULL;
	/* For the verifier of Linux 5.10, which knows no range of an `or`. */
	barrier_var(at);
	return &decisions->of[at & (DECISIONS_BYTES - 1)];
}

#endif
