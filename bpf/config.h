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
	__u64 unfollowed;     /* processes not followed because `followed` was full */
	__u64 lost_exits;     /* only in the CPU's slot for system calls */
	__u32 lost;	      /* losses since the last record that fitted; saturates */
	__u32 lost_cgroups;   /* cgroup records that did not fit; only in the CPU's slot for system calls */
	__u64 lost_processes; /* image records that did not fit; only in the CPU's slot for system calls */
	__u64 missed;	      /* runs that found another program in the middle of this slot's state */
	__u64 lost_truths;    /* truth records that did not fit; only in the CPU's slot for system calls */
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

/* A place whose events are wanted, with everything below it: a path in a file system. */
struct place_filter {
	/*
	 * The names in the order of a walk, from the leaf to the root, with a NUL before the first name. They end at
	 * the array's end.
	 */
	__u8 upwards[PATH_FILTER_BYTES + 8];
	__u32 bytes; /* the length of the names, each with its NUL */
	__u32 dev;   /* as in a struct directory */
};

/* The most places that the programs compare. A path takes one for itself and one for each mount above it. */
#define PLACES_MAX 128

/* The part of the configuration that user space changes while the programs run. */
struct live_config {
	__u32 is_closed;   /* a program that begins neither counts nor sends anything */
	__u32 place_count; /* 0 while the programs cannot tell which places are wanted, so that all are */
	struct place_filter places[PLACES_MAX];
};

/* The most processes that are followed at a time. */
#define FOLLOWED_MAX 32768

/* The condition under which a watched call is an event. */
enum call_condition {
	CALL_NEVER = 0,
	CALL_ALWAYS = 1,
	/* openat2, whose flags are in a structure of the caller's: as for the other opens below. */
	CALL_HOW_O_TRUNC = 2,
	CALL_HOW_CHANGES = 3,
	CALL_HOW_ANY = 4,
	CALL_MOUNTS = 5, /* never, but see CALL_REMOUNTS */
	CALL_ENDS = 6,	 /* never, but one of CALL_EXECS can end with this number */
	/* The flags alone decide. They are argument 2 or 3. */
	CALL_O_TRUNC = 7,   /* open: the flags truncate */
	CALL_O_CHANGES = 8, /* open: the flags truncate, or make a file */
	CALL_FALLOCATE = 9, /* the mode removes content */
	CALL_IOCTL = 10,    /* the command is one of enum ioctl_command */
};

/* The modes of fallocate that remove content (include/uapi/linux/falloc.h). The last one came with Linux 6.17. */
enum fallocate_mode {
	FALLOC_FL_PUNCH_HOLE = 0x02,
	FALLOC_FL_COLLAPSE_RANGE = 0x08,
	FALLOC_FL_ZERO_RANGE = 0x10,
	FALLOC_FL_WRITE_ZEROES = 0x80,
};

/*
 * The commands of ioctl that remove names or content (include/uapi/linux/btrfs.h, include/linux/falloc.h). XFS knew
 * those of SP that allocate and free up to Linux 5.16; both set the file's size. i386 packs struct space_resv to 44
 * bytes, and so has numbers of its own.
 */
enum ioctl_command {
	BTRFS_IOC_SNAP_DESTROY = 0x5000940f,
	BTRFS_IOC_SNAP_DESTROY_V2 = 0x5000943f,
	FS_IOC_UNRESVSP = 0x40305829,
	FS_IOC_UNRESVSP64 = 0x4030582b,
	FS_IOC_ZERO_RANGE = 0x40305839,
	XFS_IOC_ALLOCSP = 0x4030580a,
	XFS_IOC_FREESP = 0x4030580b,
	XFS_IOC_ALLOCSP64 = 0x40305824,
	XFS_IOC_FREESP64 = 0x40305825,
	FS_IOC_UNRESVSP_32 = 0x402c5829,
	FS_IOC_UNRESVSP64_32 = 0x402c582b,
	FS_IOC_ZERO_RANGE_32 = 0x402c5839,
	XFS_IOC_ALLOCSP_32 = 0x402c580a,
	XFS_IOC_FREESP_32 = 0x402c580b,
	XFS_IOC_ALLOCSP64_32 = 0x402c5824,
	XFS_IOC_FREESP64_32 = 0x402c5825,
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
	__u8 reserved;
	__u16 traits; /* enum call_trait */
};

/* What else the programs must know about a call. */
enum call_trait {
	CALL_OPENS = 1,		/* returns a descriptor of the file */
	CALL_SPLITS_LENGTH = 2, /* the length is two arguments, the low half first */
	CALL_FOLLOWS = 4,	/* follows a symbolic link that the name leads to */
	CALL_PATHLESS = 8,	/* neither the name nor the descriptor leads to a path: a queue's name, a file handle */
	CALL_FORKS = 16,	/* returns once more, in a thread that did not call it */
	CALL_AT = 32,		/* follows such a link unless the flags are AT_SYMLINK_NOFOLLOW; may be AT_EMPTY_PATH */
	CALL_AT_LINK = 64,	/* follows such a link if the flags are AT_SYMLINK_FOLLOW; may be AT_EMPTY_PATH */
	CALL_RANGES = 128,	/* fallocate: arguments 3 and 4 are a range of bytes */
	CALL_WORKS = 256,	/* a function of the kernel's carries it out: enum work */
	CALL_REMOUNTS = 512,	/* what it does to mounts must be known before the next call that is an event */
	CALL_EXECS = 1024,	/* execve and execveat: a successful one begins another program */
	CALL_NO_RETURN = 2048,	/* ends the thread, or goes on with the registers that a signal's handler interrupted */
};

/* How much of what an argument points to is sent. */
enum argument_how {
	ARGUMENT_VALUE = 0,	 /* nothing: the value of the register says all */
	ARGUMENT_STRING = 1,	 /* up to a NUL */
	ARGUMENT_BYTES = 2,	 /* so many bytes */
	ARGUMENT_COUNTED = 3,	 /* as many as another argument says */
	ARGUMENT_COUNTED_AT = 4, /* as many as the __u32 says that another argument points to */
	ARGUMENT_RETURNED = 5,	 /* as many as the call returned */
	ARGUMENT_STRINGS = 6,	 /* a list of texts that ends with NULL */
};

/* When what an argument points to is read. */
enum argument_time {
	READ_AT_ENTRY = 1,
	READ_AT_EXIT = 2,
};

struct argument_rule {
	__u8 how;   /* enum argument_how */
	__u8 times; /* enum argument_time */
	__u8 by;    /* the position of the other argument, from 1 */
	__u8 reserved;
	__u16 bytes; /* the most that is sent */
};

/* The rules of a call's arguments. */
struct argument_rules {
	struct argument_rule of[6];
};

/* An io_uring request, by opcode. */
struct request_call {
	__u32 nr; /* the native number of the call that does the same */
	__u8 condition;
	__u8 reserved[3];
};

/* The kinds of work that functions of the kernel's do. */
enum work {
	WORK_REMOVE = 0,
	WORK_RENAME = 1,
	WORK_TRUNCATE = 2,
};

/* A bound on the kinds, and a power of two. */
#define WORKS_MAX 4

/* No call has this number. */
#define NO_NR 0xffffffff

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

/*
 * A bound above the numbers of all watched calls in any table, and a power of two. Numbers from X32_FIRST on are x32's
 * own. The last one stands for those that are in no table, or too large for one.
 */
#define SYSCALLS_MAX 1024
#define X32_FIRST 512
#define UNNAMED_NR (SYSCALLS_MAX - 1)

#endif
