/* alternating COUNT CALLS 0000000: waits for a byte on stdin; then COUNT processes run at once, and each deletes CALLS times
 * a name with its own number, letting the others go in between. That number is its last argument, too. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	long count = argc > 3 ? atol(argv[1]) : 0, calls = argc > 3 ? atol(argv[2]) : 0;
	char byte, number[32], name[64];
	int go[2];

	if (!count || pipe(go) || strlen(argv[3]) != 7)
		return 1;
	for (long i = 0; i < count; i++) {
		pid_t pid = fork();

		if (pid < 0)
			return 2;
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		snprintf(number, sizeof(number), "%07ld", i);
		memcpy(argv[3], number, 7);
		snprintf(name, sizeof(name), "/nonexistent/%s", number);
		/* Nothing comes but the end, once the parent has let go. */
		close(go[1]);
		if (read(go[0], &byte, 1))
			_exit(3);
		for (long call = 0; call < calls; call++) {
			syscall(SYS_unlinkat, AT_FDCWD, name, 0);
			usleep(1000);
		}
		_exit(0);
	}
	puts("ready");
	fflush(stdout);
	if (read(0, &byte, 1) != 1)
		return 3;
	close(go[1]);
	while (wait(NULL) > 0)
		;
	return 0;
}
