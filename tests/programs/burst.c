/* burst COUNT [PATH] [CALL]: waits for a byte on stdin, then makes a call of PATH, COUNT times (0: for ever), and prints the
 * nanoseconds of one. CALL is unlinkat (the default; PATH is not there by default), openat (without O_TRUNC) or getppid. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 1;
	const char *path = argc > 2 ? argv[2] : "/nonexistent/rawtp-burst";
	char kind = argc > 3 ? argv[3][0] : 'u';
	struct timespec start, end;
	char go;

	if (read(0, &go, 1) != 1)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (long i = 0; !count || i < count; i++) {
		if (kind == 'g')
			syscall(SYS_getppid);
		else if (kind == 'o')
			close(syscall(SYS_openat, AT_FDCWD, path, O_RDONLY));
		else
			syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / count);
	return 0;
}
