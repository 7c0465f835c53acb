/*
 * load [option]...: waits for a byte on stdin, makes system calls, and prints one number a line.
 *
 *   -c getppid   a call that no tracer of deletions matches
 *   -c unlinkat  one that it matches, of a name that is not there (the default)
 *   -c open      an openat without O_TRUNC of that name: watched, but no event
 *   -c ioctl     a command that removes nothing, to no descriptor: the same
 *   -c connect   one to an internet address, by no descriptor
 *   -c write     a byte to a descriptor: what waking a reader costs by itself
 *   -w FD        that descriptor
 *   -f NAME      the name
 *   -t COMM      the process's own name
 *   -u CPU       runs there only
 *   -n COUNT     calls, in all; 0 for no end
 *   -s SLICES    in so many parts: prints the nanoseconds of one call, for each part
 *   -i NS        one call every so often: prints CLOCK_MONOTONIC in ns before each
 *   -p COUNT     so many processes, each making one call in turn: prints nothing
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CONNECT = 'c', GETPPID = 'g', UNLINKAT = 'u', OPEN = 'o', IOCTL = 'i', WRITE = 'w' };

static int call_kind = UNLINKAT, writes_to = 1;
static const char *name = "/nonexistent/rawtp-load";
static const struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = 0x5000, .sin_addr.s_addr = 0x0100007f};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void call(void)
{
	if (call_kind == GETPPID)
		syscall(SYS_getppid);
	else if (call_kind == UNLINKAT)
		syscall(SYS_unlinkat, AT_FDCWD, name, 0);
	else if (call_kind == OPEN)
		syscall(SYS_openat, AT_FDCWD, name, O_RDONLY);
	else if (call_kind == IOCTL)
		syscall(SYS_ioctl, -1, FIONREAD, NULL);
	else if (call_kind == CONNECT)
		syscall(SYS_connect, -1, &address, sizeof(address));
	else if (syscall(SYS_write, writes_to, "", 1) != 1)
		die("write");
}

static void full_speed(long count, long slices)
{
	double *ns = calloc(slices, sizeof(*ns));
	long each = count / slices;

	if (!ns || !each)
		die("calloc");
	for (long slice = 0; slice < slices; slice++) {
		long long start = now_ns();

		for (long i = 0; i < each; i++)
			call();
		ns[slice] = (double)(now_ns() - start) / each;
	}
	for (long slice = 0; slice < slices; slice++)
		printf("%.3f\n", ns[slice]);
}

static void paced(long count, long interval_ns)
{
	long long *at = calloc(count ? count : 1, sizeof(*at));

	if (!at)
		die("calloc");
	for (long i = 0; !count || i < count; i++) {
		/* Not in step with any timer of the host. */
		long ns = interval_ns + i * 7919 % (interval_ns / 4 + 1);
		struct timespec pause = {ns / 1000000000, ns % 1000000000};

		nanosleep(&pause, NULL);
		at[count ? i : 0] = now_ns();
		call();
	}
	for (long i = 0; i < count; i++)
		printf("%lld\n", at[i]);
}

static void await(int *turn)
{
	while (!__atomic_exchange_n(turn, 0, __ATOMIC_ACQUIRE))
		syscall(SYS_futex, turn, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void give(int *turn)
{
	__atomic_store_n(turn, 1, __ATOMIC_RELEASE);
	syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void in_turn(long count, long processes)
{
	/* A cache line each. */
	size_t bytes = processes * 64;
	char *turns = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char go;

	if (turns == MAP_FAILED)
		die("mmap");
	for (long p = 0; p < processes; p++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, 9);
		for (long i = p; i < count; i += processes) {
			await((int *)(turns + p * 64));
			call();
			give((int *)(turns + (p + 1) % processes * 64));
		}
		_exit(0);
	}
	puts("ready");
	fflush(stdout);
	if (read(0, &go, 1) != 1)
		exit(1);
	give((int *)turns);
	while (wait(NULL) > 0)
		;
}

int main(int argc, char **argv)
{
	long count = 1, slices = 1, interval_ns = 0, processes = 0;
	cpu_set_t cpus;
	char go;
	int option;

	while ((option = getopt(argc, argv, "c:f:t:u:n:s:i:p:w:")) != -1) {
		switch (option) {
		case 'c':
			call_kind = optarg[0];
			break;
		case 'f':
			name = optarg;
			break;
		case 't':
			prctl(PR_SET_NAME, optarg);
			break;
		case 'u':
			CPU_ZERO(&cpus);
			CPU_SET(atoi(optarg), &cpus);
			if (sched_setaffinity(0, sizeof(cpus), &cpus))
				die("sched_setaffinity");
			break;
		case 'n':
			count = atol(optarg);
			break;
		case 's':
			slices = atol(optarg);
			break;
		case 'i':
			interval_ns = atol(optarg);
			break;
		case 'p':
			processes = atol(optarg);
			break;
		case 'w':
			writes_to = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (processes) {
		in_turn(count, processes);
		return 0;
	}
	if (read(0, &go, 1) != 1)
		return 1;
	if (interval_ns)
		paced(count, interval_ns);
	else
		full_speed(count, slices);
	return 0;
}
