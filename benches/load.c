/* load CALL COUNT: waits for a byte on stdin, makes COUNT system calls, and prints the nanoseconds of one.
 * CALL is "unlinkat", of a name that is not there, or "getppid", which no tracer of deletions matches. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int match = argc > 1 && !strcmp(argv[1], "unlinkat");
	long count = argc > 2 ? atol(argv[2]) : 1;
	struct timespec start, end;
	char go;

	if (read(0, &go, 1) != 1)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (long i = 0; i < count; i++) {
		if (match)
			syscall(SYS_unlinkat, AT_FDCWD, "/nonexistent/rawtp-load", 0);
		else
			syscall(SYS_getppid);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.2f\n", ((end.tv_sec - start.tv_sec) * 1e9 + (end.tv_nsec - start.tv_nsec)) / count);
	return 0;
}
