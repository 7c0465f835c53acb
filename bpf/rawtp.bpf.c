// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* All programs of a tracer, in one object. hooks/ has the programs, lib/ has the functions they share. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>
#include "record.h"
#include "config.h"
#include "lib/scratch.bpf.h"
#include "lib/task.bpf.h"
#include "lib/syscall.bpf.h"
#include "lib/state.bpf.h"
#include "lib/filter_task.bpf.h"
#include "lib/follow.bpf.h"
#include "lib/in_flight.bpf.h"
#include "lib/execs.bpf.h"
#include "lib/user_string.bpf.h"
#include "lib/path_walk.bpf.h"
#include "lib/file.bpf.h"
#include "lib/arguments.bpf.h"
#include "lib/filter_path.bpf.h"
#include "lib/identity.bpf.h"
#include "lib/mounts.bpf.h"
#include "lib/emit.bpf.h"
#include "lib/io_uring_abi.bpf.h"
#include "hooks/cgroup.bpf.h"
#include "hooks/syscall.bpf.h"
#include "hooks/io_uring.bpf.h"
#include "hooks/process.bpf.h"
#include "hooks/exec.bpf.h"
#include "hooks/truth.bpf.h"
#include "hooks/function.bpf.h"
#include "hooks/kernel_thread.bpf.h"
#include "hooks/function_result.bpf.h"
#include "hooks/function_programs.bpf.h"

/* Variables that only put these types into the object's BTF, from which the skeleton generates the Rust types. */
struct counters _counters = {0};
struct enter_record _enter_record = {0};
struct exit_record _exit_record = {0};
struct completion_record _completion_record = {0};
struct cgroup_record _cgroup_record = {0};
struct segment _segment = {0};
struct directory _directory = {0};
struct range _range = {0};
struct truth_record _truth_record = {0};
struct file_info _file_info = {0};
struct image _image = {0};
struct image_record _image_record = {0};
struct call _call = {0};
struct argument_rules _argument_rules = {0};
struct request_call _request_call = {0};
struct comm_filter _comm_filter = {0};
struct place_filter _place_filter = {0};
struct mounts_record _mounts_record = {0};
struct raw_record _raw_record = {0};
enum record_kind _record_kind = 0;
enum segment_kind _segment_kind = 0;
enum name_status _name_status = 0;
enum walk_status _walk_status = 0;
enum abi _abi = 0;
enum work _work = 0;
enum via _via = 0;
enum call_condition _call_condition = 0;
enum fallocate_mode _fallocate_mode = 0;
enum ioctl_command _ioctl_command = 0;
enum call_trait _call_trait = 0;
enum argument_how _argument_how = 0;
enum argument_time _argument_time = 0;
enum enter_mark _enter_mark = 0;
enum freed _freed = 0;

char LICENSE[] SEC("license") = "Dual BSD/GPL";
