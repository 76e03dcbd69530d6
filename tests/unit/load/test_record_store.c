/* Parts of a pack held on disk and in memory, by this process and by another. */
#include "base/memory.h"
#include "load/record_store.h"
#include "unit/load/fixture.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 30, SIDE = 6, N_PARTS = 4 };

static const uint64_t ends[N_PARTS] = {11, 11, 23, 30};
static const enum record_place places[] = {RECORD_DISK, RECORD_MEMORY};

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s (%s)", convoy_status_text(), convoy_status_where());
}

/* A store that holds all parts. */
static struct record_store *hold_all(const struct fixture *fixture,
                                     enum record_place place, bool tolerant)
{
    struct record_store *store = NULL;
    int fd = -1;
    ok(record_store_create(fixture->pack, ends, N_PARTS, &store));
    for (int part = 0; part < N_PARTS; part++)
        ok(record_store_hold(store, part, place, fixture->folder, tolerant, &fd));
    return store;
}

static void assert_same_records(const struct fixture *fixture,
                                const struct record_store *store, uint64_t first,
                                uint64_t end)
{
    void *buffer = NULL, *other = NULL;
    size_t capacity = 0, other_capacity = 0;
    for (uint64_t i = first; i < end; i++) {
        struct pack_record direct, held;
        uint8_t copy[SIDE * SIDE];
        ok(pack_read(fixture->pack, i, &buffer, &capacity, &direct));
        ok(record_store_read(store, i, &other, &other_capacity, &held));
        ok(record_store_copy(store, i, copy));
        assert_int_equal(direct.n_bytes, held.n_bytes);
        assert_int_equal(direct.label, held.label);
        assert_memory_equal(direct.bytes, held.bytes, held.n_bytes);
        assert_memory_equal(direct.bytes, copy, held.n_bytes);
    }
    mem_free(buffer);
    mem_free(other);
}

static void every_record_is_in_its_part(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_store *store = NULL;
    fixture_raw(&fixture, N, SIDE, SIDE);
    ok(record_store_create(fixture.pack, ends, N_PARTS, &store));
    for (uint64_t i = 0; i < N; i++)
        assert_int_equal(record_store_part(store, i), i < 11 ? 0 : i < 23 ? 2 : 3);
    assert_int_equal(record_store_bytes(store, 0), 11 * SIDE * SIDE);
    assert_int_equal(record_store_bytes(store, 1), 0);
    for (int part = 0; part < N_PARTS; part++)
        assert_false(record_store_has(store, part));
    record_store_destroy(store);
    fixture_close(&fixture);
}

static void held_records_are_the_pack_s(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct fixture fixture;
        fixture_raw(&fixture, N, SIDE, SIDE);
        struct record_store *store = hold_all(&fixture, places[k], false);
        assert_same_records(&fixture, store, 0, N);
        record_store_destroy(store);
        fixture_close(&fixture);
    }
}

/* What another process says of its part, and waits until it is told to end. */
static pid_t hold_elsewhere(const struct fixture *fixture, enum record_place place,
                            int *fd, int *gate)
{
    int told[2], held[2];
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pipe(held), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        struct record_store *store = NULL;
        int own = -1;
        char byte;
        close(held[1]);
        convoy_status status =
            record_store_create(fixture->pack, ends, N_PARTS, &store);
        if (status == CONVOY_OK)
            status = record_store_hold(store, 2, place, fixture->folder, false, &own);
        const bool told_it = write(told[1], &own, sizeof own) == sizeof own;
        const bool waited = read(held[0], &byte, 1) == 0;
        _exit(status == CONVOY_OK && told_it && waited ? 0 : 1);
    }
    close(told[1]);
    close(held[0]);
    *gate = held[1];
    assert_int_equal(read(told[0], fd, sizeof *fd), sizeof *fd);
    close(told[0]);
    return pid;
}

