/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The record: what the programs write into the ring buffer, defined here and nowhere else. The Rust types are made from
 * this object's BTF at build time.
 *
 * A matched call gives one enter_record, followed by its segments, and later one exit_record with the same tid. A new
 * field of variable length is a new kind of segment: a reader skips the kinds that it does not know.
 */
#ifndef RAWTP_EVENT_H
#define RAWTP_EVENT_H

/* A path with its NUL, as the kernel copies it in (include/uapi/linux/limits.h). */
#define PATH_MAX 4096
#define COMM_BYTES 16

enum record_kind {
	RECORD_ENTER = 1,
	RECORD_EXIT = 2,
};

enum segment_kind {
	SEGMENT_FILENAME = 1,
};

enum name_status {
	NAME_OK = 0,
	NAME_TRUNCATED = 1,
	NAME_FAULT = 2,
};

struct enter_record {
	__u32 kind;
	__u32 tid;
	__u64 ts_ns; /* CLOCK_BOOTTIME */
	__u64 seq;
	__u32 cpu;
	__u32 lost;
	__u32 nr;
	__u32 pid;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__s32 dfd;
	__u32 flags;
	__u32 reserved;
	__u8 comm[COMM_BYTES];
};

struct exit_record {
	__u32 kind;
	__u32 tid;
	__u64 ts_ns;
	__s64 ret;
	__u32 nr;
	__u32 lost_exits; /* exit records that did not fit on this CPU just before this one */
};

struct segment {
	__u16 kind;
	__u16 status; /* enum name_status */
	__u32 bytes;
};

struct name_segment {
	struct segment head;
	__u8 bytes[PATH_MAX];
};

/* One a CPU: what sys_enter counts, and the record that it is filling. Only that CPU writes it. */
struct enter_state {
	__u64 matched;
	__u64 filtered;
	__u64 submitted;
	__u64 lost_ring;
	__u64 seq;
	__u32 lost; /* since the last record that fitted */
	__u32 reserved;
	struct enter_record record;
	struct name_segment name;
};

/* One a CPU: the same for sys_exit. */
struct exit_state {
	__u64 lost_exits;
	__u32 lost_unreported;
	__u32 reserved;
	struct exit_record record;
	struct name_segment name;
};

/* A record and its segment are sent as one run of bytes. */
_Static_assert(sizeof(struct enter_record) % 8 == 0 && sizeof(struct exit_record) % 8 == 0, "padding in a record");

/* How a call's arguments lie. */
enum syscall_shape {
	SHAPE_PATH = 0, /* (path) */
	SHAPE_AT = 1,	/* (dfd, path, flags) */
};

#define SYSCALLS_MAX 512

#endif
