/* flips DIRECTORY COUNT FILE TEXT FILE TEXT: waits for a byte on stdin. Then a thread writes each TEXT into its FILE, in
 * turns, while the first unlinks COUNT names in DIRECTORY: "yes" and a number, which is there, and "no" and a number, which
 * is not. FILE "comm" is the first thread's. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static char **words;
static volatile int is_over;

static int open_for(const char *file)
{
	char path[64];

	if (strcmp(file, "comm"))
		return open(file, O_WRONLY);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", getpid());
	return open(path, O_WRONLY);
}

static void *flip(void *unused)
{
	int files[2] = {open_for(words[0]), open_for(words[2])};

	while (!is_over)
		for (int i = 0; i < 2; i++)
			if (write(files[i], words[2 * i + 1], strlen(words[2 * i + 1])) < 0)
				abort();
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	char name[32], go;

	if (argc < 7 || chdir(argv[1]) || read(0, &go, 1) != 1)
		return 1;
	words = argv + 3;
	pthread_create(&thread, NULL, flip, NULL);
	for (int i = 0; i < atoi(argv[2]); i++) {
		snprintf(name, sizeof(name), "%s%d", i % 2 ? "no" : "yes", i);
		if (i % 2 == 0)
			close(open(name, O_CREAT | O_WRONLY, 0600));
		syscall(SYS_unlinkat, AT_FDCWD, name, 0);
	}
	is_over = 1;
	pthread_join(thread, NULL);
	return 0;
}
