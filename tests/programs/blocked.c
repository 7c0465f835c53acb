/* blocked: waits for a byte on stdin, then calls unlink(2) with a name in a page that userfaultfd(2) withholds: the call
 * stays open until a second byte comes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096

static void *call(void *name)
{
	syscall(SYS_unlinkat, AT_FDCWD, name, 0);
	return NULL;
}

int main(void)
{
	char *name = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *source = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fault = syscall(SYS_userfaultfd, O_CLOEXEC);
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {
		.range = {.start = (uintptr_t)name, .len = PAGE},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_copy copy = {.dst = (uintptr_t)name, .src = (uintptr_t)source, .len = PAGE};
	pthread_t thread;
	char go;

	if (name == MAP_FAILED || source == MAP_FAILED || fault < 0)
		return 1;
	strcpy(source, "/nonexistent/rawtp-blocked");
	if (ioctl(fault, UFFDIO_API, &api) || ioctl(fault, UFFDIO_REGISTER, &range) || read(0, &go, 1) != 1)
		return 2;
	if (pthread_create(&thread, NULL, call, name) || read(0, &go, 1) != 1 || ioctl(fault, UFFDIO_COPY, &copy))
		return 3;
	pthread_join(thread, NULL);
	return 0;
}
