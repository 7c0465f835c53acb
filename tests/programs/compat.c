/* compat: waits for a byte on stdin, makes i386 calls through int 0x80 whose numbers mean something else to a 64-bit task,
 * then one native unlink, so that a reader knows when to stop. Exits 77 where the kernel has no 32-bit calls. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <string.h>
#include <unistd.h>

static long int80(long nr, long a, long b, long c)
{
	long ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

int main(void)
{
	/* A 32-bit call sees the low half of a pointer only. */
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	char go;

	if (low == MAP_FAILED || read(0, &go, 1) != 1)
		return 1;
	strcpy(low, "/nonexistent/rawtp-compat");
	if (int80(20, 0, 0, 0) != getpid())
		return 77;
	int80(263, 0, (long)(intptr_t)low, 0); /* timer_delete; 263 is unlinkat here */
	int80(84, 0, 0, 0); /* oldlstat; 84 is rmdir here */
	int80(87, (long)(intptr_t)low, 0, 0); /* swapon; 87 is unlink here */
	syscall(SYS_unlink, "/nonexistent/rawtp-native");
	return 0;
}
