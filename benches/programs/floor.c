/*
 * floor OBJECT PROGRAM...: attaches those programs of the object, prints "ready", and detaches at the end of stdin.
 *
 * With the program "count" or "openat" it reads the ring until then: prints "first" at the first event of a process
 * called "rawtp-first", and at the end how many there were of "rawtp-burst".
 * With the program "printk" it copies what the kernel prints, from trace_pipe to stdout.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "floor.h"

static long counted;
static bool first = true;

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void say(const char *line)
{
	puts(line);
	fflush(stdout);
}

static int on_event(void *ctx, void *data, size_t bytes)
{
	const struct floor_event *event = data;

	counted += !memcmp(event->comm, "rawtp-burst", 12);
	if (first && !memcmp(event->comm, "rawtp-first", 12)) {
		first = false;
		say("first");
	}
	return 0;
}

static bool ended(int timeout_ms)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};

	return poll(&input, 1, timeout_ms) > 0;
}

/* What comes within a millisecond is read at once: to be woken for every event would cost the caller more. */
static void read_ring(struct bpf_object *object)
{
	int map = bpf_object__find_map_fd_by_name(object, "events");
	struct ring_buffer *ring = ring_buffer__new(map, on_event, NULL, NULL);

	if (!ring)
		die("ring_buffer__new");
	while (!ended(1))
		ring_buffer__consume(ring);
	ring_buffer__consume(ring);
	printf("%ld\n", counted);
	ring_buffer__free(ring);
}

static void copy_trace_pipe(void)
{
	static char lines[1 << 16];
	int pipe = open("/sys/kernel/tracing/trace_pipe", O_RDONLY | O_NONBLOCK);

	if (pipe < 0)
		die("trace_pipe");
	for (;;) {
		ssize_t bytes = read(pipe, lines, sizeof(lines));

		if (bytes > 0 && write(1, lines, bytes) != bytes)
			die("write");
		if (bytes <= 0 && ended(1))
			return;
	}
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, format, args) : 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *object;
	struct bpf_program *program;
	bool has_count = false, has_printk = false;

	if (argc < 3)
		return 2;
	libbpf_set_print(quiet);
	object = bpf_object__open(argv[1]);
	if (!object)
		die(argv[1]);
	bpf_object__for_each_program(program, object) bpf_program__set_autoload(program, false);
	for (int i = 2; i < argc; i++) {
		program = bpf_object__find_program_by_name(object, argv[i]);
		if (!program)
			die(argv[i]);
		bpf_program__set_autoload(program, true);
		has_count |= !strcmp(argv[i], "count") || !strcmp(argv[i], "openat");
		has_printk |= !strcmp(argv[i], "printk");
	}
	if (bpf_object__load(object))
		die("bpf_object__load");
	bpf_object__for_each_program(program, object) if (bpf_program__autoload(program) &&
							  !bpf_program__attach(program)) die("bpf_program__attach");
	say("ready");
	if (has_count)
		read_ring(object);
	else if (has_printk)
		copy_trace_pipe();
	else
		ended(-1);
	return 0;
}
