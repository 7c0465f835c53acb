/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The records that the programs write into the ring buffer. They are defined here and nowhere else: the build generates
 * the Rust types from this object's BTF.
 *
 * A matched call gives one enter_record, followed by its segments, and later one exit_record with the same tid. A call
 * whose entry was not seen gives one enter_record at its exit (ENTER_AT_EXIT). A call that was seen only by a function
 * of the kernel's gives one enter_record there, with the segments of a truth_record in it (ENTER_AT_FUNCTION), and
 * later an exit_record with the same tid and ABI_FUNCTION. That of an exec has ABI_EXEC (ENTER_EXEC). An io_uring
 * request gives an enter_record too, and later one completion_record with the same cpu and seq. A truth_record comes
 * between a call's enter record and its exit or completion. If it comes more than once, the last one counts. A
 * cgroup_record, an image_record and a mounts_record belong to no call and are no events. A new field of variable
 * length is a new kind of segment, because a reader skips unknown kinds.
 */
#ifndef RAWTP_RECORD_H
#define RAWTP_RECORD_H

/* The longest path with its NUL that the kernel copies in (include/uapi/linux/limits.h). */
#define PATH_MAX 4096
#define COMM_BYTES 16
/* The most bytes of arguments that are sent. It is a power of two. */
#define ARGV_BYTES 1024

enum record_kind {
	RECORD_ENTER = 1,
	RECORD_EXIT = 2,
	RECORD_COMPLETION = 3,
	RECORD_CGROUP = 4,
	RECORD_TRUTH = 5,
	RECORD_MOUNTS = 6,
	RECORD_FORK = 8, /* an image_record */
	RECORD_EXEC = 9, /* an image_record, followed by SEGMENT_ARGV */
	RECORD_RAW = 10, /* a raw_record, in a ring that has no other records */
};

enum segment_kind {
	SEGMENT_FILENAME = 1,
	SEGMENT_NEW_FILENAME = 2,
	/* The directory of a relative name: struct directory, then names from leaf to root, each with a NUL. */
	SEGMENT_DIRECTORY = 3,
	SEGMENT_NEW_DIRECTORY = 4,
	/*
	 * The executable, in the form of a directory, with the file's own name first. The executable and the arguments
	 * come with the first record of a process that is not lost. They come again after an exec, or when the file was
	 * renamed or deleted.
	 */
	SEGMENT_EXE = 5,
	/* The arguments as they lie in the process's memory, each with a NUL. */
	SEGMENT_ARGV = 6,
	/* The process, its parent, the parent of that one, and so on. Each is a struct image. */
	SEGMENT_ANCESTORS = 7,
	/* The process's own root, as a directory, if the walk from a relative name's directory did not meet it. */
	SEGMENT_ROOT = 8,
	/* The call's return value, an __s64. It comes only with ENTER_AT_EXIT, and not if the call has no result. */
	SEGMENT_RESULT = 9,
	/* The file that the call is about, a struct file_info. */
	SEGMENT_FILE = 10,
	/* The file that a rename replaces, a struct file_info. */
	SEGMENT_REPLACED = 11,
	/* The name that the kernel found, in the form of a directory, with the file's own name first. */
	SEGMENT_REAL = 12,
	SEGMENT_NEW_REAL = 13,
	/* The size that a truncation asks for, an __s64. */
	SEGMENT_LENGTH = 14,
	/* The bytes of the file that the call removes, a struct range. */
	SEGMENT_RANGE = 15,
	/* The working directory of the process, as a directory. */
	SEGMENT_CWD = 16,
	/* The values of the six registers with arguments, each a __u64. */
	SEGMENT_ARGUMENTS = 17,
	/*
	 * What the argument in that register points to. The next five kinds are those of the other registers. In an
	 * exit_record it is as the call left it.
	 */
	SEGMENT_ARGUMENT_1 = 18,
	SEGMENT_ARGUMENT_6 = 23,
};

