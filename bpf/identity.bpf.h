/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Who calls, beyond what every record says: from the kernel's structures at the time of the call. */
#ifndef RAWTP_IDENTITY_BPF_H
#define RAWTP_IDENTITY_BPF_H

/* Only what the verifier knows the type of can be read by plain loads, and so it is everywhere a macro. */
#define CHAIN(task, a, b) (HAS_TYPED_TASK ? (task)->a->b : BPF_CORE_READ(task, a, b))

/* The process's id where it lives, and that place: the innermost of its pid namespaces. */
static __always_inline void fill_pid_namespace(struct enter_record *record, struct task_struct *task)
{
	struct pid *pid = CHAIN(task, group_leader, thread_pid);
	struct upid upid = {};
	__u32 level = BPF_CORE_READ(pid, level);

	bpf_probe_read_kernel(&upid, sizeof(upid),
			      (void *)pid + bpf_core_field_offset(struct pid, numbers) + level * sizeof(upid));
	record->ns_pid = upid.nr;
	record->pid_ns = BPF_CORE_READ(upid.ns, ns.inum);
}

static __always_inline void fill_identity(struct enter_record *record, struct task_struct *task)
{
	record->start_ns = CHAIN(task, group_leader, start_boottime);
	record->cgroup_id = bpf_get_current_cgroup_id();
	record->euid = CHAIN(task, cred, euid.val);
	record->auid = -1;
	record->session_id = -1;
	/* Kernels without audit do not have them. */
	if (bpf_core_field_exists(task->loginuid)) {
		record->auid = TASK(task, loginuid.val);
		record->session_id = TASK(task, sessionid);
	}
	record->mnt_ns =
		HAS_TYPED_TASK ? task->nsproxy->mnt_ns->ns.inum : BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
	fill_pid_namespace(record, task);
	if (HAS_TYPED_TASK)
		read_comm(record->parent_comm, task->real_parent);
	else
		read_comm(record->parent_comm, BPF_CORE_READ(task, real_parent));
}

static __always_inline void append_exe(struct segments *segments, __u32 cpu, struct task_struct *task)
{
	struct file *file = CHAIN(task, mm, exe_file);
	struct path path;

	if (!file)
		return;
	BPF_CORE_READ_INTO(&path, file, f_path);
	append_walk(segments, cpu, SEGMENT_EXE, task, &path);
}

static __always_inline void append_argv(struct segments *segments, struct task_struct *task)
{
	__u64 start = CHAIN(task, mm, arg_start), bytes = CHAIN(task, mm, arg_end) - start;
	struct segment *head = begin_segment(segments);
	__u16 status = NAME_OK;

	if (bytes > ARGV_BYTES - 1) {
		bytes = ARGV_BYTES - 1;
		status = NAME_TRUNCATED;
	}
	barrier_var(bytes);
	bytes &= ARGV_BYTES - 1;
	if (!bpf_probe_read_user(head + 1, bytes, (const void *)start))
		end_segment(segments, head, SEGMENT_ARGV, status, bytes);
}

#endif
