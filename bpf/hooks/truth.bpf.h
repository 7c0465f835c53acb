/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs on the kernel's own functions that remove names and content. They report the file that a call has reached,
 * and its name in the locked parent directory.
 *
 * The kernel calls these functions for the security modules, just before it does the work, with the mount of the
 * parent. Their arguments have been the same since Linux 5.10. Each program exists twice: for kprobes, whose context is
 * the registers, and for fentry, whose context is the arguments. User space chooses one of the two and sets the real
 * types of the programs (src/load/truth.rs).
 */
#ifndef RAWTP_TRUTH_HOOK_BPF_H
#define RAWTP_TRUTH_HOOK_BPF_H

/* Whether any of the programs has run. A disabled hook (`kernel.ftrace_enabled`) gives no error but is silent. */
volatile __u32 truth_runs = 0;

/* Whether the files of requests can be found: the thread that runs a request knows it, since Linux 5.17. */
#define KNOWS_REQUESTS                                                                                                 \
	(!COMPLETES_CTX && bpf_core_field_exists(((struct task_struct *)0)->worker_private) &&                         \
	 bpf_core_field_exists(((struct io_worker *)0)->cur_work) &&                                                   \
	 bpf_core_field_exists(((struct io_kiocb *)0)->work))

/*
 * Finds the request that one of io_uring's threads runs. Requests that remove something are always handed to such a
 * thread, because they may block. Returns false for a request that is not watched.
 */
static __always_inline bool find_request(struct truth_record *record, struct task_struct *task)
{
	struct request_key key = {0};
	struct open_request *open;
	struct io_worker *worker;

	if (!KNOWS_REQUESTS || !requests_open)
		return false;
	worker = BPF_CORE_READ(task, worker_private);
	key.request = (__u64)BPF_CORE_READ(worker, cur_work) - bpf_core_field_offset(struct io_kiocb, work);
	open = bpf_map_lookup_elem(&requests, &key);
	if (!open)
		return false;
	record->via = VIA_IO_URING;
	record->cpu = open->cpu;
	record->seq = open->seq;
	return true;
}

/* Returns the decision about the call that the thread is in, or NULL when no event was sent for it. */
static __always_inline __u8 *sent_decision(struct task_struct *task)
{
	__u8 *decision = decision_of(task), decided;

	if (!decision)
		return NULL;
	decided = *decision & ~CALL_FREED;
	return decided == CALL_SENT || decided == CALL_FAULT ? decision : NULL;
}

/* Finds the call that the thread is in. Returns false when no event was sent for it. */
static __always_inline bool find_call(struct truth_record *record, struct task_struct *task)
{
	if (TASK(task, flags) & PF_IO_WORKER)
		return find_request(record, task);
	if (!sent_decision(task))
		return false;
	record->via = VIA_SYSCALL;
	record->cpu = 0;
	record->seq = 0;
	return true;
}

static __always_inline void append_real(__u32 slot, __u32 kind, struct dentry *dentry, struct vfsmount *mnt)
{
	walk_from(slot, dentry, mount_of(mnt));
	append_walk(slot, kind);
}

static __always_inline void count_lost_truth(__u32 cpu)
{
	struct counters *counted = bpf_map_lookup_elem(&counters, &cpu);

	/* Programs of entries count in the same slot, and this one may have interrupted them. */
	if (counted)
		__sync_fetch_and_add(&counted->lost_truths, 1);
}

static __always_inline void send_truth(struct call_state *state, struct task_struct *task, __u32 cpu, __u32 slot,
				       struct dentry *dentry, struct vfsmount *mnt, struct dentry *new_dentry,
				       struct vfsmount *new_mnt)
{
	struct segments *segments = &state->segments;
	__u64 bytes;

	state->truth.kind = RECORD_TRUTH;
	state->truth.tid = TASK(task, pid);
	segments->end = 0;
	append_file(segments, SEGMENT_FILE, dentry);
	begin_walks(slot, task);
	append_real(slot, SEGMENT_REAL, dentry, mnt);
	if (new_dentry) {
		append_file(segments, SEGMENT_REPLACED, new_dentry);
		append_real(slot, SEGMENT_NEW_REAL, new_dentry, new_mnt);
	}
	bytes = sizeof(state->truth) + within_segments(segments->end);
	if (!has_room(state, bytes) || bpf_ringbuf_output(&events, &state->truth, bytes, 0))
		count_lost_truth(cpu);
}

/*
 * Reports the file and its name. `nests` tells whether another task can begin one of these programs on the CPU in the
 * middle of this one. The kernel runs kprobes with preemption off, but not fentry.
 */
