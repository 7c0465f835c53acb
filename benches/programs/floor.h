/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The guide's three fields, as the counting consumer gets them. */
#ifndef RAWTP_FLOOR_H
#define RAWTP_FLOOR_H

#define FLOOR_NAME_BYTES 256
#define FLOOR_CPUS 1024

struct floor_event {
	int pid;
	char comm[16];
	char filename[FLOOR_NAME_BYTES];
};

/* A call with its arguments. It begins as the one above does. */
struct floor_call {
	int pid;
	char comm[16];
	int tid;
	unsigned long long ts_ns;
	unsigned long long arguments[6];
	char filename[FLOOR_NAME_BYTES];
};

#endif
