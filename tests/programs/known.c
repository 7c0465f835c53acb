/* known: waits for a byte on stdin, then makes numbers of calls that the test knows. Exits 77 where the kernel has no
 * i386 calls, 0 otherwise. Given "again", it makes ten getppid and ends. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
static long int80(long nr, long a)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a) : "memory", "r8", "r9", "r10", "r11");
	return ret;
}
#endif

static void handle(int number)
{
	(void)number;
}

static void times(int count, long nr, long a)
{
	while (count--)
		syscall(nr, a);
}

int main(int argc, char **argv)
{
	struct timespec nap = {.tv_nsec = 2000000};
	int has_compat = 1;
	pid_t child;
	char go;

	if (argc > 1 && !strcmp(argv[1], "again")) {
		times(10, SYS_getppid, 0);
		return 0;
	}
	if (read(0, &go, 1) != 1)
		return 1;
	times(1000, SYS_getppid, 0);
	times(300, SYS_epoll_create1, -1);
	times(20, SYS_sched_yield, 0);
	times(3, 900, 0); /* no call has this number */
	for (int i = 0; i < 5; i++)
		nanosleep(&nap, NULL);
	signal(SIGUSR1, handle);
	for (int i = 0; i < 7; i++)
		raise(SIGUSR1);
#if defined(__x86_64__)
	has_compat = int80(20, 0) == getpid(); /* getpid */
	for (int i = 0; i < 199; i++)
		int80(20, 0);
	for (int i = 0; i < 70; i++)
		int80(6, -1);		       /* close */
	times(4, 0x40000000 + SYS_getpgrp, 0); /* x32, which few kernels have */
#endif
	child = fork();
	if (!child) {
		times(40, SYS_getppid, 0);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	child = vfork();
	if (!child) {
		execl(argv[0], "renamed", "again", (char *)NULL);
		_exit(1);
	}
	waitpid(child, NULL, 0);
	prctl(PR_SET_NAME, "other name");
	times(6, SYS_getppid, 0);
	return has_compat ? 0 : 77;
}
