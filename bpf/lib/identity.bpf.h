/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Fills in the caller's identity beyond what every record has, from the kernel's structures at the time of the call. */
#ifndef RAWTP_IDENTITY_BPF_H
#define RAWTP_IDENTITY_BPF_H

/* A macro, because only pointers whose type the verifier knows can be read by plain loads. */
#define CHAIN(task, a, b) (HAS_TYPED_TASK ? (task)->a->b : BPF_CORE_READ(task, a, b))

/* The initial pid namespace (include/linux/proc_ns.h). */
#define PROC_PID_INIT_INO 0xEFFFFFFCU

/* Fills in the process's id in the innermost of its pid namespaces, and that namespace. */
static __always_inline void fill_pid_namespace(struct enter_record *record, struct task_struct *leader)
{
	struct pid *pid = TASK(leader, thread_pid);
	struct upid upid = {};
	__u32 level = TASK(pid, level);

	if (!level) {
		record->ns_pid = record->pid;
		record->pid_ns = PROC_PID_INIT_INO;
		return;
	}
	bpf_probe_read_kernel(&upid, sizeof(upid),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * sizeof(upid));
	record->ns_pid = upid.nr;
	record->pid_ns = BPF_CORE_READ(upid.ns, ns.inum);
}

/* A switch, not a loop: only with constants does the verifier know the type of what is read. */
#define SUBSYS(n)                                                                                                      \
	case n:                                                                                                        \
		return task->cgroups->subsys[n]->cgroup->kn->id;