static __always_inline int on_truth(bool nests, struct dentry *dentry, struct vfsmount *mnt, struct dentry *new_dentry,
				    struct vfsmount *new_mnt)
{
	__u32 cpu = bpf_get_smp_processor_id(), slot = cfg_truth_slots + cpu;
	struct task_struct *task = current_task();
	struct truth_record found = {0};
	struct call_state *state;

	if (!truth_runs)
		truth_runs = 1;
	if (live.is_closed || !find_call(&found, task))
		return 0;
	state = bpf_map_lookup_elem(&call_states, &slot);
	if (!state)
		return 0;
	if (!nests || begin_use(state)) {
		state->truth = found;
		send_truth(state, task, cpu, slot, dentry, mnt, new_dentry, new_mnt);
	} else {
		count_lost_truth(cpu);
	}
	if (nests)
		end_use(state);
	return 0;
}

static __always_inline int on_remove(bool nests, const struct path *directory, struct dentry *dentry)
{
	return on_truth(nests, dentry, BPF_CORE_READ(directory, mnt), NULL, NULL);
}

static __always_inline int on_rename(bool nests, const struct path *directory, struct dentry *dentry,
				     const struct path *new_directory, struct dentry *new_dentry)
{
	return on_truth(nests, dentry, BPF_CORE_READ(directory, mnt), new_dentry, BPF_CORE_READ(new_directory, mnt));
}

static __always_inline int on_truncate(bool nests, const struct path *path)
{
	return on_truth(nests, BPF_CORE_READ(path, dentry), BPF_CORE_READ(path, mnt), NULL, NULL);
}

static __always_inline int on_truncate_file(bool nests, struct file *file)
{
	return on_truth(nests, BPF_CORE_READ(file, f_path.dentry), BPF_CORE_READ(file, f_path.mnt), NULL, NULL);
}

/*
 * Marks the call in which the kernel gives up the inode of a file without links. It is the call of the last link,
 * unless the file is still open or mapped: then it is whatever ends that.
 */
static __always_inline int on_evict(struct inode *inode)
{
	__u8 *decision;

	if (BPF_CORE_READ(inode, i_nlink) || live.is_closed)
		return 0;
	decision = sent_decision(current_task());
	if (decision)
		*decision |= CALL_FREED;
	return 0;
}

/* security_path_unlink and security_path_rmdir */
SEC("kprobe")
int kprobe_remove(struct pt_regs *ctx)
{
	return on_remove(false, (const struct path *)PT_REGS_PARM1(ctx), (struct dentry *)PT_REGS_PARM2(ctx));
}

/* security_path_rename */
SEC("kprobe")
int kprobe_rename(struct pt_regs *ctx)
{
	return on_rename(false, (const struct path *)PT_REGS_PARM1(ctx), (struct dentry *)PT_REGS_PARM2(ctx),
			 (const struct path *)PT_REGS_PARM3(ctx), (struct dentry *)PT_REGS_PARM4(ctx));
}

/* security_path_truncate */
SEC("kprobe")
int kprobe_truncate(struct pt_regs *ctx)
{
	return on_truncate(false, (const struct path *)PT_REGS_PARM1(ctx));
}

/* security_file_truncate, which takes over the truncations of open files since Linux 6.2 */
SEC("kprobe")
int kprobe_truncate_file(struct pt_regs *ctx)
{
	return on_truncate_file(false, (struct file *)PT_REGS_PARM1(ctx));
}

/* evict, which ends an inode */
SEC("kprobe")
int kprobe_evict(struct pt_regs *ctx)
{
	return on_evict((struct inode *)PT_REGS_PARM1(ctx));
}

/* libbpf would search all of the kernel's types for the targets of fentry programs, so it takes these for others. */
SEC("raw_tp")
int fentry_remove(__u64 *ctx)
{
	return on_remove(true, (const struct path *)ctx[0], (struct dentry *)ctx[1]);
}

SEC("raw_tp")
int fentry_rename(__u64 *ctx)
{
	return on_rename(true, (const struct path *)ctx[0], (struct dentry *)ctx[1], (const struct path *)ctx[2],
			 (struct dentry *)ctx[3]);
}

SEC("raw_tp")
int fentry_truncate(__u64 *ctx)
{
	return on_truncate(true, (const struct path *)ctx[0]);
}

SEC("raw_tp")
int fentry_truncate_file(__u64 *ctx)
{
	return on_truncate_file(true, (struct file *)ctx[0]);
}

SEC("raw_tp")
int fentry_evict(__u64 *ctx)
{
	return on_evict((struct inode *)ctx[0]);
}

#endif
