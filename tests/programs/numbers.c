/* numbers DIRECTORY: waits for a byte on stdin, then deletes files in DIRECTORY by system call numbers with bits above 32
 * and by others that only look like a watched one. Writes a line for each: the name, and what the call returned. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long call(uint64_t nr, long a, const char *b, long c)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = 0;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10) : "rcx", "r11", "memory");
	return ret;
#else
	register uint64_t x8 __asm__("x8") = nr;
	register long x0 __asm__("x0") = a, x2 __asm__("x2") = c;
	register const char *x1 __asm__("x1") = b;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#endif
}

static void unlinkat_by(uint64_t bits, const char *name)
{
	close(open(name, O_CREAT | O_WRONLY, 0600));
	printf("%s %ld\n", name, call((uint64_t)SYS_unlinkat | bits, AT_FDCWD, name, 0));
}

#if defined(__x86_64__)
static long int80(uint64_t nr, long a)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(0), "d"(0) : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

static void x86_only(void)
{
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

	strcpy(low, "unlink");
	close(open(low, O_CREAT | O_WRONLY, 0600));
	printf("unlink %ld\n", call(SYS_unlink | 0x5eadULL << 32, (long)low, NULL, 0));
	strcpy(low, "x32");
	close(open(low, O_CREAT | O_WRONLY, 0600));
	printf("x32 %ld\n", call(SYS_unlink | 0x40000000 | 7ULL << 32, (long)low, NULL, 0));
	strcpy(low, "compat");
	close(open(low, O_CREAT | O_WRONLY, 0600));
	printf("compat %ld\n", int80(10 | 0x5eadULL << 32, (long)low));
	/* In the 32-bit table that bit is not x32's: there is no such call. */
	int80(10 | 0x40000000, (long)low);
}
#endif

int main(int argc, char **argv)
{
	char go;

	if (argc < 2 || chdir(argv[1]) || read(0, &go, 1) != 1)
		return 1;
	unlinkat_by(0, "plain");
	unlinkat_by(1ULL << 32, "one");
	unlinkat_by(~0ULL << 32, "all");
	unlinkat_by(1ULL << 63, "highest");
#if defined(__x86_64__)
	x86_only();
#endif
	return 0;
}
