/* exchanging DIRECTORY ONE OTHER COUNT: waits for a byte on stdin. Then unlinks COUNT names that are not there, in a
 * directory two levels below ONE, while another process exchanges ONE and OTHER all the time. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define RENAME_EXCHANGE 2

static int exchange(const char *one, const char *other)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		if (syscall(SYS_renameat2, AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE))
			return 4;
}

int main(int argc, char **argv)
{
	int exchanger, status;
	char go;

	if (argc < 5 || chdir(argv[1]) || mkdir(argv[2], 0700) || mkdir(argv[3], 0700))
		return 1;
	exchanger = fork();
	if (!exchanger)
		return read(0, &go, 1) == 1 ? exchange(argv[2], argv[3]) : 3;
	if (chdir(argv[2]) || mkdir("in", 0700) || chdir("in") || mkdir("deep", 0700) || chdir("deep") ||
	    read(0, &go, 1) != 1)
		return 2;
	for (int i = 0; i < atoi(argv[4]); i++)
		syscall(SYS_unlinkat, AT_FDCWD, "nope", 0);
	kill(exchanger, SIGKILL);
	return waitpid(exchanger, &status, 0) != exchanger || !WIFSIGNALED(status);
}
