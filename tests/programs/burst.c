/* burst COUNT [PATH]: waits for a byte on stdin, then deletes a name that is not there, COUNT times (0: for ever), and
 * prints the nanoseconds of one call. */
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
	struct timespec start, end;
	char go;

	if (read(0, &go, 1) != 1)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (long i = 0; !count || i < count; i++)
		syscall(SYS_unlinkat, AT_FDCWD, path, 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.1f\n", ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / count);
	return 0;
}
