// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Lists the ids of all BPF maps of the host. bpf(2) lists them only with CAP_SYS_ADMIN (BPF_MAP_GET_NEXT_ID), while an
 * iterator needs no more capabilities than a tracer does. It exists since Linux 5.8.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_map {
	__u32 id;
};

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
};
#pragma clang attribute pop

SEC("iter/bpf_map")
int list_map(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;
	__u32 id;

	/* The last call has no map and marks the end. */
	if (!map)
		return 0;
	id = map->id;
	bpf_seq_write(ctx->meta->seq, &id, sizeof(id));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
