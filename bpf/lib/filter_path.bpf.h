/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The filter by path, as far as the programs can decide it. It leaves out only calls that surely do not match. User
 * space, which has the whole path, checks the others again.
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

/* Sets the high bit of each byte that equals `byte`. */
static __always_inline __u64 is_byte(__u64 word, __u8 byte)
{
	__u64 low = 0x7f7f7f7f7f7f7f7f;

	word ^= byte * 0x0101010101010101;
	return ~(((word & low) + low) | word | low);
}

/* Whether the name may lead elsewhere than it reads, because a component is empty or begins with a dot. */
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
		/* The bytes behind the name are left over from another one. */
		if (rest <= 8)
			found &= (1ULL << (rest - 1) * 8) - 1;
		if (found)
			return true;
	}
	return false;
}

/* Whether the last `bytes` bytes of both are the same. */
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

/* Whether a directory is above the filter's path or below it. Its names end at `end` with the root's. */
static __always_inline bool is_on_the_way(const struct segments *segments, __u32 end, __u32 bytes,
					  const volatile struct path_filter *filter)
{
	/* The NUL before the first name is compared too. It ends the longer path at a component. */
	return ends_alike(segments, end, filter, (bytes < filter->bytes ? bytes : filter->bytes) + 1);
}

/*
 * Whether the path may match this filter. It is global, like its caller, so the verifier checks it once and not once
 * for each of 32 filters.
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
	/* Keeps the mask below, which the verifier needs. */
	barrier_var(at);
	filter = &cfg_path_filters[at & (FILTER_MAX - 1)];
	compared = &state->compared;
	segments = &state->segments;
	if (compared->is_absolute && is_below(segments, compared->name_at, compared->name_bytes, filter))
		return 1;
	/* For an absolute name the walk began at the process's root, which has names only in a container. */
	if ((compared->bytes || !compared->is_absolute) &&
	    is_on_the_way(segments, compared->end, compared->bytes, filter))
		return 1;
	return !compared->is_absolute && compared->root_bytes < compared->bytes &&
	       is_on_the_way(segments, compared->end - compared->bytes + compared->root_bytes, compared->root_bytes,
			     filter);
}

/*
 * Whether any filter may match. `name_at` and `walk_at` are the offsets of the heads of the name and the walk in the
 * segments, or NOWHERE.
 */
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
		/* The exit may be able to read it. */
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
