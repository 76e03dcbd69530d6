/* Image files, from their header to the crops that the loader makes of them. Claims of
 * more than MAX_PIXELS are looked at no further: real limits are higher, and one such
 * input would cost as much as a thousand others. The last bytes of the input choose the
 * crop: no decoder reads behind an image's end. */
#include "fuzz/fuzz.h"

#include "image/image_reader.h"

#include <string.h>

enum { MAX_PIXELS = 1 << 18, MAX_SIDE = 32, N_CHOICES = 8 };

static float table[3][256];
static float values[3 * MAX_SIDE * MAX_SIDE];

static void decode(const uint8_t *data, size_t size, int channels)
{
    struct image image = {0};
    if (image_decode(data, size, channels, &image) == CONVOY_OK) {
        fuzz_expect(image.channels == channels, "another number of channels");
        fuzz_look(image.pixels,
                  (size_t)image.width * (size_t)image.height * (size_t)channels);
    }
    image_free(&image);
}

static void crop(struct image_reader *reader, const uint8_t *data, size_t size,
                 const uint8_t choice[N_CHOICES])
{
    struct image_info info;
    const int channels = choice[0] & 1 ? 3 : 1;
    struct image_crop crop = {.width = 1 + choice[1] % MAX_SIDE,
                              .height = 1 + choice[2] % MAX_SIDE,
                              .beside = choice[0] & 2,
                              .flip = choice[0] & 4,
                              .exact = choice[0] & 8};
    const struct image_planes planes = {.channels = channels,
                                        .table = (const float(*)[256])table,
                                        .values = values,
                                        .channel = MAX_SIDE * MAX_SIDE,
                                        .row = MAX_SIDE,
                                        .pixel = 1};
    if (image_reader_open(reader, data, size, &info) != CONVOY_OK)
        return;
    crop.box.x = info.width * (choice[3] / 256.0);
    crop.box.y = info.height * (choice[4] / 256.0);
    crop.box.w = (info.width - crop.box.x) * (1 + choice[5]) / 256.0;
    crop.box.h = (info.height - crop.box.y) * (1 + choice[6]) / 256.0;
    if (image_reader_crop(reader, &crop, &planes) == CONVOY_OK)
        fuzz_look(values, sizeof values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct image_reader *reader;
    uint8_t choice[N_CHOICES] = {0};
    int width = 0, height = 0;
    if (!reader)
        fuzz_expect(image_reader_create(&reader) == CONVOY_OK, "no reader");
    if (image_probe(data, size, &width, &height) != CONVOY_OK ||
        width > MAX_PIXELS / height)
        return 0;
    if (size > N_CHOICES)
        memcpy(choice, data + size - N_CHOICES, N_CHOICES);
    decode(data, size, 1);
    decode(data, size, 3);
    crop(reader, data, size, choice);
    return 0;
}
