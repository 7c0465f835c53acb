/* verified FILE COMMAND...: runs the command, and writes to FILE a line for each BPF program that the kernel accepted from
 * it: the instructions that the verifier processed, and the program's name. The numbers are those of the verifier's own
 * log, the only place that has them before Linux 5.16. It is asked for on the way into bpf(2), whose arguments are put
 * back on the way out. Exits as the command does. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATS 4 /* BPF_LOG_STATS of the kernel's include/linux/bpf_verifier.h */
#define LOG_BYTES 8192
/* Below what the thread may use of its stack without moving its end (the ABI's red zone). */
#define RED_ZONE 256
#define THREADS 256

/* A thread in the middle of a load. */
struct load {
	pid_t tid;
	unsigned long attr, log;
	unsigned long before[2]; /* log_level and log_size, and log_buf */
};

static struct load loads[THREADS];
static FILE *out;

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static struct load *load_of(pid_t tid)
{
	for (int i = 0; i < THREADS; i++)
		if (loads[i].tid == tid)
			return &loads[i];
	return NULL;
}

static void get(pid_t tid, unsigned long at, void *to, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += sizeof(long)) {
		errno = 0;
		long word = ptrace(PTRACE_PEEKDATA, tid, at + i, 0);

		if (errno)
			die("PTRACE_PEEKDATA");
		memcpy((char *)to + i, &word, sizeof(word));
	}
}

static void put(pid_t tid, unsigned long at, const unsigned long *words, int count)
{
	for (int i = 0; i < count; i++)
		if (ptrace(PTRACE_POKEDATA, tid, at + i * sizeof(long), words[i]))
			die("PTRACE_POKEDATA");
}

static void enter(pid_t tid, unsigned long stack, const unsigned long *arguments)
{
	const size_t log_at = offsetof(union bpf_attr, log_level);
	struct load *load = load_of(0);
	unsigned long wanted[2];

	if (arguments[0] != BPF_PROG_LOAD || arguments[2] < offsetof(union bpf_attr, prog_ifindex) || !load)
		return;
	load->attr = arguments[1];
	get(tid, load->attr + log_at, load->before, sizeof(load->before));
	if (load->before[0])
		return; /* It asks for a log of its own. */
	load->tid = tid;
	load->log = (stack - RED_ZONE - LOG_BYTES) & ~15UL;
	wanted[0] = (unsigned long)LOG_BYTES << 32 | STATS;
	wanted[1] = load->log;
	put(tid, load->attr + log_at, wanted, 2);
}

static void leave(pid_t tid, long ret)
{
	struct load *load = load_of(tid);
	char log[LOG_BYTES], name[BPF_OBJ_NAME_LEN + 1] = "";
	char *found;

	if (!load)
		return;
	put(tid, load->attr + offsetof(union bpf_attr, log_level), load->before, 2);
	load->tid = 0;
	if (ret < 0)
		return;
	get(tid, load->log, log, sizeof(log));
	get(tid, load->attr + offsetof(union bpf_attr, prog_name), name, BPF_OBJ_NAME_LEN);
	log[sizeof(log) - 1] = 0;
	found = strstr(log, "processed ");
	if (!found)
		die("no count in the verifier's log");
	fprintf(out, "%ld %s\n", atol(found + strlen("processed ")), name);
}

static void at_syscall(pid_t tid)
{
	struct __ptrace_syscall_info info;

	if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_bpf) {
		unsigned long arguments[3] = {info.entry.args[0], info.entry.args[1], info.entry.args[2]};

		enter(tid, info.stack_pointer, arguments);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		leave(tid, info.exit.rval);
	}
}

int main(int argc, char **argv)
{
	const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
			     PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
	int status, ended = 125;
	pid_t child, tid;

	if (argc < 3 || !(out = fopen(argv[1], "we")))
		return 125;
	child = fork();
	if (!child) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		execvp(argv[2], argv + 2);
		_exit(126);
	}
	if (waitpid(child, &status, 0) != child || ptrace(PTRACE_SETOPTIONS, child, 0, options))
		die("PTRACE_SETOPTIONS");
	ptrace(PTRACE_SYSCALL, child, 0, 0);
	while ((tid = waitpid(-1, &status, __WALL)) > 0) {
		long signal = 0;

		if (!WIFSTOPPED(status)) {
			if (tid == child)
				ended = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
			continue;
		}
		if (WSTOPSIG(status) == (SIGTRAP | 0x80))
			at_syscall(tid);
		else if (!(status >> 16) && WSTOPSIG(status) != SIGSTOP)
			signal = WSTOPSIG(status);
		ptrace(PTRACE_SYSCALL, tid, 0, signal);
	}
	return fclose(out) ? 125 : ended;
}
