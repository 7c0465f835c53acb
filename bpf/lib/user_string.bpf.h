/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reads the names that a task passed. */
#ifndef RAWTP_USER_STRING_BPF_H
#define RAWTP_USER_STRING_BPF_H

/* Masks an offset that is always in range already. The verifier loses the range at any distance from the check. */
static __always_inline __u64 within_segments(__u64 at)
{
	barrier_var(at);
	return at & (SEGMENTS_BYTES - 1);
}

/* Returns the head of the next segment. Its content follows the head. */
static __always_inline struct segment *begin_segment(struct segments *segments)
{
	return (struct segment *)(segments->bytes + within_segments(segments->end));
}

static __always_inline void end_segment(struct segments *segments, struct segment *head, __u16 kind, __u16 status,
					__u64 bytes)
{
	head->kind = kind;
	head->status = status;
	head->bytes = bytes;
	segments->end += (sizeof(*head) + bytes + SEGMENT_ALIGN - 1) & ~(__u64)(SEGMENT_ALIGN - 1);
}

static __always_inline void append_result(struct segments *segments, __s64 ret)
{
	struct segment *head = begin_segment(segments);

	*(__s64 *)(head + 1) = ret;
	end_segment(segments, head, SEGMENT_RESULT, 0, sizeof(ret));
}

/* Appends a name that the kernel itself has already copied. */
static __always_inline void append_kernel_name(struct segments *segments, __u16 kind, const void *name)
{
	struct segment *head = begin_segment(segments);
	long n = bpf_probe_read_kernel_str(head + 1, PATH_MAX, name);

	end_segment(segments, head, kind, n < 0 ? NAME_FAULT : NAME_OK, n > 0 ? n - 1 : 0);
}

/*
 * Appends a name. It reads no byte that the kernel would not read: one more might lie in an unmapped page and turn
 * ENAMETOOLONG into a fault.
 */
static __always_inline void append_name(struct segments *segments, __u16 kind, const void *user)
{
	struct segment *head = begin_segment(segments);
	long n = bpf_probe_read_user_str(head + 1, PATH_MAX, user);
	__u16 status = NAME_OK;
	__u64 bytes = 0;
	__u8 last = 0;

	if (n < 0) {
		status = NAME_FAULT;
		segments->has_fault = 1;
	} else {
		/* Older kernels leave the NUL out of an empty string's length. */
		bytes = n ? n - 1 : 0;
		/* The helper also puts a NUL behind a name that it cuts. Only the source tells the two apart. */
		if (n == PATH_MAX && !bpf_probe_read_user(&last, 1, user + PATH_MAX - 1) && last)
			status = NAME_TRUNCATED;
	}
	end_segment(segments, head, kind, status, bytes);
}

#endif
