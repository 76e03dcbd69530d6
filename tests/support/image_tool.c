/* image_tool FILE CHANNELS [X Y W H WIDTH HEIGHT [exact|scaled]] decodes an image file,
 * resizes the box if one is given, and writes a PGM or PPM to stdout: for comparison
 * with other decoders. With exact or scaled, only what the box needs is decoded, and
 * the box is cut out before it is resized. */
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "image/image_reader.h"

#include <stdlib.h>
#include <string.h>

enum { N_DECODE = 3, N_RESIZE = 9, N_CROP = 10 };

static struct image_box box_of(char **argv)
{
    return (struct image_box){atof(argv[3]), atof(argv[4]), atof(argv[5]),
                              atof(argv[6])};
}

static convoy_status resize(char **argv, const struct image *src, struct image *out)
{
    struct image_scratch *scratch = NULL;
    convoy_status status = image_scratch_create(&scratch);
    if (status == CONVOY_OK)
        status =
            image_resize(src, box_of(argv), atoi(argv[7]), atoi(argv[8]), scratch, out);
    image_scratch_destroy(scratch);
    return status;
}

/* Crops to values 0 … 255 and stores them as an image again. */
static convoy_status crop(char **argv, const uint8_t *bytes, size_t n,
                          struct image *out)
{
    convoy_status status = CONVOY_OK;
    struct image_reader *reader = NULL;
    struct image_info info;
    float *values = NULL;
    static float table[3][256];
    for (int i = 0; i < 3 * 256; i++)
        table[i / 256][i % 256] = (float)(i % 256);
    const struct image_crop wanted = {.box = box_of(argv),
                                      .width = atoi(argv[7]),
                                      .height = atoi(argv[8]),
                                      .exact = strcmp(argv[9], "exact") == 0};
    const size_t channels = (size_t)atoi(argv[2]), w = (size_t)wanted.width;
    const size_t size = channels * w * (size_t)wanted.height;
    TRY(image_reader_create(&reader));
    TRY(mem_alloc(size * sizeof *values, (void **)&values));
    TRY(mem_alloc(size, (void **)&out->pixels));
    const struct image_planes to = {.channels = (int)channels,
                                    .table = (const float(*)[256])table,
                                    .values = values,
                                    .channel = 1,
                                    .row = w * channels,
                                    .pixel = channels};
    TRY(image_reader_open(reader, bytes, n, &info));
    TRY(image_reader_crop(reader, &wanted, &to));
    for (size_t i = 0; i < size; i++)
        out->pixels[i] = (uint8_t)values[i];
    out->width = wanted.width;
    out->height = wanted.height;
    out->channels = (int)channels;
cleanup:
    image_reader_destroy(reader);
    mem_free(values);
    return status;
}

static convoy_status run(int argc, char **argv)
{
    convoy_status status = CONVOY_OK;
    struct image decoded = {0}, changed = {0};
    const struct image *out = argc == N_DECODE ? &decoded : &changed;
    char *text = NULL;
    size_t n = 0;
    TRY(file_read_all(argv[1], &text, &n));
    const uint8_t *bytes = (const uint8_t *)text;
    if (argc == N_CROP)
        TRY(crop(argv, bytes, n, &changed));
    else
        TRY(image_decode(bytes, n, atoi(argv[2]), &decoded));
    if (argc == N_RESIZE)
        TRY(resize(argv, &decoded, &changed));
    printf("P%d %d %d 255\n", out->channels == 1 ? 5 : 6, out->width, out->height);
    fwrite(out->pixels, (size_t)out->channels, (size_t)out->width * (size_t)out->height,
           stdout);
cleanup:
    image_free(&decoded);
    image_free(&changed);
    mem_free(text);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != N_DECODE && argc != N_RESIZE && argc != N_CROP) {
        fprintf(stderr, "usage: image_tool FILE CHANNELS [X Y W H WIDTH HEIGHT "
                        "[exact|scaled]]\n");
        return 2;
    }
    if (run(argc, argv) == CONVOY_OK)
        return 0;
    fprintf(stderr, "image_tool: %s\n", convoy_status_text());
    return 1;
}
