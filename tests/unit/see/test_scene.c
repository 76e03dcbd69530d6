/* The scene: what sizes it takes, that it is the same each time, and that kernels find
 * in it what they are to be tried on: colours, dark and bright, smooth parts and edges.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <convoy/scene.h>

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WIDTH = 96, HEIGHT = 64 };

static char folder[] = "/tmp/convoy-scene-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    return file_join(folder, "scene.png", path, sizeof path) == CONVOY_OK ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void a_size_gives_the_same_picture_each_time(void **state)
{
    (void)state;
    char *bytes[2];
    size_t n[2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(convoy_scene_save(path, WIDTH, HEIGHT), CONVOY_OK);
        assert_int_equal(file_read_all(path, &bytes[i], &n[i]), CONVOY_OK);
    }
    assert_int_equal(n[0], n[1]);
    assert_memory_equal(bytes[0], bytes[1], n[0]);
    mem_free(bytes[0]);
    mem_free(bytes[1]);
}

/* Shares of the picture: how much of it is brighter than 200 or darker than 60 in all
 * channels, how much has a colour, how many neighbours differ by more than 60. */
static void it_has_light_and_shadow_colours_and_edges(void **state)
{
    (void)state;
    char *bytes;
    size_t n;
    struct image image = {0};
    assert_int_equal(convoy_scene_save(path, WIDTH, HEIGHT), CONVOY_OK);
    assert_int_equal(file_read_all(path, &bytes, &n), CONVOY_OK);
    assert_int_equal(image_decode((const uint8_t *)bytes, n, 3, &image), CONVOY_OK);
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    int bright = 0, dark = 0, coloured = 0, edges = 0, smooth = 0;
    for (int i = 0; i + 1 < WIDTH * HEIGHT; i++) {
        const uint8_t *p = image.pixels + (size_t)3 * (size_t)i;
        bright += p[0] > 200 && p[1] > 200 && p[2] > 200;
        dark += p[0] < 70 && p[1] < 100 && p[2] < 70;
        coloured += abs(p[0] - p[2]) > 40;
        edges += abs(p[1] - p[4]) > 60;
        smooth += abs(p[1] - p[4]) < 4;
    }
    const int least = WIDTH * HEIGHT / 100;
    assert_in_range(bright, least, WIDTH * HEIGHT);
    assert_in_range(dark, least, WIDTH * HEIGHT);
    assert_in_range(coloured, 10 * least, WIDTH * HEIGHT);
    assert_in_range(edges, least, WIDTH * HEIGHT);
    assert_in_range(smooth, 10 * least, WIDTH * HEIGHT);
    image_free(&image);
    mem_free(bytes);
}

static void what_cannot_be_is_refused_and_leaves_the_file(void **state)
{
    (void)state;
    static const int sizes[][2] = {{31, 64}, {64, 31}, {0, 0}, {4097, 64}, {64, -1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_int_equal(convoy_scene_save("/nowhere/x.png", sizes[i][0], sizes[i][1]),
                         CONVOY_ERROR_ARGUMENT);
    assert_int_equal(convoy_scene_save("/nowhere/x.png", WIDTH, HEIGHT),
                     CONVOY_ERROR_IO);
    assert_non_null(strstr(convoy_status_text(), "/nowhere/x.png"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_size_gives_the_same_picture_each_time),
        cmocka_unit_test(it_has_light_and_shadow_colours_and_edges),
        cmocka_unit_test(what_cannot_be_is_refused_and_leaves_the_file),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
