/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Walks from a directory up to the root, name by name and through mounts, like d_path but without its locks. */
#ifndef RAWTP_PATH_WALK_BPF_H
#define RAWTP_PATH_WALK_BPF_H

/*
 * The steps of a walk. A path has at most PATH_MAX / 2 names, and crossing a mount is a step too. The verifier follows
 * every step of a loop, but a global function only once, however often it is called. So global functions take the steps
 * in groups, and groups of groups.
 */
#define WALK_STEPS 4
#define WALK_FEWS 16
#define WALK_CALLS (PATH_MAX / 2 / WALK_STEPS / WALK_FEWS)
/* How often a walk is tried again that a rename has disturbed. */
#define WALK_TRIES 8

/*
 * The state of a walk. It is in a map because on the stack every step of the loop would be a new state to the verifier.
 */
struct walk {
	struct dentry *dentry;
	struct mount *mount;
	struct dentry *root_dentry;
	struct mount *root_mount;
	struct mount *namespace_mount;
	/* In the kernel's order: the next three members are read together, and so are those after them. */
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct dentry *mnt_root;
	__u32 d_flags;
	__u32 d_seq;
	__u64 d_hash_next;
	__u64 d_hash_pprev;
	struct dentry *d_parent;
	__u32 d_name_hash;
	__u32 d_name_len;
	const unsigned char *d_name;
	struct dentry *from_dentry;
	struct mount *from_mount;
	struct dentry *from_mnt_root;
	__u64 links;	   /* the checksum of the links so far */
	__u64 named_links; /* the checksum up to the last name, and the steps up to there */
	__u32 named_steps;
	__u32 steps;
	__u32 at; /* the offset of the next name */
	__u32 start;
	__u32 names_at; /* the offset of the first name of this walk */
	__u32 mount_bytes;
	__u32 is_above; /* whether this walk is that above a mount's root, which crosses no mount */
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

/*
 * Keeps the second walk's reads behind the first's. x86 needs only a compiler barrier. On arm64 the nearest to a
 * barrier that every kernel has is a helper that contains one (ktime_get_mono_fast_ns, kernel/time/timekeeping.c).
 */
#if defined(__TARGET_ARCH_arm64)
#define READ_BEFORE_MORE() bpf_ktime_get_ns()
#else
#define READ_BEFORE_MORE() barrier()
#endif

/*
 * The kernel's BTF ids of these types, or 0 where an address cannot be given a type (before Linux 6.2). With an id,
 * reading takes plain loads, which give 0 where nothing can be read. Without one, it takes calls of a helper.
 */
const volatile __u32 cfg_dentry_type = 0;
const volatile __u32 cfg_mount_type = 0;

#define MOUNT_OFFSET(field) bpf_core_field_offset(struct mount, field)
#define DENTRY_OFFSET(field) bpf_core_field_offset(struct dentry, field)
#define DENTRY_SEQUENCE DENTRY_OFFSET(d_seq.seqcount.sequence)

/* Reads the mount's links. The offsets are constants when the verifier looks, so it sees only one of the branches. */
static __always_inline void read_mount(struct walk *walk)
{
	const void *mount = walk->mount;

	if (cfg_mount_type) {
		const struct mount *typed = untrusted(mount, cfg_mount_type);

		walk->mnt_parent = typed->mnt_parent;
		walk->mnt_mountpoint = typed->mnt_mountpoint;
		walk->mnt_root = typed->mnt.mnt_root;
		return;
	}
	if (MOUNT_OFFSET(mnt_mountpoint) == MOUNT_OFFSET(mnt_parent) + 8 &&
	    MOUNT_OFFSET(mnt.mnt_root) == MOUNT_OFFSET(mnt_parent) + 16) {
		bpf_probe_read_kernel(&walk->mnt_parent, 24, mount + MOUNT_OFFSET(mnt_parent));
		return;
	}
	bpf_probe_read_kernel(&walk->mnt_parent, 8, mount + MOUNT_OFFSET(mnt_parent));
	bpf_probe_read_kernel(&walk->mnt_mountpoint, 8, mount + MOUNT_OFFSET(mnt_mountpoint));
	bpf_probe_read_kernel(&walk->mnt_root, 8, mount + MOUNT_OFFSET(mnt.mnt_root));
}

#define LINK_IS_ONE_RUN                                                                                                \
	(DENTRY_SEQUENCE == DENTRY_OFFSET(d_flags) + 4 &&                                                              \
	 DENTRY_OFFSET(d_hash.pprev) == DENTRY_OFFSET(d_flags) + 16 &&                                                 \
	 DENTRY_OFFSET(d_parent) == DENTRY_OFFSET(d_flags) + 24)

static __always_inline void read_link(struct walk *walk)
{
	const void *dentry = walk->dentry;

	if (cfg_dentry_type) {
		const struct dentry *typed = untrusted(dentry, cfg_dentry_type);

		walk->d_seq = typed->d_seq.seqcount.sequence;
		barrier();
		walk->d_parent = typed->d_parent;
		return;
	}
	if (LINK_IS_ONE_RUN) {
		bpf_probe_read_kernel(&walk->d_flags, 32, dentry + DENTRY_OFFSET(d_flags));
		return;
	}
	bpf_probe_read_kernel(&walk->d_seq, 4, dentry + DENTRY_SEQUENCE);
	bpf_probe_read_kernel(&walk->d_parent, 8, dentry + DENTRY_OFFSET(d_parent));
}

static __always_inline void read_dentry(struct walk *walk)
{
	const void *dentry = walk->dentry;

	if (cfg_dentry_type) {
		const struct dentry *typed = untrusted(dentry, cfg_dentry_type);

		walk->d_seq = typed->d_seq.seqcount.sequence;
		barrier();
		walk->d_hash_pprev = (__u64)typed->d_hash.pprev;
		walk->d_parent = typed->d_parent;
		walk->d_name_len = typed->d_name.len;
		walk->d_name = typed->d_name.name;
		return;
	}
	if (LINK_IS_ONE_RUN && DENTRY_OFFSET(d_name) == DENTRY_OFFSET(d_flags) + 32) {
		bpf_probe_read_kernel(&walk->d_flags, 48, dentry + DENTRY_OFFSET(d_flags));
		return;
	}
	bpf_probe_read_kernel(&walk->d_seq, 4, dentry + DENTRY_SEQUENCE);
	bpf_probe_read_kernel(&walk->d_hash_pprev, 8, dentry + DENTRY_OFFSET(d_hash.pprev));
	bpf_probe_read_kernel(&walk->d_parent, 8, dentry + DENTRY_OFFSET(d_parent));
	bpf_probe_read_kernel(&walk->d_name_hash, 16, dentry + DENTRY_OFFSET(d_name));
}

static __always_inline struct mount *mount_of(struct vfsmount *mnt)
{
	return (void *)mnt - bpf_core_field_offset(struct mount, mnt);
}

/*
 * Adds a link to the walk's checksum. A rename changes a dentry's name and parent in place, between two steps of its
 * sequence (__d_move, fs/dcache.c). While the walk climbs, a directory that it has left can move elsewhere, and then
 * the names were never one path together. So each link from a child to its parent is summed up with its sequence, and
 * the walk is repeated as far as it has names. If the sums are equal, all links existed at the moment between the two
 * walks.
 */
static __always_inline void add_link(struct walk *walk, __u64 from, __u64 to)
{
	walk->links = (walk->links + from + (to << 1)) * 0x9e3779b97f4a7c15;
}

static __always_inline void cross_mount(struct walk *walk)
{
	add_link(walk, (__u64)walk->mnt_parent, (__u64)walk->mnt_mountpoint);
	walk->dentry = walk->mnt_mountpoint;
	walk->mount = walk->mnt_parent;
	read_mount(walk);
}

/* True for the namespace of mounts that are mounted nowhere (MNT_NS_INTERNAL, fs/mount.h). */
#define IS_ERROR(pointer) ((__u64)(pointer) >= (__u64)-4095)
/* The inode number of a namespace of detached mounts, since Linux 6.18. Before, it is 0. */
#define MNT_NS_ANON_INO 0xEFFFFFF7U

/* Returns how a walk ended that cannot go on, by the rules of prepend_path() (fs/d_path.c). */
static __always_inline __u32 end_of(struct walk *walk)
{
	struct mnt_namespace *namespace = NULL;
	__u32 inum = 0;

	if (walk->is_above)
		return WALK_WHOLE;
	if (walk->mount != walk->namespace_mount) {
		bpf_probe_read_kernel(&namespace, sizeof(namespace), (const void *)walk->mount + MOUNT_OFFSET(mnt_ns));
		if (IS_ERROR(namespace))
			return WALK_INTERNAL;
		if (walk->dentry != walk->mnt_root)
			return WALK_PARTIAL;
		if (namespace)
			inum = BPF_CORE_READ(namespace, ns.inum);
		if (!inum || inum == MNT_NS_ANON_INO)
			return WALK_DETACHED;
	} else if (walk->dentry != walk->mnt_root) {
		return WALK_PARTIAL;
	}
	return walk->is_deleted ? WALK_DELETED : WALK_WHOLE;
}

/* Takes one step. Returns false at the end. */
static __always_inline bool step(struct walk *walk, __u8 *names)
{
	__u64 at = walk->at, bytes;

	if (walk->dentry == walk->root_dentry && walk->mount == walk->root_mount && walk->root_bytes == NO_ROOT)
		walk->root_bytes = at - walk->start;
	if (walk->dentry == walk->mnt_root) {
		if (walk->mnt_parent == walk->mount) {
			walk->status = end_of(walk);
			return false;
		}
		if (walk->mount_bytes == NO_ROOT)
			walk->mount_bytes = at - walk->start;
		cross_mount(walk);
		walk->steps++;
		return true;
	}
	read_dentry(walk);
	if (walk->d_parent == walk->dentry) {
		walk->status = end_of(walk);
		return false;
	}
	bytes = walk->d_name_len;
	if (at - walk->start + bytes >= PATH_MAX)
		return false;
	/* For the verifier, which has lost the range. */
	barrier_var(bytes);
	bytes &= PATH_MAX - 1;
	at = within_segments(at);
	bpf_probe_read_kernel(names + at, bytes, walk->d_name);
	names[at + bytes] = 0;
	/* d_unlinked() of the directory itself. Nothing above it can be gone while it exists. */
	if (at == walk->start && !walk->d_hash_pprev)
		walk->is_deleted = 1;
	add_link(walk, (__u64)walk->dentry, walk->d_seq);
	walk->at = at + bytes + 1;
	walk->dentry = walk->d_parent;
	walk->steps++;
	walk->named_links = walk->links;
	walk->named_steps = walk->steps;
	return true;
}

/* Repeats a step, for its link only. */
static __always_inline bool step_again(struct walk *walk)
{
	if (walk->dentry == walk->mnt_root) {
		read_mount(walk);
		cross_mount(walk);
	} else {
		read_link(walk);
		/* Odd: a rename is under way, and an odd number that the first walk met must not pass for the same. */
		add_link(walk, (__u64)walk->dentry, walk->d_seq + (walk->d_seq & 1));
		walk->dentry = walk->d_parent;
	}
	walk->named_steps--;
	return walk->named_steps;
}

/*
 * Takes a few steps. `slot` is that of walks and call_states. It is global, like its callers. Returns whether there is
 * more to walk.
 */
__noinline int walk_few(__u32 slot)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);

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

