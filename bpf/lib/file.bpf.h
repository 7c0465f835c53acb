/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reads what an inode tells about its file. */
#ifndef RAWTP_FILE_BPF_H
#define RAWTP_FILE_BPF_H

#define NS_PER_S 1000000000

/* The kernel's BTF id of `struct inode`, or 0 as for cfg_dentry_type. */
const volatile __u32 cfg_inode_type = 0;

/* A macro for the same reason as CHAIN. */
#define INODE(inode, field) (cfg_inode_type ? (inode)->field : BPF_CORE_READ(inode, field))

static __always_inline __s64 mtime_ns_of(struct inode *inode)
{
	struct inode___mtime_sec *apart = (void *)inode;
	struct inode___private_mtime *private = (void *)inode;
	struct inode___i_mtime *public = (void *)inode;

	if (bpf_core_field_exists(apart->i_mtime_sec))
		return INODE(apart, i_mtime_sec) * NS_PER_S + INODE(apart, i_mtime_nsec);
	if (bpf_core_field_exists(private->__i_mtime))
		return INODE(private, __i_mtime.tv_sec) * NS_PER_S + INODE(private, __i_mtime.tv_nsec);
	return INODE(public, i_mtime.tv_sec) * NS_PER_S + INODE(public, i_mtime.tv_nsec);
}

/* Appends the file of a dentry as a segment of this kind. A dentry without an inode is the name of no file. */
static __always_inline void append_file(struct segments *segments, __u16 kind, struct dentry *dentry)
{
	struct segment *head = begin_segment(segments);
	struct file_info *file = (struct file_info *)(head + 1);
	struct inode *inode = BPF_CORE_READ(dentry, d_inode);

	if (!inode)
		return;
	if (cfg_inode_type)
		inode = untrusted(inode, cfg_inode_type);
	file->ino = INODE(inode, i_ino);
	file->size = INODE(inode, i_size);
	file->mtime_ns = mtime_ns_of(inode);
	file->dev = cfg_inode_type ? inode->i_sb->s_dev : BPF_CORE_READ(inode, i_sb, s_dev);
	file->generation = INODE(inode, i_generation);
	file->nlink = INODE(inode, i_nlink);
	file->mode = INODE(inode, i_mode);
	file->owner = INODE(inode, i_uid.val);
	file->reserved = 0;
	end_segment(segments, head, kind, NAME_OK, sizeof(*file));
}

static __always_inline void append_length(struct segments *segments, __s64 length)
{
	struct segment *head = begin_segment(segments);

	*(__s64 *)(head + 1) = length;
	end_segment(segments, head, SEGMENT_LENGTH, 0, sizeof(length));
}

/* Appends the file that the call's descriptor stands for. It is global. */
__noinline int append_file_of(__u32 slot)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct path path;

	if (state && operand_path(&state->operands, state->operands.dfd, &path))
		append_file(&state->segments, SEGMENT_FILE, path.dentry);
	return 0;
}

#define FMODE_CREATED 0x100000 /* include/linux/fs.h */

/*
 * Appends the file that a descriptor of the current process stands for, and its name. Returns whether the process made
 * that file when it opened it. It is global.
 */
__noinline int append_opened(__u32 slot, __s32 fd)
{
	struct call_state *state = bpf_map_lookup_elem(&call_states, &slot);
	struct task_struct *task = current_task();
	struct file *file;

	if (!state)
		return 0;
	file = file_of(task, fd);
	if (!file)
		return 0;
	append_file(&state->segments, SEGMENT_FILE, BPF_CORE_READ(file, f_path.dentry));
	if (cfg_places) {
		begin_walks(slot, task);
		walk_from(slot, BPF_CORE_READ(file, f_path.dentry), mount_of(BPF_CORE_READ(file, f_path.mnt)));
		append_walk(slot, SEGMENT_REAL);
	}
	return !!(BPF_CORE_READ(file, f_mode) & FMODE_CREATED);
}

#endif
