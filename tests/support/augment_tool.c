/* augment_tool crop N HEIGHT WIDTH            int32 [N, 4]: top, left, height, width
 * augment_tool erase N P HEIGHT WIDTH         int32 [N, 4]; all 0: nothing is erased
 * augment_tool jitter N B C S H               f32 [N, 4, 2]: kind (-1: none), factor
 * augment_tool adjust CHANNELS PIXELS [KIND FACTOR]...
 *                                             f32 [CHANNELS, PIXELS], from stdin, too
 * augment_tool trivials N                     int32 [N, 3]: operation, bin, negative
 * augment_tool trivial CHANNELS HEIGHT WIDTH OPERATION BIN NEGATIVE
 *                                             u8 [CHANNELS, HEIGHT, WIDTH], from stdin,
 *                                             too; as many bytes may follow, and so on
 * augment_tool mixings N SEED MIXUP CUTMIX HEIGHT WIDTH
 *                                             int32 [N, 6]: cuts, share (f32), box
 * augment_tool mix N MIXUP CUTMIX CHANNELS HEIGHT WIDTH MICROBATCH
 *                                             f32 [N, CHANNELS, HEIGHT, WIDTH], then
 *                                             int32 [N] labels, from stdin, too; then
 *                                             int32 [N] partners and f32 [N] shares
 * writes what N samples or microbatches of one epoch draw, or values, to stdout: for
 * comparison with torchvision. */
#include "base/memory.h"
#include "load/jitter.h"
#include "load/mixing.h"
#include "load/trivial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void put_box(struct box box)
{
    const int values[] = {box.top, box.left, box.height, box.width};
    fwrite(values, sizeof values, 1, stdout);
}

static void draw_crops(uint64_t n, char **argv)
{
    for (uint64_t i = 0; i < n; i++) {
        const struct rng rng = augment_stream(11, 2, i);
        put_box(augment_resized_crop(&rng, atoi(argv[0]), atoi(argv[1])));
    }
}

static void draw_erasing(uint64_t n, char **argv)
{
    for (uint64_t i = 0; i < n; i++) {
        const struct rng rng = augment_stream(11, 2, i);
        struct box box = {0};
        augment_erasing(&rng, atof(argv[0]), atoi(argv[1]), atoi(argv[2]), &box);
        put_box(box);
    }
}

static void draw_jitter(uint64_t n, char **argv)
{
    const struct augment augment = {.brightness = atof(argv[0]),
                                    .contrast = atof(argv[1]),
                                    .saturation = atof(argv[2]),
                                    .hue = atof(argv[3])};
    for (uint64_t i = 0; i < n; i++) {
        const struct rng rng = augment_stream(11, 2, i);
        const struct augment_jitter jitter = augment_jitter(&rng, &augment);
        for (int k = 0; k < N_AUGMENT_ADJUSTMENTS; k++) {
            const float values[] = {k < jitter.n ? (float)jitter.kind[k] : -1.0F,
                                    k < jitter.n ? jitter.factor[k] : 0.0F};
            fwrite(values, sizeof values, 1, stdout);
        }
    }
}

static int adjust(int argc, char **argv)
{
    const int channels = atoi(argv[0]);
    const size_t n = (size_t)atoi(argv[1]), all = n * (size_t)channels;
    struct augment_jitter jitter = {0};
    void *values = NULL;
    for (int i = 2; i + 1 < argc && jitter.n < N_AUGMENT_ADJUSTMENTS; i += 2) {
        jitter.kind[jitter.n] = (enum augment_adjustment)atoi(argv[i]);
        jitter.factor[jitter.n++] = strtof(argv[i + 1], NULL);
    }
    if (mem_alloc_array(all, sizeof(float), &values) != CONVOY_OK ||
        fread(values, sizeof(float), all, stdin) != all)
        return 1;
    jitter_apply(&jitter, values, channels, n);
    fwrite(values, sizeof(float), all, stdout);
    mem_free(values);
    return 0;
}

static void draw_trivials(uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        const struct rng rng = augment_stream(11, 2, i);
        const struct augment_trivial drawn = augment_trivial(&rng);
        const int32_t values[] = {(int32_t)drawn.op, drawn.bin, drawn.negative};
        fwrite(values, sizeof values, 1, stdout);
    }
}

