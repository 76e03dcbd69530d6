/* augment_tool crop N HEIGHT WIDTH            int32 [N, 4]: top, left, height, width
 * augment_tool erase N P HEIGHT WIDTH         int32 [N, 4]; all 0: nothing is erased
 * augment_tool jitter N B C S H               f32 [N, 4, 2]: kind (-1: none), factor
 * augment_tool adjust CHANNELS PIXELS [KIND FACTOR]...
 *                                             f32 [CHANNELS, PIXELS], from stdin, too
 * writes what N samples of one epoch draw, or adjusted values, to stdout: for
 * comparison with torchvision. */
#include "base/memory.h"
#include "load/jitter.h"

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
    else
        return 2;
    return 0;
}
