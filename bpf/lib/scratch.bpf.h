/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The memory in which a program puts together a record. */
#ifndef RAWTP_SCRATCH_BPF_H
#define RAWTP_SCRATCH_BPF_H

/*
 * The room for two names and two directories, each up to PATH_MAX. A segment begins below SEGMENTS_BYTES, which is a
 * power of two so that a mask proves the bound to the verifier. It ends below SEGMENTS_BYTES + SEGMENT_MOST.
 */
#define SEGMENTS_BYTES 32768
#define SEGMENT_MOST (PATH_MAX + 256)

/*
 * The segments. They follow their record and are sent with it as one run of bytes. The programs' knowledge about them
 * is kept here too, not in registers: a value read back from memory is the same to the verifier whatever path led
 * there, so it goes on only once.
 */
struct segments {
	__u8 bytes[SEGMENTS_BYTES + SEGMENT_MOST];
	__u32 end;	 /* the offset of the next segment */
	__u32 has_fault; /* whether a name could not be read */
	__u32 is_wanted; /* whether a path so far may match a path filter */
	__u32 reserved;
};

/* Arguments 1 to 6 of the call, at their own index. Index 0 reads as 0. */
struct arguments {
	__u64 at[8];
};

/* The operands of a call: descriptors, and the addresses of names. */
struct operands {
	__u64 name;
	__u64 new_name;
	__u64 file; /* the kernel's struct file, of a request whose descriptor is not known */
	struct range range;
	__s32 dfd;
	__s32 new_dfd;
	__u32 flags;
	__u8 has_name;
	__u8 has_new_name;
	__u8 has_no_dfd;
	__u8 has_range;
	__u8 has_length;
	__u8 follows; /* whether a symbolic link that the name leads to is followed */
	__u8 reserved[2];
	__s64 length;
};

/* The places in the kernel and the process where exe and argv are read from. */
struct exec_source {
	__u64 exec_id;
	__u64 exe_file;
	__u64 arg_start;
	__u64 arg_end;
	__u32 exe_seq;
	__u32 is_sent; /* whether exe and argv were sent */
};

/*
 * A direct-mapped cache of the processes whose exe and argv were sent, indexed by the low bits of the pid. A collision
 * only sends them again. User space keeps two per slot, because records can overtake each other.
 */
#define EXEC_SLOTS 16384

struct exec_entry {
	__u64 start_ns;
	__u64 exec_id;
	__u32 pid;
	__u32 exe_seq; /* the sequence of the executable's dentry; it changes when the file is renamed or deleted */
};

/* The part of the segments that is compared with each place. */
struct compared {
	__u32 end; /* the offset of the end of the names on the mount */
	__u32 bytes;
	__u32 dev;
	__u32 reserved;
};

/* What a function is about to do, by its arguments. */
struct work_arguments {
	struct dentry *dentry;
	struct vfsmount *mnt;
	struct dentry *new_dentry;
	struct vfsmount *new_mnt;
	__s64 length; /* of a truncation by a kernel thread */
	__u32 work;   /* enum work */
	__u32 flags;  /* of a rename */
};

/*
 * The state of the call whose record is being filled. It uses the same slots as the counters, one more per CPU for the
 * exits of system calls, and one more for truths.
 */
struct call_state {
	__u64 ring_budget;	     /* bytes of the ring that may be used without asking again */
	__u32 lost_exits_unreported; /* only in the states of exits */
	__u32 users;		     /* programs that began to use this state and have not ended */
	struct arguments arguments;
	struct operands operands;
	struct exec_source exec;
	struct compared compared;
	struct work_arguments work;
	union {
		struct enter_record record;
		/* At the end, because the segments directly follow whichever record it is. */
		struct {
			__u8 unused[sizeof(struct enter_record) - sizeof(struct exit_record)];
			struct exit_record exit;
		};
		struct {
			__u8 before_truth[sizeof(struct enter_record) - sizeof(struct truth_record)];
			struct truth_record truth;
		};
	};
	struct segments segments;
};

/*
 * The decisions at the entries of the calls in flight, one byte per thread. A page of them is one element of the map.
 * Neighbouring threads are 64 bytes apart in it, so that each CPU writes cache lines of its own.
 */
#define DECISIONS_BYTES 4096

struct decisions {
	__u8 of[DECISIONS_BYTES];
};

/* The cgroup_record that is being filled, one per CPU. */
struct cgroup_state {
	struct cgroup_record record;
	__u8 path[CGROUP_PATH_BYTES];
};

/* The image_record of an exec that is being filled, one per CPU. */
struct exec_state {
	struct image_record record;
	struct segment head;
	__u8 argv[ARGV_BYTES + SEGMENT_ALIGN]; /* with the room for what follows the last argument */
};

#endif
