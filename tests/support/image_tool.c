/* image_tool FILE CHANNELS [X Y W H WIDTH HEIGHT] decodes an image file, resizes the
 * box if one is given, and writes a PGM or PPM to stdout: for comparison with other
 * decoders. */
#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"

#include <stdlib.h>

static convoy_status run(int argc, char **argv)
{
    convoy_status status = CONVOY_OK;
    struct image decoded = {0}, resized = {0}, *out = &decoded;
    struct image_scratch *scratch = NULL;
    char *bytes = NULL;
    size_t n = 0;
    TRY(file_read_all(argv[1], &bytes, &n));
    TRY(image_decode((const uint8_t *)bytes, n, atoi(argv[2]), &decoded));
    if (argc == 9) {
        TRY(image_scratch_create(&scratch));
        const struct image_box box = {atof(argv[3]), atof(argv[4]), atof(argv[5]),
                                      atof(argv[6])};
        TRY(image_resize(&decoded, box, atoi(argv[7]), atoi(argv[8]), scratch,
                         &resized));
        out = &resized;
    }
    printf("P%d %d %d 255\n", out->channels == 1 ? 5 : 6, out->width, out->height);
    fwrite(out->pixels, (size_t)out->channels, (size_t)out->width * (size_t)out->height,
           stdout);
cleanup:
    image_scratch_destroy(scratch);
    image_free(&decoded);
    image_free(&resized);
    mem_free(bytes);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 9) {
        fprintf(stderr, "usage: image_tool FILE CHANNELS [X Y W H WIDTH HEIGHT]\n");
        return 2;
    }
    if (run(argc, argv) == CONVOY_OK)
        return 0;
    fprintf(stderr, "image_tool: %s\n", convoy_status_text());
    return 1;
}