__noinline int walk_few_again(__u32 slot)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);

	if (!walk)
		return 0;
	for (int i = 0; i < WALK_STEPS; i++) {
		if (!step_again(walk))
			return 0;
	}
	return 1;
}

__noinline int walk_some_again(__u32 slot)
{
	for (int i = 0; i < WALK_FEWS; i++) {
		if (!walk_few_again(slot))
			return 0;
	}
	return 1;
}

/* Walks up from the start, twice. Returns whether the path was the same both times. */
__noinline int walk_up(__u32 slot)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);

	if (!walk)
		return 0;
	walk->dentry = walk->from_dentry;
	walk->mount = walk->from_mount;
	if (walk->is_above)
		walk->mnt_root = NULL;
	else
		read_mount(walk);
	walk->from_mnt_root = walk->mnt_root;
	walk->links = 0;
	walk->named_links = 0;
	walk->named_steps = 0;
	walk->steps = 0;
	walk->at = walk->names_at;
	walk->mount_bytes = NO_ROOT;
	walk->root_bytes = NO_ROOT;
	walk->is_deleted = 0;
	walk->status = WALK_PARTIAL;
	for (int i = 0; i < WALK_CALLS; i++) {
		if (!walk_some(slot))
			break;
	}
	if (!walk->named_steps)
		return 1;
	READ_BEFORE_MORE();
	walk->dentry = walk->from_dentry;
	walk->mount = walk->from_mount;
	walk->mnt_root = walk->from_mnt_root;
	walk->links = 0;
	for (int i = 0; i < WALK_CALLS; i++) {
		if (!walk_some_again(slot))
			break;
	}
	return walk->links == walk->named_links;
}

