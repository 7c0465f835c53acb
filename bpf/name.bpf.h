/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reading the names that a task passed. */
#ifndef RAWTP_NAME_BPF_H
#define RAWTP_NAME_BPF_H

/* For the verifier, which at any distance from the check has lost the range: always true, and so only a mask. */
static __always_inline __u64 within_segments(__u64 at)
{
	barrier_var(at);
	return at & (SEGMENTS_BYTES - 1);
}

static __always_inline __u64 align_segment(__u64 at)
{
	return (at + SEGMENT_ALIGN - 1) & ~(__u64)(SEGMENT_ALIGN - 1);
}

/*
 * Appends a name, and returns where the next segment begins. Reads no byte that the kernel itself would not read: one
 * more might lie in an unmapped page and make a fault of what is ENAMETOOLONG.
 */
static __always_inline __u64 append_name(__u8 *segments, __u64 at, __u16 kind, const void *user, __u16 *status)
{
	struct segment *head;
	__u64 bytes = 0;
	__u8 last = 0;
	long n;

	at = within_segments(at);
	head = (struct segment *)(segments + at);
	n = bpf_probe_read_user_str(segments + at + sizeof(*head), PATH_MAX, user);
	*status = NAME_OK;
	if (n < 0) {
		*status = NAME_FAULT;
	} else {
		/* For an empty string older kernels leave the NUL out of the length. */
		bytes = n ? n - 1 : 0;
		/* The helper ends what it cuts with a NUL: only the source tells a name that fits from one that does
		 * not. */
		if (n == PATH_MAX && !bpf_probe_read_user(&last, 1, user + PATH_MAX - 1) && last)
			*status = NAME_TRUNCATED;
	}
	head->kind = kind;
	head->status = *status;
	head->bytes = bytes;
	return align_segment(at + sizeof(*head) + bytes);
}

#endif
