/* Packs come from the real packer: the tests see what a user's loader sees. */
#include "unit/load/fixture.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void ok(convoy_status status)
{
    if (status != CONVOY_OK)
        fail_msg("%s (%s)", convoy_status_text(), convoy_status_where());
}

static void make_folder(struct fixture *fixture)
{
    const char *root = getenv("TMPDIR");
    snprintf(fixture->folder, sizeof fixture->folder, "%s/convoy-load-XXXXXX",
             root && *root ? root : "/tmp");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(fixture->path, sizeof fixture->path, "%s/pack.h5", fixture->folder);
}

static void write_file(const char *folder, const char *name, const void *bytes,
                       size_t n)
{
    char path[1024];
    ok(file_join(folder, name, path, sizeof path));
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(bytes, 1, n, stream), n);
    assert_int_equal(fclose(stream), 0);
}

static void put_u32(uint8_t *out, int value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void fill_noise(uint8_t *out, size_t n, uint64_t seed)
{
    struct rng rng = rng_stream(seed, RNG_INIT, 1, 2);
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)rng_word(&rng, i);
}

int32_t fixture_label(uint64_t record)
{
    return (int32_t)(record * 7 % FIXTURE_CLASSES);
}

/* IDX: a magic number with type and rank, the sizes, big endian, then the values. */
static void write_idx(const struct fixture *fixture)
{
    size_t n = (size_t)fixture->n;
    size_t record = (size_t)fixture->height * (size_t)fixture->width;
    uint8_t *file = NULL;
    ok(mem_alloc(16 + n * record, (void **)&file));
    put_u32(file, 0x0803);
    put_u32(file + 4, fixture->n);
    put_u32(file + 8, fixture->height);
    put_u32(file + 12, fixture->width);
    memcpy(file + 16, fixture->pixels, n * record);
    write_file(fixture->folder, "train-images-idx3-ubyte", file, 16 + n * record);
    put_u32(file, 0x0801);
    for (size_t i = 0; i < n; i++)
        file[8 + i] = (uint8_t)fixture_label(i);
    write_file(fixture->folder, "train-labels-idx1-ubyte", file, 8 + n);
    mem_free(file);
}

void fixture_raw(struct fixture *fixture, int n, int height, int width)
{
    *fixture = (struct fixture){.n = n, .height = height, .width = width};
    make_folder(fixture);
    size_t record = (size_t)height * (size_t)width;
    ok(mem_alloc((size_t)n * record, (void **)&fixture->pixels));
    fill_noise(fixture->pixels, (size_t)n * record, 5);
    for (int i = 0; i < n; i++) {
        fixture->pixels[(size_t)i * record] = (uint8_t)i;
        fixture->pixels[(size_t)i * record + 1] = (uint8_t)(i >> 8);
    }
    write_idx(fixture);
    char source[512];
    ok(file_join(fixture->folder, "train-images-idx3-ubyte", source, sizeof source));
    ok(convoy_pack_create(source, fixture->path, NULL));
    ok(convoy_pack_open(fixture->path, &fixture->pack));
}

void fixture_png(struct fixture *fixture, const struct image *images, int n)
{
    char source[512], folder[512], name[32];
    *fixture = (struct fixture){.n = n};
    make_folder(fixture);
    ok(file_join(fixture->folder, "images", source, sizeof source));
    ok(file_join(source, "class", folder, sizeof folder));
    ok(file_make_folder(folder));
    for (int i = 0; i < n; i++) {
        uint8_t *bytes = NULL;
        size_t n_bytes = 0;
        ok(image_encode_png(&images[i], &bytes, &n_bytes));
        snprintf(name, sizeof name, "%04d.png", i);
        write_file(folder, name, bytes, n_bytes);
        mem_free(bytes);
    }
    ok(convoy_pack_create(source, fixture->path, NULL));
    ok(convoy_pack_open(fixture->path, &fixture->pack));
}

struct image fixture_noise(int height, int width, uint64_t seed)
{
    size_t n = (size_t)height * (size_t)width * 3;
    struct image image = {
        .height = height, .width = width, .channels = 3, .capacity = n};
    void *pixels = NULL;
    ok(mem_alloc(n, &pixels));
    image.pixels = pixels;
    fill_noise(image.pixels, n, seed);
    return image;
}

void fixture_corrupt(struct fixture *fixture, int record)
{
    size_t size = (size_t)fixture->height * (size_t)fixture->width;
    char *file = NULL;
    size_t n = 0;
    convoy_pack_close(fixture->pack);
    fixture->pack = NULL;
    ok(file_read_all(fixture->path, &file, &n));
    char *found = memmem(file, n, fixture->pixels + (size_t)record * size, size);
    assert_non_null(found);
    found[size / 2] = (char)~found[size / 2];
    ok(file_write_whole(fixture->path, file, n));
    mem_free(file);
    ok(convoy_pack_open(fixture->path, &fixture->pack));
}

static int remove_one(const char *path, const struct stat *info, int type,
                      struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void fixture_close(struct fixture *fixture)
{
    convoy_pack_close(fixture->pack);
    mem_free(fixture->pixels);
    assert_int_equal(nftw(fixture->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    *fixture = (struct fixture){0};
}

struct loader_options fixture_options(const struct fixture *fixture, int microbatch,
                                      int n_microbatches)
{
    return (struct loader_options){
        .microbatch = microbatch,
        .n_microbatches = n_microbatches,
        .count = n_microbatches,
        .shape = {1, fixture->height, fixture->width},
        .std = {1.0F, 1.0F, 1.0F},
        .shuffle = true,
        .seed = 17,
        .n_threads = 1,
    };
}

uint64_t fixture_record(const struct loader_options *options, const struct batch *batch,
                        int row)
{
    const int *shape = options->shape;
    size_t size = (size_t)shape[0] * (size_t)shape[1] * (size_t)shape[2];
    const float *images = batch->images, *image = images + (size_t)row * size;
    return (uint64_t)(lrintf(image[0] * 255.0F) + 256 * lrintf(image[1] * 255.0F));
}
