/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The operands of an io_uring request, from the kernel's own copy, which its tracepoints pass on. */
#ifndef RAWTP_IO_URING_ABI_BPF_H
#define RAWTP_IO_URING_ABI_BPF_H

/* The requests by opcode. Opcodes are the same on every architecture. */
const volatile struct request_call cfg_requests[OPCODES_MAX] = {};

/* include/uapi/linux/io_uring.h */
#define IORING_OP_FALLOCATE 17
#define IORING_OP_OPENAT 18
#define IORING_OP_OPENAT2 28
#define IORING_OP_RENAMEAT 35
#define IORING_OP_UNLINKAT 36
#define IORING_OP_MKDIRAT 37
#define IORING_OP_SYMLINKAT 38
#define IORING_OP_LINKAT 39
#define IORING_OP_FTRUNCATE 55
/* The low flags of a request are those of its submission. */
#define IOSQE_FIXED_FILE (1 << 0)
#define IOSQE_CQE_SKIP_SUCCESS (1 << 6)

/*
 * The variants of the tracepoints' arguments, which changed several times. A program that reads beyond the arguments
 * cannot attach, so CO-RE must choose the variant before the verifier looks.
 */
#define SUBMITS_REQ                                                                                                    \
	(bpf_core_type_exists(btf_trace_io_uring_submit_req) ||                                                        \
	 bpf_core_type_exists(btf_trace_io_uring_submit_sqe___req))
#define SUBMITS_CTX_REQ                                                                                                \
	(bpf_core_type_exists(btf_trace_io_uring_submit_sqe___ctx_req) ||                                              \
	 bpf_core_type_exists(btf_trace_io_uring_submit_sqe___ctx_req_late))
#define COMPLETES_CTX bpf_core_type_exists(btf_trace_io_uring_complete___ctx)
#define COMPLETES_CTX_REQ bpf_core_type_exists(btf_trace_io_uring_complete___ctx_req)
#define COMPLETES_CQE bpf_core_type_exists(btf_trace_io_uring_complete___cqe)
/* Whether completions can be seen. Where they cannot, nothing may wait for one. */
#define COMPLETES (COMPLETES_CTX || COMPLETES_CTX_REQ || COMPLETES_CQE)

/* Since Linux 5.19. Before 5.17 no completion is skipped. */
#define FAILS_LINK bpf_core_type_exists(btf_trace_io_uring_fail_link___req)

/* In assembler, because the compiler merges two loads into one with a variable offset, which the verifier rejects. */
#define ARGUMENT_AT(ctx, n)                                                                                            \
	({                                                                                                             \
		__u64 argument;                                                                                        \
                                                                                                                       \
		asm volatile("%0 = *(u64 *)(%1 + %2)" : "=r"(argument) : "r"(ctx), "i"((n)*8));                        \
		argument;                                                                                              \
	})

/*
 * Reads beyond the arguments of any variant. So the program cannot attach, and user space learns that they are unknown.
 */
#define UNKNOWN_ARGUMENTS(ctx) ARGUMENT_AT(ctx, 11)

#define ECANCELED 125 /* include/uapi/asm-generic/errno.h */

/* The identity of a request in flight: its address, or the values that its completion has if that lacks the address. */
struct request_key {
	__u64 request;
	__u64 user_data;
};

/* The CPU and number of a request's enter_record. */
struct open_request {
	__u64 seq;
	__u32 cpu;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, struct request_key);
	__type(value, struct open_request);
} requests SEC(".maps");

/* The number of entries in `requests`. While it is 0, completions of other requests skip the look-up. */
__u64 requests_open = 0;

/*
 * Returns false if a request with the same key is in flight. Nothing tells which of two with the same user_data ends.
 */
static __always_inline bool add_request(const struct request_key *key, const struct open_request *open)
{
	if (bpf_map_update_elem(&requests, key, open, BPF_NOEXIST))
		return false;
	__sync_fetch_and_add(&requests_open, 1);
	return true;
}

static __always_inline void close_request(const struct request_key *key)
{
	if (!bpf_map_delete_elem(&requests, key))
		__sync_fetch_and_add(&requests_open, -1);
}

static __always_inline __u64 name_of(__u64 filename)
{
	/* Since Linux 7.0 the low bits can have marks. */
	return (__u64)BPF_CORE_READ((struct filename *)(filename & ~7ULL), name);
}

