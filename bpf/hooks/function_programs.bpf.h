/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The programs on the kernel's own functions. Each exists twice, as in truth.bpf.h: for kprobes, and for fentry and
 * fexit.
 */
#ifndef RAWTP_FUNCTION_PROGRAMS_BPF_H
#define RAWTP_FUNCTION_PROGRAMS_BPF_H

#define REMOVES(directory_, dentry_)                                                                                   \
	{                                                                                                              \
		.work = WORK_REMOVE, .dentry = (struct dentry *)(dentry_),                                             \
		.mnt = BPF_CORE_READ((const struct path *)(directory_), mnt)                                           \
	}
#define RENAMES(directory_, dentry_, new_directory_, new_dentry_, flags_)                                              \
	{                                                                                                              \
		.work = WORK_RENAME, .flags = (flags_), .dentry = (struct dentry *)(dentry_),                          \
		.mnt = BPF_CORE_READ((const struct path *)(directory_), mnt),                                          \
		.new_dentry = (struct dentry *)(new_dentry_),                                                          \
		.new_mnt = BPF_CORE_READ((const struct path *)(new_directory_), mnt)                                   \
	}
#define TRUNCATES(path_)                                                                                               \
	{                                                                                                              \
		.work = WORK_TRUNCATE, .dentry = BPF_CORE_READ((const struct path *)(path_), dentry),                  \
		.mnt = BPF_CORE_READ((const struct path *)(path_), mnt)                                                \
	}
#define TRUNCATES_FILE(file_)                                                                                          \
	{                                                                                                              \
		.work = WORK_TRUNCATE, .dentry = BPF_CORE_READ((struct file *)(file_), f_path.dentry),                 \
		.mnt = BPF_CORE_READ((struct file *)(file_), f_path.mnt)                                               \
	}
#define KERNEL_REMOVES(dentry_)                                                                                        \
	{                                                                                                              \
		.work = WORK_REMOVE, .dentry = (struct dentry *)(dentry_)                                              \
	}
#define KERNEL_RENAMES(dentry_, new_dentry_, flags_)                                                                   \
	{                                                                                                              \
		.work = WORK_RENAME, .flags = (flags_), .dentry = (struct dentry *)(dentry_),                          \
		.new_dentry = (struct dentry *)(new_dentry_)                                                           \
	}
#define KERNEL_TRUNCATES(dentry_, attributes_)                                                                         \
	{                                                                                                              \
		.work = WORK_TRUNCATE, .dentry = (struct dentry *)(dentry_),                                           \
		.length = BPF_CORE_READ((struct iattr *)(attributes_), ia_size)                                        \
	}

/* security_path_unlink and security_path_rmdir */
SEC("kprobe")
int kprobe_call_remove(struct pt_regs *ctx)
{
	const struct work_arguments arguments = REMOVES(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx));

	return on_work(false, &arguments);
}

/* security_path_rename */
SEC("kprobe")
int kprobe_call_rename(struct pt_regs *ctx)
{
	const struct work_arguments arguments = RENAMES(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx),
							PT_REGS_PARM4(ctx), PT_REGS_PARM5(ctx));

	return on_work(false, &arguments);
}

/* security_path_truncate */
SEC("kprobe")
int kprobe_call_truncate(struct pt_regs *ctx)
{
	const struct work_arguments arguments = TRUNCATES(PT_REGS_PARM1(ctx));

	return on_work(false, &arguments);
}

/* security_file_truncate */
SEC("kprobe")
int kprobe_call_truncate_file(struct pt_regs *ctx)
{
	const struct work_arguments arguments = TRUNCATES_FILE(PT_REGS_PARM1(ctx));

	return on_work(false, &arguments);
}

/* security_inode_unlink and security_inode_rmdir */
SEC("kprobe")
int kprobe_kernel_remove(struct pt_regs *ctx)
{
	const struct work_arguments arguments = KERNEL_REMOVES(PT_REGS_PARM2(ctx));

	return on_kernel_work(false, &arguments);
}

