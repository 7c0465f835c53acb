/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The filter by path, as far as the programs can decide it. A path is text, and symbolic links and mounts lead one text
 * to many files. So places are compared: names in a file system, from its root on. The programs leave out only calls
 * that are surely elsewhere. User space, which follows links, checks the others again.
 */
#ifndef RAWTP_FILTER_PATH_BPF_H
#define RAWTP_FILTER_PATH_BPF_H

/* Whether there is a filter by path. */
const volatile bool cfg_has_paths = false;

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

/* Whether the name is surely one of the directory itself: one component, and neither `.` nor `..`. */
static __always_inline bool is_entry(const struct segments *segments, __u32 at, __u32 bytes)
{
	__u64 first = word_at(segments, at);

	if (!bytes || bytes > PATH_FILTER_BYTES)
		return false;
	if ((first & 0xff) == '.' && (bytes == 1 || (bytes == 2 && (first >> 8 & 0xff) == '.')))
		return false;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < WORDS(PATH_FILTER_BYTES) && i * 8 < bytes; i++) {
		__u64 slashes = is_byte(word_at(segments, at + i * 8), '/');
		__u32 rest = bytes - i * 8;

		/* The bytes behind the name are left over from another one. */
		if (rest < 8)
			slashes &= (1ULL << rest * 8) - 1;
		if (slashes)
			return false;
	}
	return true;
}

/* Whether the last `bytes` bytes of both are the same. */
static __always_inline bool ends_alike(const struct segments *segments, __u32 end,
				       const volatile struct place_filter *filter, __u32 bytes)
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

/*
 * Whether the compared directory is above a wanted place or below it. It is global, like its caller, so the verifier
 * checks it once and not once for each place.
 */
__noinline int is_on_the_way(__u32 slot, __u32 index)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	const volatile struct place_filter *filter;
	const struct compared *compared;
	__u32 bytes;
	__u64 at = index;

	if (!state)
		return 1;
	/* Keeps the mask below, which the verifier needs. */
	barrier_var(at);
	filter = &live.places[at & (PLACES_MAX - 1)];
	compared = &state->compared;
	if (filter->dev != compared->dev)
		return 0;
	bytes = compared->bytes < filter->bytes ? compared->bytes : filter->bytes;
	/* The NUL before the first name is compared too. It ends the longer path at a component. */
	return ends_alike(&state->segments, compared->end, filter, bytes + 1);
}

/*
 * Whether the call may be about a wanted place. `name_at` and `walk_at` are the offsets of the heads of the name and
 * the walk in the segments, or NOWHERE.
 */
__noinline int may_be_wanted(__u32 slot, __u32 name_at, __u32 walk_at)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	const struct directory *directory;
	struct compared *compared;
	struct segments *segments;
	struct segment *head;
	__u32 count = live.place_count;

	if (!state || !count)
		return 1;
	segments = &state->segments;
	compared = &state->compared;
	if (name_at != NOWHERE) {
		head = (struct segment *)(segments->bytes + within_segments(name_at));
		/* The exit may be able to read it. */
		if (head->status == NAME_FAULT || state->operands.follows ||
		    !is_entry(segments, name_at + sizeof(*head), head->bytes))
			return 1;
	}
	if (walk_at == NOWHERE)
		return 1;
	head = (struct segment *)(segments->bytes + within_segments(walk_at));
	if (head->status == WALK_INTERNAL)
		return 0;
	/* Nothing tells where it was attached. */
	if (head->status == WALK_DETACHED)
		return 1;
	directory = (const struct directory *)(head + 1);
	if (!directory->dev || directory->above_bytes)
		return 1;
	compared->dev = directory->dev;
	compared->bytes = directory->mount_bytes;
	compared->end = walk_at + sizeof(*head) + sizeof(*directory) + compared->bytes;
	for (__u32 i = 0; i < PLACES_MAX && i < count; i++)
		if (is_on_the_way(slot, i))
			return 1;
	return 0;
}

#endif
