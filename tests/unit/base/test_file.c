/* Folders, and files that are the old ones or whole new ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/scratch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void a_folder_is_made_with_its_parents(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "a/b/c");
    assert_int_equal(file_make_folder(path), CONVOY_OK);
    assert_int_equal(file_make_folder(path), CONVOY_OK);
    assert_true(file_is_folder(path));
    assert_int_equal(file_write_whole(scratch_path(folder, "file"), "x", 1), CONVOY_OK);
    assert_int_equal(file_make_folder(scratch_path(folder, "file/d")), CONVOY_ERROR_IO);
    assert_non_null(strstr(convoy_status_text(), "file"));
    assert_int_equal(file_make_folder(""), CONVOY_ERROR_ARGUMENT);
}

static void a_file_is_written_whole_or_stays(void **state)
{
    (void)state;
    char *text = NULL;
    size_t n = 0;
    const char *path = scratch_path(folder, "whole");
    assert_int_equal(file_write_whole(path, "old", 3), CONVOY_OK);
    assert_int_equal(file_write_whole(path, "newer", 5), CONVOY_OK);
    assert_int_equal(file_read_all(path, &text, &n), CONVOY_OK);
    assert_int_equal(n, 5);
    assert_string_equal(text, "newer");
    mem_free(text);
    assert_int_equal(file_write_whole(scratch_path(folder, "none/x"), "x", 1),
                     CONVOY_ERROR_IO);
    assert_int_equal(file_read_all(scratch_path(folder, "none"), &text, &n),
                     CONVOY_ERROR_IO);
}

static convoy_status write_or_fail(const char *temporary, const void *text)
{
    scratch_write(temporary, text ? text : "half", 4);
    return text ? CONVOY_OK : FAIL(CONVOY_ERROR_MEMORY, "no more");
}

static void what_a_writer_leaves_undone_changes_nothing(void **state)
{
    (void)state;
    const char *path = scratch_path(folder, "by-name");
    char *text = NULL;
    size_t n = 0;
    assert_int_equal(file_write_by(path, write_or_fail, "full"), CONVOY_OK);
    assert_int_equal(file_write_by(path, write_or_fail, NULL), CONVOY_ERROR_MEMORY);
    assert_int_equal(file_read_all(path, &text, &n), CONVOY_OK);
    assert_string_equal(text, "full");
    mem_free(text);
    DIR *entries = opendir(folder);
    for (struct dirent *e = readdir(entries); e; e = readdir(entries))
        assert_null(strstr(e->d_name, ".tmp"));
    closedir(entries);
}

static void only_regular_files_are_opened(void **state)
{
    (void)state;
    const char *pipe = scratch_path(folder, "pipe"), *file = scratch_path(folder, "f");
    struct stat info;
    int fd = -1;
    assert_int_equal(mkfifo(pipe, 0600), 0);
    assert_int_equal(scratch_write(file, "abc", 3), 0);
    const char *const others[] = {pipe, folder, "/dev/zero"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(file_open(others[i], &fd, &info), CONVOY_ERROR_FORMAT);
        assert_non_null(strstr(convoy_status_text(), "not a regular file"));
        assert_int_equal(fd, -1);
    }
    assert_int_equal(file_open(scratch_path(folder, "none"), &fd, &info),
                     CONVOY_ERROR_IO);
    assert_int_equal(file_open(file, &fd, &info), CONVOY_OK);
    assert_int_equal(info.st_size, 3);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_regular_files_are_opened),
        cmocka_unit_test(a_folder_is_made_with_its_parents),
        cmocka_unit_test(a_file_is_written_whole_or_stays),
        cmocka_unit_test(what_a_writer_leaves_undone_changes_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
