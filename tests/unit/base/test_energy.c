/* The packages' counters, by files that stand for the kernel's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/energy.h"
#include "support/scratch.h"

#include <math.h>
#include <stdio.h>
#include <sys/stat.h>

static char folder[SCRATCH_PATH];

static void write_file(const char *zone, const char *name, const char *text)
{
    char path[2 * SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/%s", folder, zone);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", folder, zone, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_zone(const char *zone, const char *name, const char *uj)
{
    write_file(zone, "name", name);
    write_file(zone, "energy_uj", uj);
    write_file(zone, "max_energy_range_uj", "262143328850\n");
}

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

/* Two packages; a part of one, the platform and a second way to the first are not
 * counted. */
static void packages_are_added_up(void **state)
{
    struct energy energy;
    (void)state;
    write_zone("intel-rapl:0", "package-0\n", "1000000\n");
    write_zone("intel-rapl:1", "package-1\n", "500000\n");
    write_zone("intel-rapl:2", "psys\n", "7000000\n");
    write_zone("intel-rapl:0:0", "core\n", "8000000\n");
    write_zone("intel-rapl-mmio:0", "package-0\n", "9000000\n");
    energy_begin(&energy, folder);
    assert_int_equal(energy.n, 2);
    assert_true(energy.joules == 0);
    write_file("intel-rapl:0", "energy_uj", "4000000\n");
    write_file("intel-rapl:1", "energy_uj", "1000000\n");
    write_file("intel-rapl:2", "energy_uj", "99000000\n");
    energy_sample(&energy);
    assert_true(fabs(energy.joules - 3.5) < 1e-9);
    energy_sample(&energy);
    assert_true(fabs(energy.joules - 3.5) < 1e-9);
    energy_end(&energy);
}

/* From 3 J before the end of the range to 2 J behind its beginning. */
static void a_counter_that_begins_anew_goes_on(void **state)
{
    struct energy energy;
    (void)state;
    write_zone("intel-rapl:0", "package-0\n", "262140328850\n");
    energy_begin(&energy, folder);
    assert_int_equal(energy.n, 1);
    write_file("intel-rapl:0", "energy_uj", "2000000\n");
    energy_sample(&energy);
    assert_true(fabs(energy.joules - 5) < 1e-9);
    energy_end(&energy);
}

static void what_cannot_be_read_is_nothing(void **state)
{
    struct energy energy;
    (void)state;
    energy_begin(&energy, "/nonexistent");
    assert_int_equal(energy.n, 0);
    energy_sample(&energy);
    assert_true(energy.joules == 0);
    energy_end(&energy);
    write_zone("intel-rapl:0", "package-0\n", "1000000\n");
    write_zone("intel-rapl:1", "package-1\n", "nothing\n");
    energy_begin(&energy, folder);
    assert_int_equal(energy.n, 0);
    energy_end(&energy);
}

/* Half of a machine's packages would pass for all of them. */
static void a_counter_that_is_lost_ends_all(void **state)
{
    struct energy energy;
    (void)state;
    write_zone("intel-rapl:0", "package-0\n", "1000000\n");
    write_zone("intel-rapl:1", "package-1\n", "1000000\n");
    energy_begin(&energy, folder);
    assert_int_equal(energy.n, 2);
    write_file("intel-rapl:0", "energy_uj", "2000000\n");
    write_file("intel-rapl:1", "energy_uj", "");
    energy_sample(&energy);
    assert_int_equal(energy.n, 0);
    assert_true(energy.joules == 0);
    energy_end(&energy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(packages_are_added_up),
        TEST(a_counter_that_begins_anew_goes_on),
        TEST(what_cannot_be_read_is_nothing),
        TEST(a_counter_that_is_lost_ends_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
