/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Calls in flight: the decision at the entry of a thread's call, which the exit only carries out. */
#ifndef RAWTP_IN_FLIGHT_BPF_H
#define RAWTP_IN_FLIGHT_BPF_H

/*
 * The decision about a call in flight. The exit evaluates no filter again: meanwhile another thread can have changed
 * this one's comm or cgroup, and the exit of one call would be joined to another. There is a byte for every possible
 * thread id instead of a hash, so nobody's calls can fill it up, and no entry belongs to another thread. Only an exec
 * has an entry in a hash, since its thread's id can change.
 */
enum decision {
	CALL_UNSEEN = 0, /* the entry was not seen or could not decide, so the exit decides */
	CALL_SENT = 1,
	CALL_FAULT = 2,	   /* sent, but a name's page was absent; the call faults it in, so the exit reads it again */
	CALL_LEFT_OUT = 3, /* filtered, no event, or lost; an exit record alone would only waste room */
	CALL_GONE = 4, /* of CALL_NO_RETURN: nothing follows; the thread's next exit may be that of an unseen call */
	CALL_REPLACED = 5, /* of an exec that was sent: the thread has another memory, without the call's arguments */
};

/* A bit beside CALL_SENT and CALL_FAULT: the call has freed a file. */
#define CALL_FREED 0x80

/*
 * The bits beside CALL_SENT of an event that a function made: how many of the functions that do the work the thread is
 * in, one inside the other. A file system that is made of others does its work by the same functions.
 */
#define WORK_DEPTH(depth) ((depth) << 2)
#define DEPTH_OF(decision) ((decision) >> 2 & 31)
#define DECISION_OF(decision) ((decision)&3)

/* Whether files that are freed are seen. User space sets it when the program for them is attached. */
volatile __u32 sees_freed = 0;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct decisions);
} in_flight SEC(".maps");

/* An exec, whose decision goes by its thread's address (execs.bpf.h). What finds no room there has no result. */
struct exec {
	__u64 mm;  /* the address of the memory with which it began */
	__u32 tid; /* with which it began */
	__u8 decision;
	__u8 reserved[3];
};

/* Returns the decision of a thread id, or NULL for one beyond the limit at load time (kernel.pid_max was raised). */
static __always_inline __u8 *decision_at(__u32 tid)
{
	__u32 page = tid / DECISIONS_BYTES;
	__u64 at = (tid & 63) << 6 | (tid >> 6 & 63);
	struct decisions *decisions = bpf_map_lookup_elem(&in_flight, &page);

	if (!decisions)
		return NULL;
	/* For the verifier of Linux 5.10, which does not track the range of an `or`. */
	barrier_var(at);
	return &decisions->of[at & (DECISIONS_BYTES - 1)];
}

static __always_inline __u8 *decision_of(struct task_struct *task)
{
	return decision_at(TASK(task, pid));
}

#endif