enum name_status {
	NAME_OK = 0,
	NAME_TRUNCATED = 1,
	NAME_FAULT = 2,
};

/* How the walk from a directory to the root of its mount namespace ended. */
enum walk_status {
	WALK_WHOLE = 0,
	WALK_PARTIAL = 1,  /* too deep or too long, or renamed during every try */
	WALK_DELETED = 2,  /* the directory itself is gone */
	WALK_NONE = 3,	   /* there is no directory */
	WALK_DETACHED = 4, /* reached the root of a mount in no namespace; nothing tells the rest of the path */
	WALK_INTERNAL = 5, /* the file is on a kernel-internal mount (memfd, shm), where nothing has a path */
	WALK_PSEUDO = 6,   /* an executable in no directory (memfd_create(2)); there is only its own name */
};

/* Bits of an enter_record's `marks`. */
enum enter_mark {
	ENTER_NO_EXIT = 1, /* no exit or completion record will follow */
	/* Written at the exit from the registers, which still hold the arguments, because the entry was not seen. */
	ENTER_AT_EXIT = 2,
	ENTER_NO_FLAGS = 4, /* the flags could not be read */
	/* Written by a function of the kernel's. It has the segments of a truth_record, and its exit is by the thread.
	 */
	ENTER_AT_FUNCTION = 8,
	ENTER_EXEC = 16, /* its exit_record has ABI_EXEC; meanwhile another thread can have its id */
};

/* The table that `nr` belongs to. */
enum abi {
	ABI_NATIVE = 0,
	ABI_COMPAT = 1, /* i386, 32-bit arm */
	ABI_X32 = 2,
	ABI_FUNCTION = 3, /* none: the exit_record of a function, which does not know the call */
	ABI_EXEC = 4,	  /* none: the exit_record of an exec, whose `nr` is the process's id */
};

/* The way the call entered the kernel. What is no call has the number of the call that does the same. */
enum via {
	VIA_SYSCALL = 0,
	VIA_IO_URING = 1,
	VIA_KERNEL = 2, /* not by a call: a thread of the kernel did it */
};

struct enter_record {
	__u32 kind;
	__u32 tid;
	__u64 ts_ns; /* CLOCK_BOOTTIME */
	__u64 seq;   /* counts per cpu and via */
	__u32 cpu;
	__u32 lost; /* saturates */
	__s32 dfd;  /* NO_DFD if it is not known */
	__u32 flags;
	/* From here on a thread's calls usually have the same values. User space compares this part as a whole. */
	__u32 nr;
	__u16 abi;
	__u8 via;
	__u8 marks; /* enum enter_mark */
	__u32 pid;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u8 comm[COMM_BYTES];
	/* From here on 0 when the tracer did not ask for it. */
	__u64 start_ns; /* CLOCK_BOOTTIME */
	__u64 cgroup_id;
	__u64 cgroup_v1_id; /* also 0 if no hierarchy of version 1 is in use */
	__u32 euid;
	__u32 fsuid;
	__u32 fsgid;
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
	__u16 is_created; /* whether the call made the file that it opened */
	__u16 freed;	  /* enum freed */
	__u16 reserved;
};

/* Whether the call freed a file: it removed the last link, and nothing else held the file. */
enum freed {
	FREED_UNKNOWN = 0,
	FREED_NOTHING = 1,
	FREED_FILE = 2,
};

/* The completion of an io_uring request. */
struct completion_record {
	__u32 kind;
	__u32 cpu; /* cpu and seq are those of its enter_record */
	__u64 seq;
	__u64 ts_ns;
	__s64 ret; /* NO_RESULT if it ended without one */
};

/* A mount namespace whose mounts user space does not know yet, and two processes in it. It is no event. */
struct mounts_record {
	__u32 kind;
	__u32 mnt_ns;
	__u32 pid;
	__u32 ppid;
};

