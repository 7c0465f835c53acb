// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Tests whether this kernel has CVE-2024-41009. With it, a process that may write a ring's consumer position can make
 * the ring give out memory of a record that another program is still writing. The test uses a ring of its own, moves
 * the position ahead like such a reader, and writes nothing into the records.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

/* The size is a multiple of any page size. RECORD_BYTES is also the position that user space sets. */
#define RING_BYTES (256 << 10)
#define RECORD_BYTES (RING_BYTES / 4 * 3)

enum overlap {
	OVERLAP_NONE = 0,
	OVERLAP_THERE = 1,
	OVERLAP_UNKNOWN = 2,
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} ring SEC(".maps");

SEC("raw_tp/sys_enter")
int reserve_twice(void *ctx)
{
	void *first = bpf_ringbuf_reserve(&ring, RECORD_BYTES, 0), *second;
	enum overlap found = OVERLAP_NONE;

	if (!first)
		return OVERLAP_UNKNOWN;
	second = bpf_ringbuf_reserve(&ring, RECORD_BYTES, 0);
	if (second) {
		found = OVERLAP_THERE;
		bpf_ringbuf_discard(second, 0);
	}
	bpf_ringbuf_discard(first, 0);
	return found;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
