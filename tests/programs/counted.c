/* counted FILE THREADS [COUNT]: waits for a byte on stdin; then each thread deletes a name that is not there, COUNT times (0:
 * for ever). In FILE, which has 64 bytes for each thread, it keeps how many of its calls it has begun and how many have
 * ended. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

struct tally {
	_Atomic unsigned long begun, ended;
	char apart[48];
};

static long count;

static void *delete(void *argument)
{
	struct tally *tally = argument;

	for (long i = 0; !count || i < count; i++) {
		atomic_fetch_add(&tally->begun, 1);
		syscall(SYS_unlinkat, AT_FDCWD, "/nonexistent/rawtp-counted", 0);
		atomic_fetch_add(&tally->ended, 1);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	int threads = argc > 2 ? atoi(argv[2]) : 1;
	int file = open(argv[1], O_RDWR);
	struct tally *tallies;
	pthread_t thread[64];
	char go;

	count = argc > 3 ? atol(argv[3]) : 0;
	tallies = mmap(NULL, 64 * sizeof(*tallies), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (threads < 1 || threads > 64 || tallies == MAP_FAILED || read(0, &go, 1) != 1)
		return 1;
	for (int i = 0; i < threads; i++)
		if (pthread_create(&thread[i], NULL, delete, tallies + i))
			return 2;
	for (int i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
