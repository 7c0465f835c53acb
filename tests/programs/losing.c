/* losing DIRECTORY MODE: waits for a byte on stdin, then makes calls that remove content, or names in another way than
 * unlink, and some that could but do not. It prints the result of each that does. MODE is native, or compat (by int
 * 0x80); see test_loss.py for what it must give. Exits 77 where the kernel has no 32-bit calls, and 3 where a call that
 * should remove nothing did. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BYTES 65536
#define LONG_NUMBER 0x123456789LL

/* Those that the headers may be too old for, or have elsewhere. */
enum {
	KEEP_SIZE = 0x01,
	PUNCH = 0x02,
	COLLAPSE = 0x08,
	ZERO = 0x10,
	INSERT = 0x20,
	UNSHARE = 0x40,
	SNAP_DESTROY = 0x5000940f,
	SNAP_DESTROY_V2 = 0x5000943f,
	BY_ID = 1 << 4,
	RESERVE = 0x4030582a,
	UNRESERVE = 0x4030582b,
	ZERO_RANGE = 0x40305839,
	FREE_FROM = 0x40305825,
	UNRESERVE_32 = 0x402c582b,
};

struct space {
	int16_t type, whence;
	int64_t start, length;
	int32_t rest[6];
};

/* As i386 aligns it. */
struct space_32 {
	int16_t type, whence;
	int64_t start, length;
	int32_t rest[6];
} __attribute__((packed, aligned(4)));

static int file, here;

static void fill(void)
{
	static char bytes[BYTES];

	memset(bytes, 'x', sizeof(bytes));
	if (pwrite(file, bytes, sizeof(bytes), 0) != sizeof(bytes))
		_exit(1);
}

static void show(long result)
{
	printf("%ld\n", result < 0 ? (long)-errno : result);
	fill();
}

/* A call after which the file must be whole. What it opens is closed again. */
static void keeps(long result)
{
	struct stat found;
	char byte = 0;

	if (fstat(file, &found) || found.st_size < BYTES || pread(file, &byte, 1, 4096) != 1 || byte != 'x')
		_exit(3);
	if (result > here)
		close(result);
}

static void open_in_vain(void)
{
	struct open_how path = {.flags = O_PATH | O_TRUNC}, cached = {.flags = O_WRONLY | O_TRUNC, .resolve = 0x20};
	struct open_how upper = {.flags = O_WRONLY | O_TRUNC | 1ULL << 40};

	keeps(syscall(SYS_openat, AT_FDCWD, "file", O_PATH | O_TRUNC));
	keeps(syscall(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_RDWR | O_TRUNC, 0600));
	keeps(syscall(SYS_openat, AT_FDCWD, "file", O_CREAT | O_EXCL | O_WRONLY | O_TRUNC, 0600));
	keeps(syscall(SYS_openat, AT_FDCWD, "new", O_CREAT | O_EXCL | O_WRONLY | O_TRUNC, 0600));
	keeps(syscall(SYS_openat, AT_FDCWD, "file", O_DIRECTORY | O_WRONLY | O_TRUNC));
	keeps(syscall(SYS_openat2, AT_FDCWD, "file", &path, sizeof(path)));
	keeps(syscall(SYS_openat2, AT_FDCWD, "file", &cached, sizeof(cached)));
	keeps(syscall(SYS_openat2, AT_FDCWD, "file", &upper, sizeof(upper)));
#ifdef SYS_open
	keeps(syscall(SYS_open, "file", O_PATH | O_TRUNC));
#endif
}

