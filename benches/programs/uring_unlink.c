/* uring_unlink PATH: deletes it by io_uring, with no unlink call, and ends. Exits with 77 where io_uring is not to be
 * had. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The headers may be too old for it. */
enum { UNLINKAT = 36 };

int main(int argc, char **argv)
{
	struct io_uring_params params = {0};
	int ring = syscall(__NR_io_uring_setup, 1, &params);
	if (argc != 2 || ring < 0)
		return 77;
	int rights = PROT_READ | PROT_WRITE, how = MAP_SHARED | MAP_POPULATE;
	char *sq = mmap(NULL, params.sq_off.array + params.sq_entries * 4, rights, how, ring, IORING_OFF_SQ_RING);
	char *cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), rights, how, ring,
			IORING_OFF_CQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, sizeof(*sqe), rights, how, ring, IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqe == MAP_FAILED)
		return 1;
	sqe->opcode = UNLINKAT;
	sqe->fd = AT_FDCWD;
	sqe->addr = (uintptr_t)argv[1];
	*(unsigned *)(sq + params.sq_off.array) = 0;
	__atomic_store_n((unsigned *)(sq + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		return 1;
	return ((struct io_uring_cqe *)(cq + params.cq_off.cqes))->res != 0;
}
