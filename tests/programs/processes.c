/* processes COUNT CALLS [WIDTH]: waits for a byte on stdin; then makes COUNT processes, WIDTH at a time (1), of which each
 * deletes CALLS names that are not there, and ends. CALLS 0: for ever, until it is killed soon after its first. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc > 1 ? atol(argv[1]) : 1, calls = argc > 2 ? atol(argv[2]) : 1;
	long width = argc > 3 ? atol(argv[3]) : 1, running = 0;
	volatile long *began =
		mmap(NULL, sizeof(*began), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char go;

	if (began == MAP_FAILED || read(0, &go, 1) != 1)
		return 1;
	for (long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			for (long call = 0; !calls || call < calls; call++) {
				syscall(SYS_unlinkat, AT_FDCWD, "/nonexistent/rawtp-process", 0);
				*began = i + 1;
			}
			_exit(0);
		}
		if (!calls) {
			while (*began != i + 1)
				usleep(100);
			usleep(i % 7 * 100);
			kill(pid, SIGKILL);
		}
		if (++running == width) {
			wait(NULL);
			running--;
		}
	}
	while (wait(NULL) > 0)
		;
	return 0;
}
