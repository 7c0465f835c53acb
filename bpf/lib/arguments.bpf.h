/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Sends a call's arguments, and what they point to. */
#ifndef RAWTP_ARGUMENTS_BPF_H
#define RAWTP_ARGUMENTS_BPF_H

/* The rules by table and number. User space makes room for them where somebody asks for arguments. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct argument_rules);
} argument_rules SEC(".maps");

/* A segment that begins here still fits, and with it the record. */
#define ARGUMENTS_END (SEGMENTS_BYTES - SEGMENT_MOST)

/* The most bytes of a list of texts, a power of two, and the most texts in it. */
#define STRINGS_BYTES 4096
#define STRINGS_MAX 64

static __always_inline __u64 at_most(__u64 bytes, __u64 most)
{
	return bytes < most ? bytes : most;
}

/* Appends the texts of a list that ends with NULL, each with a NUL. */
static __always_inline void append_strings(struct segments *segments, __u16 kind, __u64 list, __u32 abi)
{
	struct segment *head = begin_segment(segments);
	/* Without a branch, so that the verifier goes through the loop once for all ABIs. */
	__u64 is_native = ((__u64)abi - (ABI_NATIVE + 1)) >> 63, text, at = 0, i;
	__u16 status = NAME_OK;
	__u64 width = 4 + 4 * is_native;
	long n;

#pragma clang loop unroll(disable)
	for (i = 0; i < STRINGS_MAX; i++) {
		text = 0;
		if (bpf_probe_read_user(&text, width, (const void *)(list + width * i))) {
			status = NAME_FAULT;
			break;
		}
		if (!text)
			break;
		at &= STRINGS_BYTES - 1;
		n = bpf_probe_read_user_str((__u8 *)(head + 1) + at, STRINGS_BYTES, (const void *)text);
		if (n < 0) {
			status = NAME_FAULT;
			break;
		}
		/* Older kernels leave the NUL out of an empty string's length, but write it. */
		at += n ? n : 1;
		if (at >= STRINGS_BYTES) {
			at = STRINGS_BYTES;
			status = NAME_TRUNCATED;
			break;
		}
	}
	if (i == STRINGS_MAX)
		status = NAME_TRUNCATED;
	if (status == NAME_FAULT)
		segments->has_fault = 1;
	end_segment(segments, head, kind, status, at & (2 * STRINGS_BYTES - 1));
}

/*
 * Appends what the argument in this register points to. The rule is its `how`, `by` and `bytes` in one number. The
 * function is global, so the verifier checks it once for all registers.
 */
__noinline int append_pointed(__u32 slot, __u32 at, __u32 rule, __u32 abi, __s64 ret)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	__u32 by = rule >> 8 & 0xff, most = rule >> 16;
	__u16 kind = SEGMENT_ARGUMENT_1 + at, status = NAME_OK;
	struct segments *segments;
	struct segment *head;
	__u64 address, bytes;
	__u32 count = 0;

	if (!state)
		return 0;
	segments = &state->segments;
	if (segments->end > ARGUMENTS_END)
		return 0;
	address = state->arguments.at[(at + 1) & 7];
	switch (rule & 0xff) {
	case ARGUMENT_STRING:
		append_name(segments, kind, (const void *)address);
		return 0;
	case ARGUMENT_STRINGS:
		append_strings(segments, kind, address, abi);
		return 0;
	case ARGUMENT_COUNTED:
		bytes = state->arguments.at[by & 7];
		break;
	case ARGUMENT_COUNTED_AT:
		if (bpf_probe_read_user(&count, sizeof(count), (const void *)state->arguments.at[by & 7]))
			return 0;
		bytes = count;
		break;
	case ARGUMENT_RETURNED:
		bytes = ret < 0 ? 0 : ret;
		break;
	default:
		bytes = most;
	}
	head = begin_segment(segments);
	if (bytes > most) {
		bytes = most;
		status = NAME_TRUNCATED;
	}
	bytes = at_most(bytes, PATH_MAX);
	barrier_var(bytes);
	bytes &= 2 * PATH_MAX - 1;
	if (bytes > PATH_MAX)
		return 0;
	if (bytes && bpf_probe_read_user(head + 1, bytes, (const void *)address)) {
		status = NAME_FAULT;
		bytes = 0;
		segments->has_fault = 1;
	}
	end_segment(segments, head, kind, status, bytes);
	return 0;
}

/* Appends the arguments that are to be read at one of these times. It is global. */
__noinline int append_arguments(__u32 slot, __u32 nr, __u32 abi, __u32 times, __s64 ret)
{
	__u32 key = (abi == ABI_COMPAT ? SYSCALLS_MAX : 0) + index_of(abi, nr), i;
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct argument_rules *rules = bpf_map_lookup_elem(&argument_rules, &key);
	struct segments *segments;
	struct segment *head;
	__u64 *values;

	if (!state || !rules)
		return 0;
	segments = &state->segments;
	if (segments->end > ARGUMENTS_END)
		return 0;
	if (times & READ_AT_ENTRY) {
		head = begin_segment(segments);
		values = (__u64 *)(head + 1);
		for (i = 0; i < 6; i++)
			values[i] = state->arguments.at[i + 1];
		end_segment(segments, head, SEGMENT_ARGUMENTS, 0, 6 * sizeof(*values));
	}
#pragma clang loop unroll(disable)
	for (i = 0; i < 6; i++) {
		const struct argument_rule *rule = &rules->of[i];

		if (rule->how != ARGUMENT_VALUE && times & rule->times)
			append_pointed(slot, i, rule->how | rule->by << 8 | rule->bytes << 16, abi, ret);
	}
	return 0;
}

/* Appends the arguments of the call whose record the state has, as they are at its entry. It is global. */
__noinline int append_entry_arguments(__u32 slot)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);

	return state ? append_arguments(slot, state->record.nr, state->record.abi, READ_AT_ENTRY, 0) : 0;
}

#endif