#define SUBSYS_OF(controller)                                                                                          \
	(bpf_core_enum_value_exists(enum cgroup_subsys_id, controller##_cgrp_id)                                       \
		 ? bpf_core_enum_value(enum cgroup_subsys_id, controller##_cgrp_id)                                    \
		 : CGROUP_SUBSYS_MAX)

static __always_inline __u64 subsys_cgroup_id(struct task_struct *task, __u32 subsys)
{
	struct cgroup_subsys_state *state = NULL;
	const void *states;

	if (!HAS_TYPED_TASK) {
		states = (const void *)BPF_CORE_READ(task, cgroups) + bpf_core_field_offset(struct css_set, subsys);
		bpf_probe_read_kernel(&state, sizeof(state), states + subsys * sizeof(state));
		return subsys < CGROUP_SUBSYS_MAX ? BPF_CORE_READ(state, cgroup, kn, id) : 0;
	}
	switch (subsys) {
		SUBSYS(0)
		SUBSYS(1)
		SUBSYS(2)
		SUBSYS(3)
		SUBSYS(4)
		SUBSYS(5)
		SUBSYS(6)
		SUBSYS(7)
		SUBSYS(8)
		SUBSYS(9)
		SUBSYS(10)
		SUBSYS(11)
		SUBSYS(12)
		SUBSYS(13)
		SUBSYS(14)
		SUBSYS(15)
	}
	return 0;
}

/* Returns the controller of the version 1 hierarchy in use, or CGROUP_SUBSYS_MAX. */
static __always_inline __u32 cgroup_v1_subsys(void)
{
	switch (cfg_cgroup_v1) {
	case CGROUP_V1_MEMORY:
		return SUBSYS_OF(memory);
	case CGROUP_V1_PIDS:
		return SUBSYS_OF(pids);
	case CGROUP_V1_DEVICES:
		return SUBSYS_OF(devices);
	case CGROUP_V1_CPU:
		return SUBSYS_OF(cpu);
	default:
		return CGROUP_SUBSYS_MAX;
	}
}

static __always_inline __u64 cgroup_v1_id(struct task_struct *task)
{
	__u32 subsys = cgroup_v1_subsys();

	return subsys < CGROUP_SUBSYS_MAX ? subsys_cgroup_id(task, subsys) : 0;
}

/*
 * Fills in the ids and names of the task and its parent. Each chain of pointers is followed once, and before any branch
 * that the verifier would explore separately.
 */
static __always_inline void fill_ids(struct enter_record *record, struct task_struct *task,
				     struct task_struct *pointers)
{
	struct task_struct *parent = TASK(pointers, real_parent);
	const struct cred *cred = TASK(pointers, cred);

	record->pid = TASK(task, tgid);
	record->tid = TASK(task, pid);
	record->ppid = TASK(parent, tgid);
	record->uid = TASK(cred, uid.val);
	record->gid = TASK(cred, gid.val);
	read_comm(record->comm, task);
	if (!cfg_identity)
		return;
	record->euid = TASK(cred, euid.val);
	record->fsuid = TASK(cred, fsuid.val);
	record->fsgid = TASK(cred, fsgid.val);
	/* The process's name, as for an ancestor. The parent itself is the thread that forked. */
	read_comm(record->parent_comm, TASK(parent, group_leader));
}

static __always_inline __u32 mnt_ns_of(struct task_struct *task, struct task_struct *pointers)
{
	return HAS_TYPED_TASK ? pointers->nsproxy->mnt_ns->ns.inum : BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
}

static __always_inline void fill_exec_source(struct exec_source *source, struct task_struct *task,
					     struct task_struct *pointers)
{
	struct mm_struct *mm = TASK(pointers, mm);
	struct file *exe = TASK(mm, exe_file);

	source->exec_id = TASK(task, self_exec_id);
	source->exe_file = (__u64)exe;
	if (cfg_exe)
		source->exe_seq = HAS_TYPED_TASK ? exe->f_path.dentry->d_seq.seqcount.sequence
						 : BPF_CORE_READ(exe, f_path.dentry, d_seq.seqcount.sequence);
	source->arg_start = TASK(mm, arg_start);
	source->arg_end = TASK(mm, arg_end);
}

static __always_inline struct exec_entry *exec_entry_of(const struct enter_record *record)
{
	__u32 at = record->pid & (EXEC_SLOTS - 1);

	return bpf_map_lookup_elem(&exec_entries, &at);
}

/*
 * Whether the process's exe and argv were sent. An exec raises exec_id, while its addresses may well be those of the
 * exec before.
 */
static __always_inline bool is_exec_sent(const struct enter_record *record, const struct exec_source *source)
{
	struct exec_entry *entry = exec_entry_of(record);

	return entry && entry->pid == record->pid && entry->start_ns == record->start_ns &&
	       entry->exec_id == source->exec_id && (!cfg_exe || entry->exe_seq == source->exe_seq);
}

/*
 * Marks the exec as sent. Call it when the record with exe and argv is in the ring, so that records of those who see
 * the mark come after it.
 */
static __always_inline void set_exec_sent(const struct enter_record *record, const struct exec_source *source)
{
	struct exec_entry *entry = exec_entry_of(record);

	if (!entry)
		return;
	entry->pid = record->pid;
	entry->start_ns = record->start_ns;
	entry->exec_id = source->exec_id;
	entry->exe_seq = source->exe_seq;
}

static __always_inline void fill_identity(struct enter_record *record, struct task_struct *task,
					  struct task_struct *pointers, struct task_struct *leader)
{
	/* The same as bpf_get_current_cgroup_id(), without the call. */
	record->cgroup_id =
		HAS_TYPED_TASK ? pointers->cgroups->dfl_cgrp->kn->id : BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	record->cgroup_v1_id = cgroup_v1_id(pointers);
	record->auid = -1;
	record->session_id = -1;
	/* Kernels without audit lack these fields. */
	if (bpf_core_field_exists(task->loginuid)) {
		record->auid = TASK(task, loginuid.val);
		record->session_id = TASK(task, sessionid);
	}
	record->mnt_ns = mnt_ns_of(task, pointers);
	fill_pid_namespace(record, leader);
}

/*
 * Appends the name of a file that is in no directory. Returns whether the file is one. The dentry of such a file is its
 * own parent without being the root of its mount. That can also be true for a file that was opened by its handle, but
 * its name is "/".
 */
static __always_inline bool append_pseudo(struct segments *segments, const struct path *path)
{
	struct segment *head = begin_segment(segments);
	struct directory *directory = (struct directory *)(head + 1);
	struct dentry *dentry = path->dentry;
	const unsigned char *name;
	__u64 bytes;
	__u8 first = '/';

	if (BPF_CORE_READ(dentry, d_parent) != dentry || BPF_CORE_READ(path->mnt, mnt_root) == dentry)
		return false;
	name = BPF_CORE_READ(dentry, d_name.name);
	bytes = BPF_CORE_READ(dentry, d_name.len);
	barrier_var(bytes);
	bytes &= PATH_MAX - 1;
	if (bpf_probe_read_kernel(&first, sizeof(first), name) || first == '/')
		return false;
	if (bpf_probe_read_kernel(directory + 1, bytes, name))
		return false;
	*directory = (struct directory){.root_bytes = NO_ROOT};
	end_segment(segments, head, SEGMENT_EXE, WALK_PSEUDO, sizeof(*directory) + bytes);
	return true;
}

static __always_inline void append_exe(struct segments *segments, __u32 slot, const struct exec_source *source,
				       struct task_struct *task)
{
	struct file *file = (struct file *)source->exe_file;
	struct segment *head = begin_segment(segments);
	struct path path;

	if (file) {
		BPF_CORE_READ_INTO(&path, file, f_path);
		if (!append_pseudo(segments, &path)) {
			walk_from(slot, path.dentry, mount_of(path.mnt));
			append_walk(slot, SEGMENT_EXE);
		}
	} else {
		*(struct directory *)(head + 1) = (struct directory){.root_bytes = NO_ROOT};
		end_segment(segments, head, SEGMENT_EXE, WALK_NONE, sizeof(struct directory));
	}
}

static __always_inline void append_argv(struct segments *segments, const struct exec_source *source)
{
	struct segment *head = begin_segment(segments);
	__u64 bytes = source->arg_end - source->arg_start;
	__u16 status = NAME_OK;

	if (bytes > ARGV_BYTES - 1) {
		bytes = ARGV_BYTES - 1;
		status = NAME_TRUNCATED;
	}
	barrier_var(bytes);
	bytes &= ARGV_BYTES - 1;
	if (bpf_probe_read_user(head + 1, bytes, (const void *)source->arg_start)) {
		bytes = 0;
		status = NAME_FAULT;
	}
	end_segment(segments, head, SEGMENT_ARGV, status, bytes);
}

/*
 * Appends the process and its ancestors, up to the first that is its own parent: the idle task, which is no process.
 */
static __always_inline void append_ancestors(struct segments *segments, struct task_struct *task)
{
	struct segment *head = begin_segment(segments);
	struct image *image = (struct image *)(head + 1);
	__u64 bytes = 0;

	/* Up to 34 pointers are read: see `untrusted`. */
	task = untrusted(task, cfg_task_type);
	task = TASK(task, group_leader);
	for (__u32 i = 0; i < ANCESTORS_MAX + 1 && i < cfg_ancestors; i++) {
		image->pid = TASK(task, tgid);
		if (!image->pid)
			break;
		image->start_ns = TASK(task, start_boottime);
		image->exec_id = TASK(task, self_exec_id);
		image->reserved = 0;
		read_comm(image->comm, task);
		task = CHAIN(task, real_parent, group_leader);
		image++;
		bytes += sizeof(*image);
	}
	end_segment(segments, head, SEGMENT_ANCESTORS, NAME_OK, bytes);
}

/*
 * Appends the working directory, unless two names, their directories and the roots leave no room for it. The result,
 * which comes last, needs less than the rest.
 */
static __always_inline void append_cwd(struct segments *segments, __u32 slot, struct task_struct *task)
{
	struct path cwd;

	if (segments->end > SEGMENTS_BYTES - SEGMENT_MOST - 64 || !directory_of(task, AT_FDCWD, &cwd))
		return;
	walk_from(slot, cwd.dentry, mount_of(cwd.mnt));
	append_walk(slot, SEGMENT_CWD);
}

#endif
