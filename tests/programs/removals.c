/* removals DIRECTORY COUNT: waits for a byte on stdin; then COUNT times makes a file in DIRECTORY and deletes it. The file's
 * name is the number of the turn, and the file has as many bytes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[2]) : 0;
	char name[16], go;

	if (chdir(argv[1]) || read(0, &go, 1) != 1)
		return 1;
	for (int i = 0; i < count; i++) {
		int file;

		snprintf(name, sizeof(name), "%d", i);
		file = open(name, O_CREAT | O_WRONLY, 0600);
		if (file < 0 || ftruncate(file, i) || close(file) || unlink(name))
			return 2;
	}
	return 0;
}