/* Reads a member of io_uring's data of the request. `type` lies at its beginning. */
#define OPERAND(req, type, member) BPF_CORE_READ((struct type *)(req), member)
#define OPERAND_NAME(req, type, member)                                                                                \
	name_of(bpf_core_field_exists(((struct type *)0)->member)                                                      \
			? (__u64)BPF_CORE_READ((struct type *)(req), member)                                           \
			: (__u64)BPF_CORE_READ((struct type##___delayed *)(req), member.__incomplete_filename))

/* Reads the descriptor, which is an index into the ring's own table of files with IOSQE_FIXED_FILE. */
static __always_inline void read_fd(struct io_kiocb *req, struct operands *operands)
{
	operands->has_name = 0;
	operands->dfd = BPF_CORE_READ(req, cqe.fd);
	operands->has_no_dfd = BPF_CORE_READ(req, flags) & IOSQE_FIXED_FILE;
}

/*
 * Reads the operands. The caller decides whether the request is an event. Returns false if this kernel's request cannot
 * be read.
 */
static __always_inline bool read_request(struct io_kiocb *req, __u8 opcode, struct operands *operands)
{
	operands->has_name = 1;
	operands->has_new_name = 0;
	operands->has_no_dfd = 0;
	operands->has_range = 0;
	operands->file = 0;
	operands->has_length = 0;
	operands->follows = 0;
	operands->flags = 0;
	switch (opcode) {
	case IORING_OP_UNLINKAT:
		operands->dfd = OPERAND(req, io_unlink, dfd);
		operands->flags = OPERAND(req, io_unlink, flags);
		operands->name = OPERAND_NAME(req, io_unlink, filename);
		return true;
	case IORING_OP_RENAMEAT:
		operands->dfd = OPERAND(req, io_rename, old_dfd);
		operands->new_dfd = OPERAND(req, io_rename, new_dfd);
		operands->flags = OPERAND(req, io_rename, flags);
		operands->name = OPERAND_NAME(req, io_rename, oldpath);
		operands->new_name = OPERAND_NAME(req, io_rename, newpath);
		operands->has_new_name = 1;
		return true;
	/* Linux 5.15 to 5.19 have other structures for the next three. */
	case IORING_OP_MKDIRAT:
		if (!bpf_core_type_exists(struct io_mkdir))
			return false;
		operands->dfd = OPERAND(req, io_mkdir, dfd);
		operands->name = OPERAND_NAME(req, io_mkdir, filename);
		return true;
	case IORING_OP_SYMLINKAT:
		if (!bpf_core_type_exists(struct io_link))
			return false;
		operands->dfd = OPERAND(req, io_link, new_dfd);
		operands->name = OPERAND_NAME(req, io_link, newpath);
		return true;
	case IORING_OP_LINKAT:
		if (!bpf_core_type_exists(struct io_link))
			return false;
		operands->dfd = OPERAND(req, io_link, old_dfd);
		operands->new_dfd = OPERAND(req, io_link, new_dfd);
		operands->flags = OPERAND(req, io_link, flags);
		operands->name = OPERAND_NAME(req, io_link, oldpath);
		operands->new_name = OPERAND_NAME(req, io_link, newpath);
		operands->has_new_name = 1;
		operands->follows = !!(operands->flags & AT_SYMLINK_FOLLOW);
		return true;
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
		operands->dfd = OPERAND(req, io_open, dfd);
		operands->flags = OPERAND(req, io_open, how.flags);
		operands->name = OPERAND_NAME(req, io_open, filename);
		return true;
	case IORING_OP_FTRUNCATE:
		if (!bpf_core_field_exists(req->cqe.fd))
			return false;
		read_fd(req, operands);
		return true;
	case IORING_OP_FALLOCATE:
		operands->flags = OPERAND(req, io_sync, mode);
		operands->range.start = OPERAND(req, io_sync, off);
		operands->range.length = OPERAND(req, io_sync, len);
		operands->has_range = 1;
		if (bpf_core_field_exists(req->cqe.fd)) {
			read_fd(req, operands);
			return true;
		}
		/* Before Linux 5.19 the request does not keep the descriptor, but has its file already. */
		operands->has_name = 0;
		operands->dfd = NO_DFD;
		operands->file = (__u64)OPERAND(req, io_sync, file);
		return true;
	default:
		return false;
	}
}

#endif
