/* untouched FILE: waits for a byte on stdin, then passes unlink(2) a name that lies in a page of FILE which this process
 * has mapped and never touched. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
	char *name = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	char go;

	if (name == MAP_FAILED || read(0, &go, 1) != 1)
		return 1;
	return unlink(name) ? 2 : 0;
}