/* Also when that process has ended. */
static void another_process_s_part_can_be_read(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct fixture fixture;
        struct record_store *store = NULL;
        int fd = -1, gate = -1, result = -1;
        fixture_raw(&fixture, N, SIDE, SIDE);
        const pid_t pid = hold_elsewhere(&fixture, places[k], &fd, &gate);
        ok(record_store_create(fixture.pack, ends, N_PARTS, &store));
        ok(record_store_open(store, 2, places[k], (int)pid, fd));
        assert_true(record_store_has(store, 2));
        assert_false(record_store_has(store, 0));
        close(gate);
        assert_int_equal(waitpid(pid, &result, 0), pid);
        assert_int_equal(result, 0);
        assert_same_records(&fixture, store, 11, 23);
        /* Another file than the part's. */
        assert_int_equal(record_store_open(store, 0, places[k], (int)getpid(), 0),
                         CONVOY_ERROR_IO);
        assert_false(record_store_has(store, 0));
        assert_int_equal(record_store_open(store, 0, places[k], (int)pid, fd),
                         CONVOY_ERROR_IO);
        assert_non_null(strstr(convoy_status_text(), fixture.path));
        record_store_destroy(store);
        fixture_close(&fixture);
    }
}

static void a_damaged_record_is_refused_or_kept_to_be_found(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct fixture fixture;
        struct record_store *store = NULL;
        struct pack_record read;
        void *buffer = NULL;
        size_t capacity = 0;
        int fd = -1;
        fixture_raw(&fixture, N, SIDE, SIDE);
        fixture_corrupt(&fixture, 13);
        ok(record_store_create(fixture.pack, ends, N_PARTS, &store));
        assert_int_equal(
            record_store_hold(store, 2, places[k], fixture.folder, false, &fd),
            CONVOY_ERROR_FORMAT);
        assert_non_null(strstr(convoy_status_text(), "record 13"));
        assert_false(record_store_has(store, 2));
        record_store_destroy(store);
        store = hold_all(&fixture, places[k], true);
        assert_int_equal(record_store_read(store, 13, &buffer, &capacity, &read),
                         CONVOY_ERROR_FORMAT);
        assert_non_null(strstr(convoy_status_text(), "record 13"));
        assert_same_records(&fixture, store, 14, N);
        mem_free(buffer);
        record_store_destroy(store);
        fixture_close(&fixture);
    }
}

static int count_files(const char *folder)
{
    DIR *open = opendir(folder);
    int n = 0;
    assert_non_null(open);
    while (readdir(open))
        n++;
    closedir(open);
    return n;
}

static void a_staged_file_has_no_name(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_raw(&fixture, N, SIDE, SIDE);
    const int before = count_files(fixture.folder);
    struct record_store *store = hold_all(&fixture, RECORD_DISK, false);
    assert_int_equal(count_files(fixture.folder), before);
    record_store_destroy(store);
    fixture_close(&fixture);
}

static void too_little_room_is_told_in_numbers(void **state)
{
    (void)state;
    struct fixture fixture;
    struct record_store *store = NULL;
    int fd = -1;
    fixture_raw(&fixture, N, SIDE, SIDE);
    ok(record_store_create(fixture.pack, ends, N_PARTS, &store));
    for (int k = 0; k < 2; k++) {
        ok(record_store_check_room(store, places[k], fixture.folder, 1000));
        assert_int_equal(record_store_check_room(store, places[k], fixture.folder,
                                                 (uint64_t)1 << 60),
                         CONVOY_ERROR_ARGUMENT);
        assert_non_null(strstr(convoy_status_text(), "1073741824.00 GiB"));
        assert_non_null(strstr(convoy_status_text(), fixture.path));
    }
    assert_int_equal(record_store_check_room(store, RECORD_DISK, "/no/such/folder", 1),
                     CONVOY_ERROR_IO);
    assert_int_equal(
        record_store_hold(store, 0, RECORD_DISK, "/no/such/folder", false, &fd),
        CONVOY_ERROR_IO);
    assert_non_null(strstr(convoy_status_text(), "TMPDIR"));
    record_store_destroy(store);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_in_its_part),
        cmocka_unit_test(held_records_are_the_pack_s),
        cmocka_unit_test(another_process_s_part_can_be_read),
        cmocka_unit_test(a_damaged_record_is_refused_or_kept_to_be_found),
        cmocka_unit_test(a_staged_file_has_no_name),
        cmocka_unit_test(too_little_room_is_told_in_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
