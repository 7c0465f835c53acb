/* calls PLAN DIRECTORY: maps the file PLAN, waits for a byte on stdin, and makes the plan's calls in DIRECTORY; see
 * tests/helpers/plans.py. It prints nothing. Exits 77 where the plan has 32-bit calls but the kernel has none. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BASE 0x60000000
#define MARKER 0x7fffff00
#define PAGE 65536 /* of any machine, or a multiple */

enum {
	COMPAT = 1,
	CHILD = 2, /* Makes a process, which ends at once. */
};

struct call {
	uint64_t flags;
	uint64_t numbers[7]; /* of the call, and its arguments */
};

struct plan {
	uint64_t calls, holes;
	uint64_t hole_at[14];
	struct call call[];
};

#if defined(__x86_64__)
/* Inline: the child of vfork shares the stack, so it must not return. */
static inline __attribute__((always_inline)) long native(const uint64_t *n)
{
	register uint64_t r10 __asm__("r10") = n[4], r8 __asm__("r8") = n[5], r9 __asm__("r9") = n[6];
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret), "+r"(r10), "+r"(r8), "+r"(r9)
			 : "a"(n[0]), "D"(n[1]), "S"(n[2]), "d"(n[3])
			 : "rcx", "r11", "memory");
	return ret;
}

long compat(const uint64_t *numbers);

__asm__("	.text\n"
	"	.globl compat\n"
	"compat:\n"
	"	push %rbx\n"
	"	push %rbp\n"
	"	mov 0(%rdi), %rax\n"
	"	mov 8(%rdi), %rbx\n"
	"	mov 16(%rdi), %rcx\n"
	"	mov 24(%rdi), %rdx\n"
	"	mov 32(%rdi), %rsi\n"
	"	mov 48(%rdi), %rbp\n"
	"	mov 40(%rdi), %rdi\n"
	"	int $0x80\n"
	"	pop %rbp\n"
	"	pop %rbx\n"
	"	ret\n");

static int has_compat(void)
{
	const uint64_t getpid_32[7] = {20};

	return compat(getpid_32) == getpid();
}
#else
static inline __attribute__((always_inline)) long native(const uint64_t *n)
{
	register uint64_t x8 __asm__("x8") = n[0], x0 __asm__("x0") = n[1], x1 __asm__("x1") = n[2];
	register uint64_t x2 __asm__("x2") = n[3], x3 __asm__("x3") = n[4], x4 __asm__("x4") = n[5];
	register uint64_t x5 __asm__("x5") = n[6];

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
	return x0;
}

static long compat(const uint64_t *numbers)
{
	return numbers[0];
}

static int has_compat(void)
{
	return 0;
}
#endif

int main(int argc, char **argv)
{
	struct plan *plan = (struct plan *)BASE;
	struct stat file;
	uint64_t i;
	long ret;
	int fd;
	char go;

	if (argc < 3 || (fd = open(argv[1], O_RDONLY)) < 0 || fstat(fd, &file))
		return 1;
	if (mmap(plan, file.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED_NOREPLACE | MAP_POPULATE, fd, 0) !=
	    plan)
		return 1;
	for (i = 0; i < plan->holes; i++)
		munmap((char *)plan + plan->hole_at[i], PAGE);
	close(fd);
	for (i = 0; i < plan->calls; i++)
		if (plan->call[i].flags & COMPAT && !has_compat())
			return 77;
	if (chdir(argv[2]) || read(0, &go, 1) != 1)
		return 1;
	syscall(SYS_getpgid, MARKER);
	for (i = 0; i < plan->calls; i++) {
		const struct call *call = &plan->call[i];

		if (call->flags & COMPAT)
			ret = compat(call->numbers);
		else
			ret = native(call->numbers);
		if (call->flags & CHILD && ret == 0)
			_exit(0);
	}
	return 0;
}
