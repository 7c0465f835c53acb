/* refused: waits for a byte on stdin, then has seccomp(2) refuse calls of unlinkat(2): with an error; by killing the thread,
 * which makes them with AT_REMOVEDIR; and lets those through that have another flag. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Written to, and so in memory: the kernel does not come to reading them. */
static char refused[] = "refused", refused_too[] = "refused too", allowed[] = "allowed", to_be_killed[] = "killed";

static void *killed(void *unused)
{
	syscall(SYS_unlinkat, AT_FDCWD, to_be_killed, AT_REMOVEDIR);
	return unused;
}

int main(void)
{
	struct sock_filter rules[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_unlinkat, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EXDEV),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AT_REMOVEDIR, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_THREAD),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = sizeof(rules) / sizeof(*rules), .filter = rules};
	pthread_t thread;
	char go;

	refused[0] = refused_too[0] = 'r';
	allowed[0] = 'a';
	to_be_killed[0] = 'k';
	if (read(0, &go, 1) != 1 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		return 1;
	syscall(SYS_unlinkat, AT_FDCWD, refused, 0);
	syscall(SYS_unlinkat, AT_FDCWD, allowed, 1);
	syscall(SYS_unlinkat, AT_FDCWD, refused_too, 0);
	pthread_create(&thread, NULL, killed, NULL);
	pthread_join(thread, NULL);
	return 0;
}
