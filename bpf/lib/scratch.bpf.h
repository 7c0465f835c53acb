/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The types of the memory in which a program puts a record together. */
#ifndef RAWTP_SCRATCH_BPF_H
#define RAWTP_SCRATCH_BPF_H

/*
 * Room for two names and two directories, each up to PATH_MAX. A segment begins below SEGMENTS_BYTES, a power of two so
 * that a mask proves it to the verifier, and ends below SEGMENTS_BYTES + SEGMENT_MOST.
 */
#define SEGMENTS_BYTES 32768
#define SEGMENT_MOST (PATH_MAX + 256)

/*
 * Behind its record, with which it is sent as one run of bytes. What the programs know of it is kept here, too, and not
 * in registers: what is read back from memory is the same to the verifier whatever way led there, and so it goes on
 * once.
 */
struct segments {
	__u8 bytes[SEGMENTS_BYTES + SEGMENT_MOST];
	__u32 end;	 /* where the next one begins */
	__u32 has_fault; /* a name among them could not be read */
	__u32 is_wanted; /* by its paths, as far as they were appended */
	__u32 reserved;
};

/* Argument 1 to 6 of the call, at its own index; 0 reads as 0. */
struct arguments {
	__u64 at[8];
};

/* What is to be done to what: descriptors, and the addresses of names. */
struct operands {
	__u64 name;
	__u64 new_name;
	__s32 dfd;
	__s32 new_dfd;
	__u32 flags;
	__u8 has_name;
	__u8 has_new_name;
	__u8 has_no_dfd;
	__u8 reserved;
};

/* Where to read on, of the process. */
struct exec_source {
	__u64 exec_id;
	__u64 exe_file;
	__u64 arg_start;
	__u64 arg_end;
	__u32 exe_seq;
	__u32 is_sent; /* what it runs is known already */
};

/*
 * Processes of which it was sent what they run, by the low bits of their pid. Who shares a place with another only
 * sends it more often; user space keeps more than one of each place, for records that overtook each other.
 */
#define EXEC_SLOTS 16384

struct exec_entry {
	__u64 start_ns;
	__u64 exec_id;
	__u32 pid;
	__u32 exe_seq; /* of the executable's dentry: another one once the file is renamed or deleted */
};

/* What is compared with each path that is wanted: places in the segments. */
struct compared {
	__u32 name_at;
	__u32 name_bytes;
	__u32 end; /* of the names that were walked; behind it there is no more */
	__u32 bytes;
	__u32 root_bytes;
	__u32 is_absolute;
};

/*
 * The record that is being filled: by the same slots, and then once more for each CPU, for the exits of system calls.
 */
struct call_state {
	__u64 ring_budget;	     /* bytes of the ring that may be used without asking */
	__u32 lost_exits_unreported; /* in those of exits only */
	__u32 reserved;
	struct arguments arguments;
	struct operands operands;
	struct exec_source exec;
	struct compared compared;
	union {
		struct enter_record record;
		/* At its end, since the segments stand right behind whichever it is. */
		struct {
			__u8 unused[sizeof(struct enter_record) - sizeof(struct exit_record)];
			struct exit_record exit;
		};
	};
	struct segments segments;
};

/*
 * What was decided at the entry of the call that a thread is in, one byte a thread. A page of them is one element of
 * the map, and neighbouring threads are 64 bytes apart in it: each CPU then writes cache lines of its own.
 */
#define DECISIONS_BYTES 4096

struct decisions {
	__u8 of[DECISIONS_BYTES];
};

/* One for each CPU: the cgroup_record that is being filled. */
struct cgroup_state {
	struct cgroup_record record;
	__u8 path[CGROUP_PATH_BYTES];
};

#endif
