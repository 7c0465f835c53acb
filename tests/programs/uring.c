/* uring DIRECTORY MODE: waits for a byte on stdin, then has io_uring do each request that is watched, in DIRECTORY, one
 * at a time; see test_io_uring.py for what it must give. MODE is inline, async (IOSQE_ASYNC), sqpoll (a thread of the
 * kernel's submits), skip (no completion for success), linked (50 times a request that is linked to one that fails, and
 * has no completion, then others that may have its address), late (a name is resolved in another directory than that of
 * the submission), abandon (requests whose completions nobody waits for) or flood (50,000 times a request and a call).
 * Exits with 77 where io_uring is not to be had. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Those that the headers may be too old for. */
enum {
	NOP = 0,
	FALLOCATE = 17,
	READ = 22,
	OPENAT = 18,
	OPENAT2 = 28,
	RENAMEAT = 35,
	UNLINKAT = 36,
	FTRUNCATE = 55,
	SKIP_SUCCESS = 1 << 6,
};

static struct io_uring_params params;
static char *sq, *cq;
static struct io_uring_sqe *sqes;
static int ring, flags;

static unsigned *at(char *base, unsigned offset)
{
	return (unsigned *)(base + offset);
}

static void set_up(unsigned setup)
{
	params.flags = setup;
	params.sq_thread_idle = 1000;
	ring = syscall(__NR_io_uring_setup, 8, &params);
	if (ring < 0)
		exit(77);
	sq = mmap(NULL, params.sq_off.array + params.sq_entries * sizeof(unsigned), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
	cq = mmap(NULL, params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_CQ_RING);
	sqes = mmap(NULL, params.sq_entries * sizeof(*sqes), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
		    IORING_OFF_SQES);
	if (sq == MAP_FAILED || cq == MAP_FAILED || sqes == MAP_FAILED)
		exit(1);
}

static void queue(struct io_uring_sqe sqe)
{
	unsigned tail = *at(sq, params.sq_off.tail), index = tail & *at(sq, params.sq_off.ring_mask);

	sqe.flags |= flags;
	sqes[index] = sqe;
	at(sq, params.sq_off.array)[index] = index;
	__atomic_store_n(at(sq, params.sq_off.tail), tail + 1, __ATOMIC_SEQ_CST);
}

static int result_of_next(void)
{
	unsigned head;
	int result;

	while (head = *at(cq, params.cq_off.head),
	       head == __atomic_load_n(at(cq, params.cq_off.tail), __ATOMIC_SEQ_CST))
		syscall(__NR_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);
	result = ((struct io_uring_cqe *)(cq + params.cq_off.cqes))[head & *at(cq, params.cq_off.ring_mask)].res;
	__atomic_store_n(at(cq, params.cq_off.head), head + 1, __ATOMIC_SEQ_CST);
	return result;
}

/* One request: submitted, and waited for unless nothing comes. */
static int submit(struct io_uring_sqe sqe, int waits)
{
	queue(sqe);
	if (params.flags & IORING_SETUP_SQPOLL) {
		if (__atomic_load_n(at(sq, params.sq_off.flags), __ATOMIC_SEQ_CST) & IORING_SQ_NEED_WAKEUP)
			syscall(__NR_io_uring_enter, ring, 0, 0, IORING_ENTER_SQ_WAKEUP, NULL, 0);
	} else if (syscall(__NR_io_uring_enter, ring, 1, 0, 0, NULL, 0) != 1) {
		exit(1);
	}
	return waits ? result_of_next() : 0;
}

static struct io_uring_sqe request(int opcode, int fd, const char *name, unsigned len, const void *other,
				   unsigned op_flags)
{
	static unsigned long long submitted;
	struct io_uring_sqe sqe;

	memset(&sqe, 0, sizeof(sqe));
	sqe.opcode = opcode;
	sqe.fd = fd;
	sqe.addr = (uintptr_t)name;
	sqe.len = len;
	sqe.off = (uintptr_t)other;
	sqe.unlink_flags = op_flags;
	sqe.user_data = ++submitted;
	return sqe;
}

static void make(const char *name)
{
	close(open(name, O_CREAT | O_WRONLY, 0600));
}

static int show(int result)
{
	printf("%d\n", result);
	return result;
}

int main(int argc, char **argv)
{
	struct open_how how = {.flags = O_WRONLY | O_TRUNC}, keeps = {.flags = O_RDONLY};
	const char *mode = argc > 2 ? argv[2] : "";
	int directory, fd;
	char go;

	if (argc < 3 || chdir(argv[1]))
		return 1;
	directory = open("..", O_PATH);
	set_up(strcmp(mode, "sqpoll") ? 0 : IORING_SETUP_SQPOLL);
	flags = strcmp(mode, "async") ? 0 : IOSQE_ASYNC;
	if (read(0, &go, 1) != 1)
		return 1;
	if (!strcmp(mode, "skip")) {
		make("a");
		flags = SKIP_SUCCESS;
		submit(request(UNLINKAT, AT_FDCWD, "a", 0, NULL, 0), 0);
		for (int tries = 0; !access("a", F_OK); tries++) {
			if (tries > 2000)
				return 77; /* it came with 5.17 */
			usleep(1000);
		}
		return 0;
	}
	if (!strcmp(mode, "linked")) {
		make("kept");
		for (int i = 0; i < 50; i++) {
			struct io_uring_sqe head = request(READ, 999, NULL, 0, NULL, 0);

			head.flags = IOSQE_IO_LINK | SKIP_SUCCESS;
			queue(head);
			queue(request(UNLINKAT, AT_FDCWD, "kept", 0, NULL, 0));
			if (syscall(__NR_io_uring_enter, ring, 2, 0, 0, NULL, 0) != 2)
				return 77; /* SKIP_SUCCESS came with 5.17 */
			if (result_of_next() == -EINVAL)
				return 77;
			for (int others = 0; others < 3; others++)
				submit(request(NOP, -1, NULL, 0, NULL, 0), 1);
		}
		return access("kept", F_OK) ? 3 : 0;
	}
	if (!strcmp(mode, "stale")) {
		/* A chain of requests that are cancelled, and then requests at their addresses that fail before they begin. */
		struct io_uring_sqe head = request(READ, 999, NULL, 0, NULL, 0);

		head.flags = IOSQE_IO_LINK | SKIP_SUCCESS;
		queue(head);
		for (int i = 0; i < 3; i++) {
			struct io_uring_sqe next = request(UNLINKAT, AT_FDCWD, "none", 0, NULL, 0);

			next.flags = i < 2 ? IOSQE_IO_LINK : 0;
			queue(next);
		}
		if (syscall(__NR_io_uring_enter, ring, 4, 0, 0, NULL, 0) != 4 || result_of_next() == -EINVAL)
			return 77;
		for (int i = 0; i < 4; i++)
			submit(request(UNLINKAT, AT_FDCWD, (char *)1, 0, NULL, 0), 1);
		return 0;
	}
	if (!strcmp(mode, "late")) {
		struct io_uring_sqe head;
		int ends[2];

		mkdir("secret", 0700);
		make("secret/x");
		if (pipe(ends))
			return 1;
		head = request(READ, ends[0], &go, 1, (void *)-1, 0);
		head.flags = IOSQE_IO_LINK;
		queue(head);
		queue(request(UNLINKAT, AT_FDCWD, "x", 0, NULL, 0));
		if (syscall(__NR_io_uring_enter, ring, 2, 0, 0, NULL, 0) != 2)
			return 1;
		if (chdir("secret") || write(ends[1], "", 1) != 1 || result_of_next() != 1)
			return 1;
		return result_of_next();
	}
	if (!strcmp(mode, "abandon")) {
		for (int i = 0; i < 8; i++)
			submit(request(UNLINKAT, AT_FDCWD, "none", 0, NULL, 0), 0);
		_exit(0);
	}
	if (!strcmp(mode, "flood")) {
		for (int i = 0; i < 50000; i++) {
			submit(request(UNLINKAT, AT_FDCWD, "none", 0, NULL, 0), 1);
			syscall(SYS_unlinkat, AT_FDCWD, "none", 0);
		}
		return 0;
	}
	make("a");
	show(submit(request(OPENAT, AT_FDCWD, "a", 0, NULL, O_RDONLY), 1));
	fd = show(submit(request(OPENAT, AT_FDCWD, "a", 0, NULL, O_WRONLY | O_TRUNC), 1));
	show(submit(request(OPENAT2, AT_FDCWD, "a", sizeof(keeps), &keeps, 0), 1));
	show(submit(request(OPENAT2, AT_FDCWD, "a", sizeof(how), &how, 0), 1));
	show(submit(request(FTRUNCATE, fd, NULL, 0, NULL, 0), 1));
	/* The length is where a name would be, and the mode where its length would be. */
	show(submit(request(FALLOCATE, fd, (char *)8192, 0x03, (void *)4096, 0), 1));
	show(submit(request(FALLOCATE, fd, (char *)8192, 0x01, (void *)4096, 0), 1));
	show(submit(request(OPENAT, AT_FDCWD, "a", 0, NULL, O_PATH | O_TRUNC), 1));
	show(submit(request(OPENAT, AT_FDCWD, "a", 0600, NULL, O_CREAT | O_EXCL | O_WRONLY | O_TRUNC), 1));
	make("c");
	show(submit(request(RENAMEAT, AT_FDCWD, "a", AT_FDCWD, "c", 1), 1));
	show(submit(request(RENAMEAT, AT_FDCWD, "a", AT_FDCWD, "c", 0), 1));
	mkdir("d", 0700);
	show(submit(request(UNLINKAT, AT_FDCWD, "d", 0, NULL, AT_REMOVEDIR), 1));
	show(submit(request(UNLINKAT, directory, "none", 0, NULL, 0), 1));
	show(submit(request(UNLINKAT, 99, "none", 0, NULL, 0), 1));
	show(submit(request(UNLINKAT, AT_FDCWD, "/nonexistent/absolute", 0, NULL, 0), 1));
	show(submit(request(UNLINKAT, AT_FDCWD, "c", 0, NULL, 0), 1));
	return 0;
}
