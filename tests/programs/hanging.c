/* hanging DIRECTORY COUNT: makes COUNT files, waits for a byte on stdin, and unlinks each in a thread of its own; those that
 * have an odd number were removed before. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void *delete(void *number)
{
	char name[16];

	snprintf(name, sizeof(name), "%d", (int)(intptr_t)number);
	syscall(SYS_unlinkat, AT_FDCWD, name, 0);
	return NULL;
}

int main(int argc, char **argv)
{
	int count = argc < 3 || chdir(argv[1]) ? 0 : atoi(argv[2]);
	pthread_t *threads = calloc(count, sizeof(*threads));
	pthread_attr_t small;
	char name[16], go;

	for (int i = 0; i < count; i += 2) {
		snprintf(name, sizeof(name), "%d", i);
		close(open(name, O_CREAT | O_WRONLY, 0600));
	}
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	if (puts("made") < 0 || fflush(stdout) || read(0, &go, 1) != 1)
		return 1;
	for (int i = 0; i < count; i++)
		if (pthread_create(&threads[i], &small, delete, (void *)(intptr_t)i))
			return 2;
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
