/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The configuration that user space writes into the programs, and the counters that it maps. */
#ifndef RAWTP_CONFIG_H
#define RAWTP_CONFIG_H

/*
 * The counters of one CPU and one program that writes enter records. The slots for system calls of all CPUs come first,
 * then those for io_uring. They are apart from the programs' other state, because a process that may read a tracer's
 * counters must not read the registers of other processes' calls.
 */
struct counters {
	__u64 seq; /* the number of the last record */
	__u64 matched;
	__u64 filtered;
	__u64 submitted;
	__u64 lost_ring;
	__u64 unfollowed;   /* processes not followed because `followed` was full */
	__u64 lost_exits;   /* only in the CPU's slot for system calls */
	__u32 lost;	    /* losses since the last record that fitted; saturates */
	__u32 lost_cgroups; /* cgroup records that did not fit; only in the CPU's slot for system calls */
	__u64 missed;	    /* runs that found another program in the middle of this slot's state */
	__u64 lost_truths;  /* truth records that did not fit; only in the CPU's slot for system calls */
};

/* The most values that a filter takes. */
#define FILTER_MAX 32

/* A command's name or its beginning. The masks say which bits are compared. */
struct comm_filter {
	__u64 words[COMM_BYTES / 8];
	__u64 masks[COMM_BYTES / 8];
};

/* The most bytes of a path that the programs compare. It is a multiple of 8. */
#define PATH_FILTER_BYTES 256

/* A path whose events are wanted, with everything below it. */
struct path_filter {
	__u8 downwards[PATH_FILTER_BYTES]; /* in the order of writing; "" for the root */
	/*
	 * In the order of a walk, from the leaf to the root, with a NUL before the first name. It ends at the array's
	 * end.
	 */
	__u8 upwards[PATH_FILTER_BYTES + 8];
	__u32 bytes; /* the length of downwards */
	__u32 reserved;
};

/* The most processes that are followed at a time. */
#define FOLLOWED_MAX 32768

/* The condition under which a watched call is an event. */
enum call_condition {
	CALL_NEVER = 0,
	CALL_ALWAYS = 1,
	CALL_O_TRUNC = 2,     /* open: the flags argument has O_TRUNC */
	CALL_HOW_O_TRUNC = 3, /* openat2: the flags in the caller's structure have O_TRUNC */
};

/* The positions of a call's arguments, from 1; 0 means that the call has no such argument. */
struct call {
	__u8 condition;
	__u8 dfd;
	__u8 path;
	__u8 flags;
	__u8 new_dfd;
	__u8 new_path;
	__u8 length; /* the new size of the file */
	__u8 traits; /* enum call_trait */
};

/* What else the programs must know about a call. */
enum call_trait {
	CALL_OPENS = 1,	       /* returns a descriptor of the file */
	CALL_SPLITS_LENGTH = 2, /* the length is two arguments, the low half first */
};

/* An io_uring request, by opcode. */
struct request_call {
	__u32 nr; /* the native number of the call that does the same */
	__u8 condition;
	__u8 reserved[3];
};

/* A bound above the opcodes of all watched requests. */
#define OPCODES_MAX 64

/* The version 1 hierarchy whose paths name containers and units, by one of its controllers. */
enum cgroup_v1 {
	CGROUP_V1_NONE = 0,
	CGROUP_V1_MEMORY = 1,
	CGROUP_V1_PIDS = 2,
	CGROUP_V1_DEVICES = 3,
	CGROUP_V1_CPU = 4,
};

/* A bound above the numbers of all watched calls in any table. */
#define SYSCALLS_MAX 512

#endif
