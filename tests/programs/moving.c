/* moving DIRECTORY LEVELS COUNT: waits for a byte on stdin. Then unlinks COUNT names that are not there in the directory
 * "end", which lies LEVELS below "here/moved" or right below "aside", while another process moves it between those two, and
 * "here/moved" to "there/moved" and back; but that only while "end" is aside, so that it never lies below "there". */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

static char inside[4096];

static int move(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		if (rename(inside, "aside/end") || rename("here/moved", "there/moved") ||
		    rename("there/moved", "here/moved") || rename("aside/end", inside))
			return 4;
}

int main(int argc, char **argv)
{
	int mover, status;
	char go;

	if (argc < 4 || chdir(argv[1]) || mkdir("here", 0700) || mkdir("there", 0700) || mkdir("aside", 0700))
		return 1;
	strcpy(inside, "here/moved");
	mkdir(inside, 0700);
	for (int i = 0; i < atoi(argv[2]); i++)
		mkdir(strcat(inside, "/l"), 0700);
	if (mkdir(strcat(inside, "/end"), 0700) || read(0, &go, 1) != 1)
		return 2;
	mover = fork();
	if (!mover)
		return move();
	/* Wherever it is at that moment: one of the two ways is right. */
	while (chdir(inside) && chdir("aside/end"))
		;
	for (int i = 0; i < atoi(argv[3]); i++)
		syscall(SYS_unlinkat, AT_FDCWD, "gone", 0);
	kill(mover, SIGKILL);
	return waitpid(mover, &status, 0) != mover || !WIFSIGNALED(status);
}
