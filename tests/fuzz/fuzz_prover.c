/* Image files on their way into a pack: whether each can be trained on, and large ones
 * made smaller. What was taken as it is must decode. */
#include "fuzz/fuzz.h"

#include "base/memory.h"
#include "image/image.h"
#include "packing/prover.h"

#include <string.h>

enum { MAX_PIXELS = 1 << 18 };

static struct prover *provers[2];
static const convoy_pack_options options[2] = {{.max_side = 0},
                                               {.max_side = 40, .quality = 75}};

static void prove(const uint8_t *data, size_t size, int way)
{
    void *buffer = NULL;
    size_t capacity = 0;
    int width = 0, height = 0;
    struct new_record record = {0};
    fuzz_expect(mem_reserve(&buffer, &capacity, size) == CONVOY_OK, "no memory");
    memcpy(buffer, data, size);
    if (prover_take(provers[way], &buffer, &capacity, size, &record) == CONVOY_OK) {
        fuzz_look(record.bytes, record.n_bytes);
        fuzz_expect(image_probe(record.bytes, record.n_bytes, &width, &height) ==
                            CONVOY_OK &&
                        width == record.width && height == record.height,
                    "a proven record of another size");
    }
    mem_free(buffer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int width = 0, height = 0;
    for (int way = 0; way < 2; way++)
        if (!provers[way])
            fuzz_expect(prover_create(&options[way], &provers[way]) == CONVOY_OK,
                        "no prover");
    if (image_probe(data, size, &width, &height) == CONVOY_OK &&
        width > MAX_PIXELS / height)
        return 0;
    prove(data, size, 0);
    prove(data, size, 1);
    return 0;
}
