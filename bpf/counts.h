/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the programs that count share with user space. */
#ifndef RAWTP_COUNTS_H
#define RAWTP_COUNTS_H

/* A bound on the slots, and a power of two. A slot is a call of one table; 0 stands for a call that is not counted. */
#define SLOTS_MAX 2048

/* The tables of numbers: the native one, the 32-bit one, and x32's (enum abi). */
#define TABLES 3

/* The kinds of slots that need something special. */
enum slot_trait {
	SLOT_NO_RETURN = 1, /* the call does not return when it succeeds */
	SLOT_RENAMES = 2,   /* the call can change the name of the process */
	SLOT_EXECS = 4,	    /* execve and execveat */
};

/* The calls of one slot. */
struct call_count {
	__u64 calls;  /* those that began */
	__u64 errors; /* those that returned an error */
};

/* The different errors of a slot that one CPU tells apart. Further ones are only among all errors of the slot. */
#define ERRNOS 12

/* The errors of one slot, by number. The places are taken one after the other, and stay taken. */
struct call_errnos {
	__u64 counts[ERRNOS];
	__u16 errnos[ERRNOS]; /* 0 in a place that is free */
};

/* The buckets of a histogram: each holds times of up to twice the one before. The last one has no upper bound. */
#define BUCKETS 32

/* The first bucket holds what took less than 1 << FIRST_BITS nanoseconds. */
#define FIRST_BITS 6

/* The times that calls took between entry and exit. */
struct call_times {
	__u64 total_ns;
	__u64 max_ns;
	__u64 buckets[BUCKETS];
};

/* The calls of one slot by one process. The times are left out where they are not asked for. */
struct process_count {
	struct call_count count;
	struct call_times times;
};

struct process_key {
	__u32 pid;
	__u32 slot;
	__u64 comm[COMM_BYTES / 8]; /* the main thread's, so a process that runs another program is another key */
};

/* The errors of one number of one slot by one process. */
struct process_errno {
	struct process_key process;
	__u64 errno;
};

#endif