/* Reads the path of a struct file. */
static __always_inline bool path_of(__u64 file, struct path *path)
{
	BPF_CORE_READ_INTO(path, (struct file *)file, f_path);
	return path->dentry;
}

/* Returns the file of a descriptor, or NULL. */
static __always_inline struct file *file_of(struct task_struct *task, __s32 fd)
{
	struct fdtable *fdt = BPF_CORE_READ(task, files, fdt);
	struct file **fds, *file = NULL;

	if (fd < 0 || (__u32)fd >= BPF_CORE_READ(fdt, max_fds))
		return NULL;
	fds = BPF_CORE_READ(fdt, fd);
	bpf_probe_read_kernel(&file, sizeof(file), fds + fd);
	return file;
}

/* Finds the directory that `dfd` stands for. Returns false if there is none. */
static __always_inline bool directory_of(struct task_struct *task, __s32 dfd, struct path *directory)
{
	struct file *file;

	if (dfd == AT_FDCWD) {
		BPF_CORE_READ_INTO(directory, task, fs, pwd);
		return directory->dentry;
	}
	file = file_of(task, dfd);
	return file && path_of((__u64)file, directory);
}

/* Finds what a call's descriptor, or the file of a request that lacks one, stands for. */
static __always_inline bool operand_path(const struct operands *operands, __s32 dfd, struct path *path)
{
	return operands->file ? path_of(operands->file, path) : directory_of(current_task(), dfd, path);
}

