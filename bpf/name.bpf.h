/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reading the name that a task passed. */
#ifndef RAWTP_NAME_BPF_H
#define RAWTP_NAME_BPF_H

/*
 * Fills the segment and returns how many bytes of it to send. Reads no byte that the kernel itself would not read: one
 * more might lie in an unmapped page and make a fault of what is ENAMETOOLONG.
 */
static __always_inline __u64 read_name(struct name_segment *name, const void *user)
{
	long n = bpf_probe_read_user_str(name->bytes, PATH_MAX, user);
	__u64 bytes = 0;
	__u8 last = 0;

	name->head.kind = SEGMENT_FILENAME;
	name->head.status = NAME_OK;
	if (n < 0) {
		name->head.status = NAME_FAULT;
	} else {
		/* For an empty string older kernels leave the NUL out of the length. */
		bytes = n ? n - 1 : 0;
		/* The helper ends what it cuts with a NUL: only the source tells a name that fits from one that does
		 * not. */
		if (n == PATH_MAX && !bpf_probe_read_user(&last, 1, user + PATH_MAX - 1) && last)
			name->head.status = NAME_TRUNCATED;
	}
	name->head.bytes = bytes;
	/* The verifier of 5.10 has lost the range by here. */
	barrier_var(bytes);
	if (bytes > PATH_MAX - 1)
		bytes = PATH_MAX - 1;
	return sizeof(struct segment) + bytes;
}

#endif
