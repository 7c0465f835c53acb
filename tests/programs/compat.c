/* compat DIRECTORY: waits for a byte on stdin, makes i386 calls through int 0x80 in DIRECTORY, some whose numbers mean
 * something else to a 64-bit task and the watched ones, then one native unlink. Exits 77 where the kernel has none. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static long int80(long nr, long a, long b, long c, long d, long e)
{
	long ret;

	__asm__ volatile("int $0x80"
			 : "=a"(ret)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
			 : "memory", "r8", "r9", "r10", "r11");
	return ret;
}

int main(int argc, char **argv)
{
	/* A 32-bit call sees the low half of a pointer only. */
	char *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long first = (intptr_t)low, second = first + 100;
	char go;

	if (low == MAP_FAILED || argc < 2 || chdir(argv[1]) || read(0, &go, 1) != 1)
		return 1;
	strcpy(low, "first");
	strcpy(low + 100, "second");
	if (int80(20, 0, 0, 0, 0, 0) != getpid())
		return 77;
	int80(263, 0, first, 0, 0, 0); /* timer_delete; 263 is unlinkat here */
	int80(84, 0, 0, 0, 0, 0); /* oldlstat; 84 is rmdir here */
	int80(87, first, 0, 0, 0, 0); /* swapon; 87 is unlink here */

	int80(10, first, 0, 0, 0, 0); /* unlink */
	int80(301, AT_FDCWD, first, AT_REMOVEDIR, 0, 0); /* unlinkat */
	int80(40, second, 0, 0, 0, 0); /* rmdir */
	int80(38, first, second, 0, 0, 0); /* rename */
	int80(302, AT_FDCWD, first, AT_FDCWD, second, 0); /* renameat */
	int80(353, AT_FDCWD, first, AT_FDCWD, second, 4); /* renameat2 */
	int80(92, first, 0, 0, 0, 0); /* truncate */
	int80(193, first, 0, 0, 0, 0); /* truncate64 */
	int80(194, 99, 0, 0, 0, 0); /* ftruncate64 */
	int80(5, first, O_WRONLY | O_TRUNC, 0, 0, 0); /* open */
	int80(5, first, O_WRONLY, 0, 0, 0);
	int80(295, AT_FDCWD, first, O_WRONLY | O_TRUNC, 0, 0); /* openat */
	*(uint64_t *)(low + 200) = O_WRONLY | O_TRUNC; /* struct open_how: the flags come first */
	int80(437, AT_FDCWD, first, first + 200, 24, 0); /* openat2 */
	syscall(SYS_unlink, "native");
	return 0;
}
