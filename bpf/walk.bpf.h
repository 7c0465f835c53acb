/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From a directory up to the root, name by name, through mounts: what d_path does, without its locks. */
#ifndef RAWTP_WALK_BPF_H
#define RAWTP_WALK_BPF_H

/*
 * A path has at most PATH_MAX / 2 names; to cross a mount is a step, too. The verifier follows every step of a loop,
 * but a global function only once, however often it is called: so the steps are taken some at a time, and those some at
 * a time again.
 */
#define WALK_STEPS 4
#define WALK_FEWS 16
#define WALK_CALLS (PATH_MAX / 2 / WALK_STEPS / WALK_FEWS)
#define NAME_BYTES 255

/* Kept in a map: on the stack, every step of the loop would be a state of its own to the verifier. */
struct walk {
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *root_dentry;
	struct mount *root_mount;
	/* As they lie in the kernel's own: the next three are read in one go, and so are those after them. */
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct dentry *mnt_root;
	__u32 d_flags;
	__u32 d_seq;
	__u64 d_hash_next;
	__u64 d_hash_pprev;
	struct dentry *d_parent;
	__u64 d_name_hash_len;
	const unsigned char *d_name;
	__u32 at; /* where the next name goes */
	__u32 start;
	__u32 root_bytes;
	__u32 is_deleted;
	__u32 status;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct walk);
} walks SEC(".maps");

#define MOUNT_OFFSET(field) bpf_core_field_offset(struct mount, field)
#define DENTRY_OFFSET(field) bpf_core_field_offset(struct dentry, field)
#define DENTRY_SEQUENCE DENTRY_OFFSET(d_seq.seqcount.sequence)

/* The offsets are constants by the time the verifier looks: one of the two ways is gone then. */
static __always_inline void read_mount(struct walk *walk)
{
	const void *mount = walk->mount;

	if (MOUNT_OFFSET(mnt_mountpoint) == MOUNT_OFFSET(mnt_parent) + 8 &&
	    MOUNT_OFFSET(mnt.mnt_root) == MOUNT_OFFSET(mnt_parent) + 16) {
		bpf_probe_read_kernel(&walk->mnt_parent, 24, mount + MOUNT_OFFSET(mnt_parent));
		return;
	}
	bpf_probe_read_kernel(&walk->mnt_parent, 8, mount + MOUNT_OFFSET(mnt_parent));
	bpf_probe_read_kernel(&walk->mnt_mountpoint, 8, mount + MOUNT_OFFSET(mnt_mountpoint));
	bpf_probe_read_kernel(&walk->mnt_root, 8, mount + MOUNT_OFFSET(mnt.mnt_root));
}

static __always_inline void read_dentry(struct walk *walk)
{
	const void *dentry = walk->dentry;

	if (DENTRY_SEQUENCE == DENTRY_OFFSET(d_flags) + 4 &&
	    DENTRY_OFFSET(d_hash.pprev) == DENTRY_OFFSET(d_flags) + 16 &&
	    DENTRY_OFFSET(d_parent) == DENTRY_OFFSET(d_flags) + 24 &&
	    DENTRY_OFFSET(d_name) == DENTRY_OFFSET(d_flags) + 32) {
		bpf_probe_read_kernel(&walk->d_flags, 48, dentry + DENTRY_OFFSET(d_flags));
		return;
	}
	bpf_probe_read_kernel(&walk->d_seq, 4, dentry + DENTRY_SEQUENCE);
	bpf_probe_read_kernel(&walk->d_hash_pprev, 8, dentry + DENTRY_OFFSET(d_hash.pprev));
	bpf_probe_read_kernel(&walk->d_parent, 8, dentry + DENTRY_OFFSET(d_parent));
	bpf_probe_read_kernel(&walk->d_name_hash_len, 16, dentry + DENTRY_OFFSET(d_name));
}

