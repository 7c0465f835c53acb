/* untouched_how FILE TARGET: waits for a byte on stdin. Then opens TARGET by openat2(2), whose struct open_how lies in FILE,
 * in a page that this process has mapped and never touched; and once more with one that is nowhere. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int file = argc > 2 ? open(argv[1], O_RDONLY) : -1;
	void *how = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, file, 0);
	char go;

	if (how == MAP_FAILED || read(0, &go, 1) != 1)
		return 1;
	syscall(SYS_openat2, AT_FDCWD, argv[2], how, 24);
	syscall(SYS_openat2, AT_FDCWD, argv[2], 8, 24);
	return 0;
}
