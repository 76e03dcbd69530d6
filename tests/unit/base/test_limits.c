/* Memory left, in folders laid out as /proc and /sys/fs/cgroup are, and here. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/limits.h"
#include "support/scratch.h"

#include <string.h>

static char folder[SCRATCH_PATH];

static int make_folder(void **state)
{
    (void)state;
    return scratch_make(folder);
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_remove(folder);
}

static void put(const char *name, const char *text)
{
    char parent[SCRATCH_PATH];
    const char *path = scratch_path(folder, name);
    const char *slash = strrchr(path, '/');
    memcpy(parent, path, (size_t)(slash - path));
    parent[slash - path] = '\0';
    assert_int_equal(file_make_folder(parent), CONVOY_OK);
    assert_int_equal(file_write_whole(path, text, strlen(text)), CONVOY_OK);
}

static void expect_left(uint64_t expected)
{
    char proc[SCRATCH_PATH], groups[SCRATCH_PATH];
    memcpy(proc, scratch_path(folder, "proc"), sizeof proc);
    memcpy(groups, scratch_path(folder, "groups"), sizeof groups);
    assert_int_equal(limits_memory_left_in(proc, groups), expected);
}

static void the_least_that_any_limit_leaves_counts(void **state)
{
    (void)state;
    expect_left(0); /* nothing is known */
    put("proc/meminfo", "MemTotal: 9000 kB\nMemAvailable:    7000 kB\n");
    expect_left(INT64_C(7000) * 1024);
    put("proc/self/cgroup", "0::/job/step\n");
    expect_left(INT64_C(7000) * 1024);
    put("groups/job/step/memory.max", "max\n");
    expect_left(INT64_C(7000) * 1024);
    put("groups/job/memory.max", "5000000\n");
    put("groups/job/memory.current", "2000000\n");
    expect_left(3000000);
    put("groups/job/memory.stat", "anon 5\ninactive_file 400000\nactive_file 100000\n");
    expect_left(3500000);
    put("groups/job/step/memory.max", "2500000\n");
    put("groups/job/step/memory.current", "100\n");
    expect_left(2499900);
    put("groups/job/step/memory.current", "9900000\n");
    expect_left(1); /* none, but known */
    put("proc/self/cgroup", "5:cpu:/x\n7:cpuset,memory:/slurm/job_1\n");
    put("groups/memory/slurm/memory.limit_in_bytes", "4000000\n");
    put("groups/memory/slurm/memory.usage_in_bytes", "1500000\n");
    put("groups/memory/slurm/memory.stat",
        "inactive_file 9\ntotal_inactive_file 100\n");
    put("groups/memory/slurm/job_1/memory.limit_in_bytes", "9223372036854771712\n");
    put("groups/memory/slurm/job_1/memory.usage_in_bytes", "1500000\n");
    expect_left(2500100);
}

static void this_machine_has_some(void **state)
{
    (void)state;
    assert_true(limits_memory_left() > 0);
    assert_true(limits_memory_left() < UINT64_C(1) << 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_that_any_limit_leaves_counts),
        cmocka_unit_test(this_machine_has_some),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
