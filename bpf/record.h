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
#ifndef RAWTP_RECORD_H
#define RAWTP_RECORD_H

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

#endif
