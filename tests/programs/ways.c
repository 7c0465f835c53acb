/* ways DIRECTORY: waits for a byte on stdin, then makes each call that is watched and that a libc has no function for, in
 * DIRECTORY; see test_ways.py for what it must give. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void make(const char *name)
{
	close(open(name, O_CREAT | O_WRONLY, 0600));
}

int main(int argc, char **argv)
{
	struct open_how how = {.flags = O_WRONLY | O_TRUNC};
	struct open_how keeps = {.flags = O_RDONLY};
	char go;
	int fd;

	if (argc < 2 || chdir(argv[1]) || read(0, &go, 1) != 1)
		return 1;
	make("a");
	syscall(SYS_openat2, AT_FDCWD, "a", &how, sizeof(how));
	syscall(SYS_openat2, AT_FDCWD, "a", &keeps, sizeof(keeps));
	fd = syscall(SYS_openat, AT_FDCWD, "a", O_RDWR, 0);
	syscall(SYS_openat, AT_FDCWD, "a", O_RDWR | O_TRUNC, 0);
	syscall(SYS_truncate, "a", 0L);
	/* Where nothing is lost, there is no event. */
	if (write(fd, "content", 7) != 7)
		return 1;
	syscall(SYS_ftruncate, fd, 0L);
	syscall(SYS_ftruncate, 99, 0L);
	syscall(SYS_renameat, AT_FDCWD, "a", AT_FDCWD, "b");
	make("c");
	syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 1);
	syscall(SYS_renameat2, AT_FDCWD, "b", AT_FDCWD, "c", 2);
#ifdef SYS_rename
	syscall(SYS_creat, "b", 0600);
	syscall(SYS_open, "b", O_WRONLY | O_TRUNC);
	syscall(SYS_open, "b", O_WRONLY);
	syscall(SYS_rename, "b", "c");
#endif
	syscall(SYS_unlinkat, AT_FDCWD, "c", 0);
	return 0;
}
