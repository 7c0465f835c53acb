/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What user space writes into the programs, or maps. */
#ifndef RAWTP_CONFIG_H
#define RAWTP_CONFIG_H

/*
 * One for each CPU and program that writes enter records. The CPU's for system calls come first, then those for
 * io_uring. Apart from the rest of the programs' state, because whoever may read a tracer's counters may not read what
 * other calls had in their registers.
 */
struct counters {
	__u64 seq; /* of the last record */
	__u64 matched;
	__u64 filtered;
	__u64 submitted;
	__u64 lost_ring;
	__u64 unfollowed;   /* processes that are not followed because `followed` was full */
	__u64 lost_exits;   /* in the first of a CPU only */
	__u32 lost;	    /* since the last record that fitted; saturates */
	__u32 lost_cgroups; /* cgroup records that did not fit: in the first of a CPU only */
};

/* How many values a filter takes. */
#define FILTER_MAX 32

/* A command's name, or the beginning of one: which bits are compared. */
struct comm_filter {
	__u64 words[COMM_BYTES / 8];
	__u64 masks[COMM_BYTES / 8];
};

/* How much of a path the programs compare: a multiple of 8. */
#define PATH_FILTER_BYTES 256

/* A path that is wanted, and all that is below it. */
struct path_filter {
	__u8 downwards[PATH_FILTER_BYTES]; /* as it is written; "" for the root */
	/* As a walk has it, from the leaf to the root, with a NUL before the first: at the end of the array. */
	__u8 upwards[PATH_FILTER_BYTES + 8];
	__u32 bytes; /* of downwards */
	__u32 reserved;
};

/* How many processes are followed at a time. */
#define FOLLOWED_MAX 32768

/* When a watched call is an event. */
enum call_condition {
	CALL_NEVER = 0,
	CALL_ALWAYS = 1,
	CALL_O_TRUNC = 2,     /* open: the flags have it */
	CALL_HOW_O_TRUNC = 3, /* openat2: the flags are in a structure of the caller's */
};

/* Which argument of a call is what: from 1; 0 for none. */
struct call {
	__u8 condition;
	__u8 dfd;
	__u8 path;
	__u8 flags;
	__u8 new_dfd;
	__u8 new_path;
	__u8 reserved[2];
};

/* A request of io_uring's, by opcode. */
struct request_call {
	__u32 nr; /* of the call that does the same, in the native table */
	__u8 condition;
	__u8 reserved[3];
};

/* No watched opcode is higher. */
#define OPCODES_MAX 64

/* A hierarchy of version 1 whose paths tell containers and units, by the controller that is attached to it. */
enum cgroup_v1 {
	CGROUP_V1_NONE = 0,
	CGROUP_V1_MEMORY = 1,
	CGROUP_V1_PIDS = 2,
	CGROUP_V1_DEVICES = 3,
	CGROUP_V1_CPU = 4,
};

/* No watched call of any table has a higher number. */
#define SYSCALLS_MAX 512

#endif
