/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the exit of a call must know of its entry. Few calls have such a thing; the others pay one load for it. */
#ifndef RAWTP_NOTE_BPF_H
#define RAWTP_NOTE_BPF_H

enum {
	/* The name's page was not there. The call itself faults it in: read it again. */
	NOTE_FAULT = 1,
	/* The enter record found no room: an exit record alone is of no use, and would take room from others. */
	NOTE_LOST = 2,
	/* The call is an event, which its registers alone do not tell. */
	NOTE_EVENT = 3,
};

/* By thread, not by CPU: a task can move to another one inside its call. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u8);
} notes SEC(".maps");

/* How many are in `notes`: spares every other exit the look-up. */
__u64 notes_open = 0;

static __always_inline void leave_note(__u32 tid, __u8 note)
{
	if (!bpf_map_update_elem(&notes, &tid, &note, BPF_NOEXIST))
		__sync_fetch_and_add(&notes_open, 1);
	else /* one of an exit that the kernel skipped, or the map is full */
		bpf_map_update_elem(&notes, &tid, &note, BPF_EXIST);
}

static __always_inline __u8 take_note(__u32 tid)
{
	__u8 *there, note;

	if (!notes_open)
		return 0;
	there = bpf_map_lookup_elem(&notes, &tid);
	if (!there)
		return 0;
	note = *there;
	if (!bpf_map_delete_elem(&notes, &tid))
		__sync_fetch_and_add(&notes_open, -1);
	return note;
}

#endif