static void native(void)
{
	static char volume[4096] __attribute__((aligned(8)));
	struct space space = {.start = 4096, .length = 8192}, relative = {.whence = 1, .start = 1, .length = 2};
	struct {
		struct file_handle head;
		char rest[128];
	} handle = {.head.handle_bytes = 128};
	int mount, queued;

	show(syscall(SYS_fallocate, file, KEEP_SIZE | PUNCH, 4096L, 8192L));
	show(syscall(SYS_fallocate, file, ZERO, 0L, 4096L));
	show(syscall(SYS_fallocate, file, COLLAPSE, 0L, 4096L));
	show(syscall(SYS_fallocate, 99, KEEP_SIZE | PUNCH, LONG_NUMBER, LONG_NUMBER + 1));
	show(syscall(SYS_fallocate, file, KEEP_SIZE | PUNCH, -1L, 5L));
	keeps(syscall(SYS_fallocate, file, 0, 0L, 4096L));
	keeps(syscall(SYS_fallocate, file, KEEP_SIZE, 0L, 4096L));
	keeps(syscall(SYS_fallocate, file, UNSHARE, 0L, 4096L));
	keeps(syscall(SYS_fallocate, file, INSERT, 0L, 4096L));

	strcpy(volume + 8, "subvolume");
	show(syscall(SYS_ioctl, here, SNAP_DESTROY, volume));
	memset(volume, 0, sizeof(volume));
	strcpy(volume + 56, "subvolume 2");
	show(syscall(SYS_ioctl, here, SNAP_DESTROY_V2, volume));
	*(uint64_t *)(volume + 16) = BY_ID;
	show(syscall(SYS_ioctl, here, SNAP_DESTROY_V2, volume));
	show(syscall(SYS_ioctl, here, SNAP_DESTROY, (char *)1));
	show(syscall(SYS_ioctl, file, UNRESERVE, &space));
	show(syscall(SYS_ioctl, file, ZERO_RANGE, &relative));
	show(syscall(SYS_ioctl, file, ZERO_RANGE, (char *)1));
	show(syscall(SYS_ioctl, file, FREE_FROM, &space));
	keeps(syscall(SYS_ioctl, file, RESERVE, &space));
	keeps(syscall(SYS_ioctl, file, FIONREAD, &queued));

	name_to_handle_at(AT_FDCWD, "file", &handle.head, &mount, 0);
	show(syscall(SYS_open_by_handle_at, here, &handle, O_WRONLY | O_TRUNC));
	keeps(syscall(SYS_open_by_handle_at, here, &handle, O_WRONLY));
	open_in_vain();
	syscall(SYS_mq_open, "rawtp-queue", O_CREAT | O_RDWR, 0600, NULL);
	show(syscall(SYS_mq_unlink, "rawtp-queue"));
	show(syscall(SYS_mq_unlink, "/rawtp-queue"));
}

#ifdef __x86_64__
static long int80(long nr, long a, long b, long c, long d, long e, long f)
{
	register long sixth __asm__("r12") = f;
	long ret;

	__asm__ volatile("xchg %%r12, %%rbp\n\tint $0x80\n\txchg %%r12, %%rbp"
			 : "=a"(ret), "+r"(sixth)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory", "r8", "r9", "r10", "r11");
	if (ret < 0)
		errno = -ret;
	return ret;
}

static int compat(void)
{
	/* A 32-bit call sees the low half of a pointer only. */
	char *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	struct space_32 *space = (void *)(low + 4096);
	long at = (intptr_t)low;

	if (low == MAP_FAILED)
		return 1;
	if (int80(20, 0, 0, 0, 0, 0, 0) != getpid())
		return 77;
	show(int80(324, file, KEEP_SIZE | PUNCH, 4096, 0, 8192, 0)); /* fallocate */
	show(int80(324, 99, KEEP_SIZE | PUNCH, (int)LONG_NUMBER, LONG_NUMBER >> 32, (int)LONG_NUMBER + 1, 2));
	keeps(int80(324, file, KEEP_SIZE, 0, 0, 4096, 0));
	strcpy(low + 8, "subvolume");
	show(int80(54, here, SNAP_DESTROY, at, 0, 0, 0)); /* ioctl */
	*space = (struct space_32){.start = 4096, .length = LONG_NUMBER};
	show(int80(54, file, UNRESERVE_32, at + 4096, 0, 0, 0));
	keeps(int80(54, file, FIONREAD, at, 0, 0, 0));
	show(int80(342, here, at, O_WRONLY | O_TRUNC, 0, 0, 0)); /* open_by_handle_at */
	strcpy(low, "file");
	keeps(int80(5, at, O_PATH | O_TRUNC, 0, 0, 0, 0)); /* open */
	keeps(int80(295, AT_FDCWD, at, O_CREAT | O_EXCL | O_TRUNC | O_WRONLY, 0600, 0, 0)); /* openat */
	show(int80(278, at, 0, 0, 0, 0, 0)); /* mq_unlink */
	return 0;
}
#endif

int main(int argc, char **argv)
{
	char go;

	if (argc < 3 || chdir(argv[1]) || read(0, &go, 1) != 1)
		return 1;
	file = open("file", O_RDWR | O_CREAT, 0600);
	here = open(".", O_RDONLY);
	fill();
#ifdef __x86_64__
	if (!strcmp(argv[2], "compat"))
		return compat();
#endif
	native();
	return 0;
}