/*
 * What the kernel does for a call. Segments follow. It is joined to the enter_record of the same thread, or for a
 * request to the one with the same cpu and seq.
 */
struct truth_record {
	__u32 kind;
	__u32 tid;
	__u64 seq;
	__u32 cpu;
	__u32 via;
};

/* A file before the call, from its inode. */
struct file_info {
	__u64 ino;
	__s64 size;
	__s64 mtime_ns; /* Unix time */
	__u32 dev;	/* as in a struct directory */
	__u32 generation;
	__u32 nlink;
	__u32 mode; /* with the file's type */
	__u32 owner;
	__u32 reserved;
};

/* A value that no call returns. */
#define NO_RESULT (-0x7fffffffffffffffLL - 1)

/* A descriptor that no call has. */
#define NO_DFD (-0x7fffffff - 1)

/* The room for a cgroup's path and its NUL in the kernel's tracepoints (TRACE_CGROUP_PATH_LEN). */
#define CGROUP_PATH_BYTES 1024

/*
 * A cgroup that was created, or that its last process has left. Its path from the hierarchy's root follows, without
 * NUL.
 */
struct cgroup_record {
	__u32 kind;
	__u16 version; /* the hierarchy's version: 1 or 2 */
	__u16 is_new;
	__u64 id; /* an enter_record's cgroup_id or cgroup_v1_id */
};

/* The alignment of segments. The next one begins at the next multiple after the content. */
#define SEGMENT_ALIGN 8

struct segment {
	__u16 kind;
	__u16 status; /* enum name_status or enum walk_status */
	__u32 bytes;
};

/*
 * A walk's names follow it, from the leaf to the root of the mount namespace. Behind them are the names from the root
 * of the first name's mount up to the root of its file system. There are none unless only a part of the file system is
 * mounted there (a bind mount).
 */
struct directory {
	/* The number of bytes of names below the process's own root; NO_ROOT if the walk did not meet it. */
	__u32 root_bytes;
	__u32 is_deleted; /* like WALK_DELETED, however far the walk came */
	/* The file system, as the kernel numbers devices (major << 20 | minor); 0 if its part of the names is not
	 * known. */
	__u32 dev;
	__u32 mount_bytes; /* the number of bytes of names on the first name's mount */
	__u32 above_bytes; /* the number of bytes of the names above that mount's root */
	__u32 reserved;
};

#define NO_ROOT 0xffffffff

/* As passed. Neither value is checked, so both can be negative. */
struct range {
	__s64 start;
	__s64 length;
};

/* The most ancestors that are sent. */
#define ANCESTORS_MAX 16

/*
 * A process image: what a process runs from one exec to the next. Nothing else ever has the same pid, start and exec
 * number.
 */
struct image {
	__u64 start_ns; /* the start of the process, in CLOCK_BOOTTIME */
	__u64 exec_id;	/* counts the execs of the process; a child begins with its parent's number */
	__u32 pid;
	__u8 comm[COMM_BYTES];
	__u32 reserved;
};

/* A process that was forked, or that has executed another program. */
struct image_record {
	__u32 kind;
	__u32 reserved;
	__u64 ts_ns;	     /* CLOCK_BOOTTIME */
	struct image image;  /* the child, or the process after the exec */
	struct image parent; /* the process that forked, or the parent at the exec */
};

/*
 * An event of a raw tracepoint, by a program that user space assembles (src/raw_tracepoint). The values of its fields
 * follow.
 */
struct raw_record {
	__u32 kind;
	__u32 cpu;
	__u64 ts_ns; /* CLOCK_BOOTTIME */
	__u64 seq;   /* counts per cpu */
	__u32 lost;  /* saturates */
	__u32 reserved;
	__u32 tid; /* tid and pid are written as one word */
	__u32 pid;
	__u64 faults; /* the bit of each field that could not be read */
	__u8 comm[COMM_BYTES];
};

#endif