/* A rename writes a dentry's name and parent in place, between two steps of its sequence (__d_move, fs/dcache.c). */
static __always_inline bool was_renamed(struct walk *walk)
{
	__u32 now = 0;

	bpf_probe_read_kernel(&now, sizeof(now), (const void *)walk->dentry + DENTRY_SEQUENCE);
	return now != walk->d_seq || now & 1;
}

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/* One step. False at the end. */
static __always_inline bool step(struct walk *walk, __u8 *names)
{
	__u64 at = walk->at, bytes;

	if (walk->dentry == walk->root_dentry && walk->mount == walk->root_mount && walk->root_bytes == NO_ROOT)
		walk->root_bytes = at - walk->start;
	if (walk->dentry == walk->mnt_root) {
		if (walk->mnt_parent == walk->mount) {
			walk->status = walk->is_deleted ? WALK_DELETED : WALK_WHOLE;
			return false;
		}
		walk->dentry = walk->mnt_mountpoint;
		walk->mount = walk->mnt_parent;
		read_mount(walk);
		return true;
	}
	read_dentry(walk);
	if (walk->d_parent == walk->dentry)
		return false;
	bytes = (walk->d_name_hash_len >> 32) & NAME_BYTES;
	if (at - walk->start + bytes >= PATH_MAX)
		return false;
	at = within_segments(at);
	bpf_probe_read_kernel(names + at, bytes, walk->d_name);
	names[at + bytes] = 0;
	/* Again, as long as there are steps. */
	if (was_renamed(walk))
		return true;
	/* d_unlinked() of the directory itself; above it nothing can be gone while it was there. */
	if (at == walk->start && !walk->d_hash_pprev)
		walk->is_deleted = 1;
	walk->at = at + bytes + 1;
	walk->dentry = walk->d_parent;
	return true;
}

/* `slot`: of walks and enter_states. Global, as those that call it. Returns whether there is more to walk. */
__noinline int walk_few(__u32 slot)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);
	struct enter_state *state = bpf_map_lookup_elem(&enter_states, &slot);

	if (!walk || !state)
		return 0;
	for (int i = 0; i < WALK_STEPS; i++) {
		if (!step(walk, state->segments.bytes))
			return 0;
	}
	return 1;
}

__noinline int walk_some(__u32 slot)
{
	for (int i = 0; i < WALK_FEWS; i++) {
		if (!walk_few(slot))
			return 0;
	}
	return 1;
}

__noinline int walk_up(__u32 slot)
{
	for (int i = 0; i < WALK_CALLS; i++) {
		if (!walk_some(slot))
			break;
	}
	return 0;
}

/* The directory that `dfd` stands for; false when it stands for none. */
static __always_inline bool directory_of(struct task_struct *task, __s32 dfd, struct path *directory)
{
	struct file **fds, *file = NULL;
	struct fdtable *fdt;

	if (dfd == AT_FDCWD) {
		BPF_CORE_READ_INTO(directory, task, fs, pwd);
		return directory->dentry;
	}
	fdt = BPF_CORE_READ(task, files, fdt);
	if (dfd < 0 || (__u32)dfd >= BPF_CORE_READ(fdt, max_fds))
		return false;
	fds = BPF_CORE_READ(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), fds + dfd);
	if (!file)
		return false;
	BPF_CORE_READ_INTO(directory, file, f_path);
	return directory->dentry;
}

/* Appends the way from `from` (or, with none, from the process's root) up. */
static __always_inline void append_walk(struct segments *segments, __u32 slot, __u16 kind, struct task_struct *task,
					const struct path *from)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);
	struct segment *head = begin_segment(segments);
	struct directory *directory = (struct directory *)(head + 1);
	struct path root;

	if (!walk)
		return;
	BPF_CORE_READ_INTO(&root, task, fs, root);
	walk->root_dentry = root.dentry;
	walk->root_mount = mount_of(root.mnt);
	walk->dentry = from ? from->dentry : root.dentry;
	walk->mount = mount_of(from ? from->mnt : root.mnt);
	walk->start = segments->end + sizeof(*head) + sizeof(*directory);
	walk->at = walk->start;
	walk->root_bytes = NO_ROOT;
	walk->is_deleted = 0;
	walk->status = WALK_PARTIAL;
	read_mount(walk);
	walk_up(slot);

	directory->root_bytes = walk->root_bytes;
	directory->reserved = 0;
	end_segment(segments, head, kind, walk->status, sizeof(*directory) + walk->at - walk->start);
}

#endif
