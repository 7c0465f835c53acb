/* musl has no argp. elfutils compiles two files against it that libelf never calls: this is what those name, and no more. */
#pragma once
#include <errno.h>
#include <stdio.h>

typedef int error_t;

#define ARGP_ERR_UNKNOWN E2BIG
#define ARGP_HELP_SEE 0
#define OPTION_ARG_OPTIONAL 1

struct argp_state {
	char *name;
};

struct argp_option {
	const char *name;
	int key;
	const char *arg;
	int flags;
	const char *doc;
	int group;
};

struct argp {
	const struct argp_option *options;
	error_t (*parser)(int key, char *arg, struct argp_state *state);
	const char *args_doc;
	const char *doc;
	const void *children;
	const void *help_filter;
	const char *argp_domain;
};

void argp_help(const struct argp *argp, FILE *stream, unsigned flags, char *name);