/* security_inode_rename */
SEC("kprobe")
int kprobe_kernel_rename(struct pt_regs *ctx)
{
	const struct work_arguments arguments =
		KERNEL_RENAMES(PT_REGS_PARM2(ctx), PT_REGS_PARM4(ctx), PT_REGS_PARM5(ctx));

	return on_kernel_work(false, &arguments);
}

/* security_inode_setattr */
SEC("kprobe")
int kprobe_kernel_truncate(struct pt_regs *ctx)
{
	__u64 first = PT_REGS_PARM1(ctx), second = PT_REGS_PARM2(ctx), third = PT_REGS_PARM3(ctx);
	__u64 dentry = cfg_setattr_dentry ? second : first, attributes = cfg_setattr_dentry ? third : second;
	const struct work_arguments arguments = KERNEL_TRUNCATES(dentry, attributes);

	return shortens(dentry, attributes) ? on_kernel_work(false, &arguments) : 0;
}

/* vfs_unlink, vfs_rmdir, vfs_rename, do_truncate */
SEC("kprobe")
int kprobe_begin(struct pt_regs *ctx)
{
	return on_begin();
}

/* The same at their return, and the functions above that make events. */
SEC("kprobe")
int kprobe_end(struct pt_regs *ctx)
{
	return on_end(PT_REGS_RC(ctx));
}

SEC("raw_tp")
int fentry_call_remove(__u64 *ctx)
{
	const struct work_arguments arguments = REMOVES(ctx[0], ctx[1]);

	return on_work(true, &arguments);
}

SEC("raw_tp")
int fentry_call_rename(__u64 *ctx)
{
	const struct work_arguments arguments = RENAMES(ctx[0], ctx[1], ctx[2], ctx[3], ctx[4]);

	return on_work(true, &arguments);
}

SEC("raw_tp")
int fentry_call_truncate(__u64 *ctx)
{
	const struct work_arguments arguments = TRUNCATES(ctx[0]);

	return on_work(true, &arguments);
}

SEC("raw_tp")
int fentry_call_truncate_file(__u64 *ctx)
{
	const struct work_arguments arguments = TRUNCATES_FILE(ctx[0]);

	return on_work(true, &arguments);
}

SEC("raw_tp")
int fentry_kernel_remove(__u64 *ctx)
{
	const struct work_arguments arguments = KERNEL_REMOVES(ctx[1]);

	return on_kernel_work(true, &arguments);
}

SEC("raw_tp")
int fentry_kernel_rename(__u64 *ctx)
{
	const struct work_arguments arguments = KERNEL_RENAMES(ctx[1], ctx[3], ctx[4]);

	return on_kernel_work(true, &arguments);
}

SEC("raw_tp")
int fentry_kernel_truncate(__u64 *ctx)
{
	__u64 dentry, attributes;

	/* There is no third argument where the dentry is the first. */
	if (cfg_setattr_dentry) {
		dentry = ARGUMENT_AT(ctx, 1);
		attributes = ARGUMENT_AT(ctx, 2);
	} else {
		dentry = ARGUMENT_AT(ctx, 0);
		attributes = ARGUMENT_AT(ctx, 1);
	}
	const struct work_arguments arguments = KERNEL_TRUNCATES(dentry, attributes);

	return shortens(dentry, attributes) ? on_kernel_work(true, &arguments) : 0;
}

SEC("raw_tp")
int fentry_begin(__u64 *ctx)
{
	return on_begin();
}

/* The result follows the arguments, of which functions have one to six. */
#define FEXIT_END(arguments)                                                                                           \
	SEC("raw_tp")                                                                                                  \
	int fexit_end_##arguments(__u64 *ctx)                                                                          \
	{                                                                                                              \
		return on_end(ctx[arguments]);                                                                         \
	}

FEXIT_END(1)
FEXIT_END(2)
FEXIT_END(3)
FEXIT_END(4)
FEXIT_END(5)
FEXIT_END(6)

#endif
