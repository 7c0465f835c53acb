/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The record: what the programs write into the ring buffer, defined here and nowhere else. The Rust types are made from
 * this object's BTF at build time.
 *
 * A matched call gives one enter_record, followed by its segments, and later one exit_record with the same tid. A call
 * whose entry was not seen gives one enter_record at its exit (ENTER_AT_EXIT). A request of io_uring's gives an
 * enter_record, too, and later one completion_record with the same cpu and seq. A cgroup_record belongs to no call, and
 * is no event. A new field of variable length is a new kind of segment: a reader skips the kinds that it does not know.
 */
#ifndef RAWTP_EVENT_H
#define RAWTP_EVENT_H

/* A path with its NUL, as the kernel copies it in (include/uapi/linux/limits.h). */
#define PATH_MAX 4096
#define COMM_BYTES 16
/* How much of the arguments is sent: a power of two. */
#define ARGV_BYTES 1024

enum record_kind {
	RECORD_ENTER = 1,
	RECORD_EXIT = 2,
	RECORD_COMPLETION = 3,
	RECORD_CGROUP = 4,
};

enum segment_kind {
	SEGMENT_FILENAME = 1,
	SEGMENT_NEW_FILENAME = 2,
	/* What a relative name is relative to: struct directory, then names from leaf to root, each with a NUL. */
	SEGMENT_DIRECTORY = 3,
	SEGMENT_NEW_DIRECTORY = 4,
	/*
	 * The executable, as a directory's names are: the file's own first. It and the arguments come with the first
	 * record of a process, of those that are not lost, and again after an exec, or when the file was renamed or
	 * deleted.
	 */
	SEGMENT_EXE = 5,
	/* The arguments as they lie in the process's memory, each with a NUL. */
	SEGMENT_ARGV = 6,
	/* Whose child the process is, and so on up: struct ancestor, each. */
	SEGMENT_ANCESTORS = 7,
	/* The process's own root, as a directory, where the walk from the directory of a relative name did not meet it.
	 */
	SEGMENT_ROOT = 8,
	/* What the call returned: an __s64. Only with ENTER_AT_EXIT, and not where the call has no result. */
	SEGMENT_RESULT = 9,
};

enum name_status {
	NAME_OK = 0,
	NAME_TRUNCATED = 1,
	NAME_FAULT = 2,
};

/* How the walk from a directory to the root of its mount namespace ended. */
enum walk_status {
	WALK_WHOLE = 0,
	WALK_PARTIAL = 1,  /* deeper, or longer, than there is room for; or renamed each time that it was tried */
	WALK_DELETED = 2,  /* the directory itself is gone */
	WALK_NONE = 3,	   /* there is none */
	WALK_DETACHED = 4, /* at the root of a mount that is in no namespace: where the file is else, nothing tells */
	WALK_INTERNAL = 5, /* the file is on a mount of the kernel's own (memfd, shm), where nothing has a path */
	WALK_PSEUDO = 6,   /* an executable of no directory (memfd_create(2)): only its own name is there */
};

/* Bits of an enter_record's `marks`. */
enum enter_mark {
	ENTER_NO_EXIT = 1, /* no record of the end will follow */
	ENTER_AT_EXIT =
		2, /* the entry was not seen: written at the exit, from the registers, which still hold the arguments */
	ENTER_NO_FLAGS = 4, /* the flags could not be read */
};

/* Whose number `nr` is. */
enum abi {
	ABI_NATIVE = 0,
	ABI_COMPAT = 1, /* i386, 32-bit arm */
	ABI_X32 = 2,
};

/* How the call came into the kernel. The numbers of a request are those of the call that does the same. */
enum via {
	VIA_SYSCALL = 0,
	VIA_IO_URING = 1,
};

struct enter_record {
	__u32 kind;
	__u32 tid;
	__u64 ts_ns; /* CLOCK_BOOTTIME */
	__u64 seq;   /* by cpu and via */
	__u32 cpu;
	__u32 lost; /* saturates */
	__s32 dfd;
	__u32 flags;
	/* From here on what one call of a thread most often has in common with the next: compared as a whole. */
	__u32 nr;
	__u16 abi;
	__u8 via;
	__u8 marks; /* enum enter_mark */
	__u32 pid;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u8 comm[COMM_BYTES];
	/* From here on 0 when it was not asked for. */
	__u64 start_ns; /* CLOCK_BOOTTIME */
	__u64 cgroup_id;
	__u64 cgroup_v1_id; /* 0 also where no hierarchy of version 1 is in use */
	__u32 euid;
	__u32 auid;
	__u32 session_id;
	__u32 ns_pid;
	__u32 pid_ns;
	__u32 mnt_ns;
	__u8 parent_comm[COMM_BYTES];
};

struct exit_record {
	__u32 kind;
	__u32 tid;
	__u64 ts_ns;
	__s64 ret;
	__u32 nr;
	__u32 lost_exits; /* exit records that did not fit on this CPU just before this one */
	__u16 abi;
	__u16 reserved[3];
};

/* The end of an io_uring request. */
struct completion_record {
	__u32 kind;
	__u32 cpu; /* of its enter_record, as is seq */
	__u64 seq;
	__u64 ts_ns;
	__s64 ret; /* NO_RESULT when it ended without one */
};

/* No call returns it. */
#define NO_RESULT (-0x7fffffffffffffffLL - 1)

/* The room that the kernel's tracepoints have for a cgroup's path, with its NUL (TRACE_CGROUP_PATH_LEN). */
#define CGROUP_PATH_BYTES 1024

/* A cgroup that was made, or that its last process left. Its path follows, from its hierarchy's root, without NUL. */
struct cgroup_record {
	__u32 kind;
	__u16 version; /* of the hierarchy: 1 or 2 */
	__u16 is_new;
	__u64 id; /* an enter_record's cgroup_id or cgroup_v1_id */
};

/* One for each CPU: the cgroup_record that is being filled. */
struct cgroup_state {
	struct cgroup_record record;
	__u8 path[CGROUP_PATH_BYTES];
};

/* The next segment begins at the next multiple of SEGMENT_ALIGN after the content. */
#define SEGMENT_ALIGN 8

struct segment {
	__u16 kind;
	__u16 status; /* enum name_status, or enum walk_status */
	__u32 bytes;
};

struct directory {
	/* How many bytes of the names lie below the process's own root; NO_ROOT when it was not met. */
	__u32 root_bytes;
	__u32 is_deleted; /* as WALK_DELETED, however far the walk came */
};

#define NO_ROOT 0xffffffff

/* How many ancestors are sent, at most. */
#define ANCESTORS_MAX 16

struct ancestor {
	__u32 pid;
	__u8 comm[COMM_BYTES];
};

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
struct asked {
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
struct process {
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
#define PROGRAMS_MAX 16384

struct program {
	__u64 start_ns;
	__u64 exec_id;
	__u32 pid;
	__u32 exe_seq; /* of the executable's dentry: another one once the file is renamed or deleted */
};

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
	__u64 share;		     /* bytes of the ring that may be used without asking */
	__u32 lost_exits_unreported; /* in those of exits only */
	__u32 reserved;
	struct arguments arguments;
	struct asked asked;
	struct process process;
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
