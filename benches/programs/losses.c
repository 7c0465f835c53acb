/*
 * losses DIRECTORY RATE SECONDS COMM: waits for a byte on stdin, then makes and removes files at that rate. One in
 * twenty is renamed first. Prints how many names went.
 *
 * The names are those of a build, a cache and a database: long directories, of which there are few, and short names
 * that differ.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BURST = 64, NAME = 1024 };

static const char *const directories[] = {
	"src/lib/objects",
	"build/x86_64/release/deps",
	"node_modules/lodash/fp",
	"var/cache/apt/archives/partial",
	"tmp",
	"db/pg_wal",
	"home/user/.cache/mozilla/firefox/profile.default/cache2/entries",
	"target/debug/incremental/core-1x2y3z",
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void make_parents(const char *path)
{
	char part[NAME];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		mkdir(part, 0755);
		*slash = '/';
	}
	if (mkdir(path, 0755) && access(path, W_OK))
		die(path);
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	size_t count = sizeof(directories) / sizeof(*directories);
	char path[NAME], other[NAME + 8];
	unsigned int random = getpid();
	double rate, start;
	long end, made = 0;

	if (argc != 5) {
		fprintf(stderr, "usage: losses DIRECTORY RATE SECONDS COMM\n");
		return 2;
	}
	rate = atof(argv[2]);
	end = rate * atof(argv[3]);
	prctl(PR_SET_NAME, argv[4]);
	for (size_t at = 0; at < count; at++) {
		snprintf(path, sizeof(path), "%s/%s", argv[1], directories[at]);
		make_parents(path);
	}
	if (getchar() == EOF)
		return 1;
	start = now_s();
	for (long turn = 0; made < end; turn++) {
		random = random * 1664525 + 1013904223;
		snprintf(path, sizeof(path), "%s/%s/%s%06x%s", argv[1], directories[(random >> 16) % count],
			 random >> 8 & 1 ? "obj-" : "_cache_", random >> 4 & 0xffffff, random >> 3 & 1 ? ".o" : ".tmp");
		if (mknod(path, S_IFREG | 0644, 0))
			continue;
		if (turn % 20 == 0) {
			snprintf(other, sizeof(other), "%s.bak", path);
			if (rename(path, other) || unlink(other))
				die(other);
			made += 2;
		} else {
			if (unlink(path))
				die(path);
			made++;
		}
		if (turn % BURST == 0) {
			double left = start + made / rate - now_s();

			if (left > 0)
				usleep(left * 1e6);
		}
	}
	printf("%ld\n", made);
	return 0;
}