/* Sets the roots at which the walks of a record end. */
static __always_inline void begin_walks(__u32 slot, struct task_struct *task)
{
	struct task_struct *pointers = untrusted(task, cfg_task_type);
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);
	struct path root;

	if (!walk)
		return;
	BPF_CORE_READ_INTO(&root, task, fs, root);
	walk->root_dentry = root.dentry;
	walk->root_mount = mount_of(root.mnt);
	walk->namespace_mount =
		HAS_TYPED_TASK ? pointers->nsproxy->mnt_ns->root : BPF_CORE_READ(task, nsproxy, mnt_ns, root);
}

static __always_inline void walk_from(__u32 slot, struct dentry *dentry, struct mount *mount)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);

	if (!walk)
		return;
	walk->from_dentry = dentry;
	walk->from_mount = mount;
}

static __always_inline void walk_from_root(__u32 slot)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);

	if (!walk)
		return;
	walk->from_dentry = walk->root_dentry;
	walk->from_mount = walk->root_mount;
}

/*
 * Appends the names above the root of the mount that the last walk began on, and fills in the file system's part of
 * that walk. Most mounts show a whole file system, and then there are none.
 */
static __always_inline void append_above(__u32 slot, struct walk *walk, struct directory *directory)
{
	struct dentry *from, *root;
	bool is_path;

	if (walk->mount_bytes == NO_ROOT) {
		/* It ended on its first mount. */
		if (walk->status == WALK_PARTIAL)
			return;
		walk->mount_bytes = walk->at - walk->start;
	}
	directory->mount_bytes = walk->mount_bytes;
	from = walk->from_dentry;
	root = walk->from_mnt_root;
	if (root && BPF_CORE_READ(root, d_parent) != root) {
		is_path = false;
		walk->from_dentry = root;
		walk->names_at = walk->at;
		walk->is_above = 1;
		for (int i = 0; i < WALK_TRIES && !is_path; i++)
			is_path = walk_up(slot);
		walk->is_above = 0;
		if (!is_path || walk->status == WALK_PARTIAL) {
			walk->at = walk->names_at;
			return;
		}
		directory->above_bytes = walk->at - walk->names_at;
	}
	directory->dev = BPF_CORE_READ(from, d_sb, s_dev);
}

/* Does the work of append_walk, or of append_place. */
static __always_inline int append_names(__u32 slot, __u32 kind, bool is_above)
{
	struct walk *walk = bpf_map_lookup_elem(&walks, &slot);
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct directory *directory;
	struct segments *segments;
	struct segment *head;
	__u32 status, root_bytes;
	bool is_path = false;

	if (!walk || !state)
		return 1;
	segments = &state->segments;
	head = begin_segment(segments);
	directory = (struct directory *)(head + 1);
	walk->start = segments->end + sizeof(*head) + sizeof(*directory);
	walk->names_at = walk->start;
	walk->is_above = is_above;
	for (int i = 0; i < WALK_TRIES && !is_path; i++)
		is_path = walk_up(slot);
	if (!is_path) {
		walk->at = walk->start;
		walk->root_bytes = NO_ROOT;
		walk->status = WALK_PARTIAL;
	}
	status = walk->status;
	root_bytes = walk->root_bytes;
	directory->root_bytes = root_bytes;
	directory->is_deleted = walk->is_deleted;
	directory->dev = 0;
	directory->mount_bytes = 0;
	directory->above_bytes = 0;
	directory->reserved = 0;
	if (cfg_places && is_path && kind != SEGMENT_EXE)
		append_above(slot, walk, directory);
	end_segment(segments, head, kind, status, sizeof(*directory) + walk->at - walk->start);
	return root_bytes != NO_ROOT || status == WALK_PARTIAL;
}

/*
 * Walks up from the directory of walk_from and appends the names as a segment of this kind. Returns false if the walk
 * surely did not meet the process's root. It is global.
 */
__noinline int append_walk(__u32 slot, __u32 kind)
{
	return append_names(slot, kind, false);
}

/* Does the same up to the root of the file system, for a file whose mount is not known. It is global. */
__noinline int append_place(__u32 slot, __u32 kind)
{
	return append_names(slot, kind, true);
}

#endif