static int change_trivially(char **argv)
{
    struct trivial_image image = {NULL, atoi(argv[0]), atoi(argv[1]), atoi(argv[2])};
    const struct augment_trivial drawn = {(enum trivial_op)atoi(argv[3]), atoi(argv[4]),
                                          atoi(argv[5]) != 0};
    const size_t n =
        (size_t)image.channels * (size_t)image.height * (size_t)image.width;
    void *bytes = NULL, *values = NULL;
    float table[3][256];
    for (int v = 0; v < 3 * 256; v++)
        table[v / 256][v % 256] = (float)(v % 256);
    if (mem_alloc(2 * n, &bytes) != CONVOY_OK ||
        mem_alloc_array(n, sizeof(float), &values) != CONVOY_OK)
        return 1;
    while (fread(bytes, 1, n, stdin) == n) {
        image.pixels = bytes;
        trivial_write(&drawn, &image, (uint8_t *)bytes + n, (const float(*)[256])table,
                      values);
        for (size_t i = 0; i < n; i++)
            putchar((int)((float *)values)[i]);
    }
    mem_free(bytes);
    mem_free(values);
    return 0;
}

static void draw_mixings(uint64_t n, char **argv)
{
    const struct augment augment = {.mixup = atof(argv[1]), .cutmix = atof(argv[2])};
    const uint64_t seed = strtoull(argv[0], NULL, 10);
    for (uint64_t i = 0; i < n; i++) {
        const struct mixing m =
            mixing_draw(&augment, seed, 0, i, atoi(argv[3]), atoi(argv[4]));
        const int32_t cuts = m.cuts;
        fwrite(&cuts, sizeof cuts, 1, stdout);
        fwrite(&m.share, sizeof m.share, 1, stdout);
        put_box(m.box);
    }
}

static int mix(int n, char **argv)
{
    const struct augment augment = {.mixup = atof(argv[0]), .cutmix = atof(argv[1])};
    struct mixing_rows rows = {n,    atoi(argv[2]), atoi(argv[3]), atoi(argv[4]),
                               NULL, NULL,          NULL,          NULL};
    const size_t m = (size_t)n, of_row = (size_t)rows.channels * (size_t)rows.height *
                                         (size_t)rows.width;
    const struct mixing mixing = mixing_draw(
        &augment, 11, 2, strtoull(argv[5], NULL, 10), rows.height, rows.width);
    if (mem_alloc_array(m * of_row, sizeof(float), (void **)&rows.values) != 0 ||
        mem_alloc_array(m, sizeof(int32_t), (void **)&rows.labels) != CONVOY_OK ||
        mem_alloc_array(m, sizeof(int32_t), (void **)&rows.partners) != CONVOY_OK ||
        mem_alloc_array(m, sizeof(float), (void **)&rows.shares) != CONVOY_OK ||
        fread(rows.values, sizeof(float), m * of_row, stdin) != m * of_row ||
        fread(rows.labels, sizeof(int32_t), m, stdin) != m)
        return 1;
    mixing_apply(&mixing, &rows);
    fwrite(rows.values, sizeof(float), m * of_row, stdout);
    fwrite(rows.labels, sizeof(int32_t), m, stdout);
    fwrite(rows.partners, sizeof(int32_t), m, stdout);
    fwrite(rows.shares, sizeof(float), m, stdout);
    mem_free(rows.values);
    mem_free(rows.labels);
    mem_free(rows.partners);
    mem_free(rows.shares);
    return 0;
}

int main(int argc, char **argv)
{
    const uint64_t n = argc > 2 ? (uint64_t)strtoull(argv[2], NULL, 10) : 0;
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "crop") == 0 && argc == 5)
        draw_crops(n, argv + 3);
    else if (strcmp(mode, "erase") == 0 && argc == 6)
        draw_erasing(n, argv + 3);
    else if (strcmp(mode, "jitter") == 0 && argc == 7)
        draw_jitter(n, argv + 3);
    else if (strcmp(mode, "adjust") == 0 && argc >= 4)
        return adjust(argc - 2, argv + 2);
    else if (strcmp(mode, "trivials") == 0 && argc == 3)
        draw_trivials(n);
    else if (strcmp(mode, "trivial") == 0 && argc == 8)
        return change_trivially(argv + 2);
    else if (strcmp(mode, "mixings") == 0 && argc == 8)
        draw_mixings(n, argv + 3);
    else if (strcmp(mode, "mix") == 0 && argc == 9)
        return mix((int)n, argv + 3);
    else
        return 2;
    return 0;
}
