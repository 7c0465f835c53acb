/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whether a call may be about a path that is wanted. Only what surely is not is left out here: user space, which has
 * the whole path, looks again.
 */
#ifndef RAWTP_FILTER_PATH_BPF_H
#define RAWTP_FILTER_PATH_BPF_H

const volatile struct path_filter cfg_path_filters[FILTER_MAX] = {};
const volatile __u32 cfg_path_count = 0;

#define NOWHERE 0xffffffff
#define WORDS(bytes) (((bytes) + 7) / 8)

static __always_inline __u64 word_at(const struct segments *segments, __u32 at)
{
	return *(const __u64 *)(segments->bytes + within_segments(at));
}

/* The high bit of each byte that is `byte`. */
static __always_inline __u64 is_byte(__u64 word, __u8 byte)
{
	__u64 low = 0x7f7f7f7f7f7f7f7f;

	word ^= byte * 0x0101010101010101;
	return ~(((word & low) + low) | word | low);
}

/* Whether what the name leads to can be elsewhere than it reads: it has a part that is empty, or begins with a dot. */
static __always_inline bool is_winding(const struct segments *segments, __u32 at, __u32 bytes)
{
	if (bytes > PATH_FILTER_BYTES)
		return true;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < WORDS(PATH_FILTER_BYTES) && i * 8 < bytes; i++) {
		__u64 one = word_at(segments, at + i * 8), next = word_at(segments, at + i * 8 + 1);
		__u64 dots = is_byte(next, '.'), found;
		__u32 rest = bytes - i * 8;

		found = (is_byte(one, '/') & (is_byte(next, '/') | dots)) | (is_byte(one, '.') & dots);
		/* What is behind the name is left from another one. */
		if (rest <= 8)
			found &= (1ULL << (rest - 1) * 8) - 1;
		if (found)
			return true;
	}
	return false;
}

/* Whether so many bytes at the two ends are the same. */
static __always_inline bool ends_alike(const struct segments *segments, __u32 end,
				       const volatile struct path_filter *filter, __u32 bytes)
{
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < WORDS(sizeof(filter->upwards)) && i * 8 < bytes; i++) {
		__u32 rest = bytes - i * 8, back = (i + 1) * 8;
		__u64 differ = word_at(segments, end - back);

		differ ^= *(const volatile __u64 *)(filter->upwards + sizeof(filter->upwards) - back);
		if (rest < 8)
			differ >>= 64 - rest * 8;
		if (differ)
			return false;
	}
	return true;
}

static __always_inline bool is_below(const struct segments *segments, __u32 at, __u32 bytes,
				     const volatile struct path_filter *filter)
{
	if (bytes < filter->bytes)
		return false;
	if (bytes > filter->bytes && (word_at(segments, at + filter->bytes) & 0xff) != '/')
		return false;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < WORDS(sizeof(filter->downwards)) && i * 8 < filter->bytes; i++) {
		__u32 rest = filter->bytes - i * 8;
		__u64 differ = word_at(segments, at + i * 8);

		differ ^= *(const volatile __u64 *)(filter->downwards + i * 8);
		if (rest < 8)
			differ <<= 64 - rest * 8;
		if (differ)
			return false;
	}
	return true;
}

/* Whether a directory is on the way to what is wanted, or below it. Its names end at `end` with the root's. */
static __always_inline bool is_on_the_way(const struct segments *segments, __u32 end, __u32 bytes,
					  const volatile struct path_filter *filter)
{
	/* Before the first name there is a 0, too: it ends whatever the other has more. */
	return ends_alike(segments, end, filter, (bytes < filter->bytes ? bytes : filter->bytes) + 1);
}

/*
 * Whether the path that is being looked at may be this one, or below it. Global, as what calls it: so the verifier goes
 * through it once, and not once for each of 32 paths.
 */
__noinline int may_be_this(__u32 slot, __u32 index)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	const volatile struct path_filter *filter;
	const struct compared *compared;
	struct segments *segments;
	__u64 at = index;

	if (!state)
		return 1;
	/* For the verifier. */
	barrier_var(at);
	filter = &cfg_path_filters[at & (FILTER_MAX - 1)];
	compared = &state->compared;
	segments = &state->segments;
	if (compared->is_absolute && is_below(segments, compared->name_at, compared->name_bytes, filter))
		return 1;
	/* Of an absolute name, what was walked is the process's root: only that of a container has names. */
	if ((compared->bytes || !compared->is_absolute) &&
	    is_on_the_way(segments, compared->end, compared->bytes, filter))
		return 1;
	return !compared->is_absolute && compared->root_bytes < compared->bytes &&
	       is_on_the_way(segments, compared->end - compared->bytes + compared->root_bytes, compared->root_bytes,
			     filter);
}

/* Where in the segments the head of the name is, and that of what was walked; NOWHERE for none. */
__noinline int may_be_wanted(__u32 slot, __u32 name_at, __u32 walk_at)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct compared *compared;
	struct segments *segments;
	struct segment *head;

	if (!state)
		return 1;
	segments = &state->segments;
	compared = &state->compared;
	compared->name_at = 0;
	compared->name_bytes = 0;
	compared->end = 0;
	compared->bytes = 0;
	compared->root_bytes = NO_ROOT;
	compared->is_absolute = 0;
	if (name_at != NOWHERE) {
		head = (struct segment *)(segments->bytes + within_segments(name_at));
		/* Read again at the exit, perhaps. */
		if (head->status == NAME_FAULT)
			return 1;
		compared->name_at = name_at + sizeof(*head);
		compared->name_bytes = head->bytes;
		compared->is_absolute = head->bytes && (word_at(segments, compared->name_at) & 0xff) == '/';
		if (is_winding(segments, compared->name_at, compared->name_bytes))
			return 1;
	}
	if (walk_at != NOWHERE) {
		head = (struct segment *)(segments->bytes + within_segments(walk_at));
		if (head->status == WALK_PARTIAL || head->status == WALK_DETACHED)
			return 1;
		if (head->status == WALK_INTERNAL && !compared->is_absolute)
			return 0;
		compared->bytes = head->bytes - sizeof(struct directory);
		compared->root_bytes = word_at(segments, walk_at + sizeof(*head));
		compared->end = walk_at + sizeof(*head) + sizeof(struct directory) + compared->bytes;
	} else if (!compared->is_absolute) {
		return 1;
	}
	for (__u32 i = 0; i < FILTER_MAX && i < cfg_path_count; i++)
		if (may_be_this(slot, i))
			return 1;
	return 0;
}

#endif
