/* ImageNet's development kit. The first byte says how the rest is taken: as meta.mat
 * with the usual ground truth, as the ground truth beside the usual meta.mat (that of
 * the seeds), or as the kit's archive. Labels must be those of classes. */
#include "fuzz/fuzz.h"

#include "packing/devkit.h"
#include "support/scratch.h"

#include <stdlib.h>
#include <string.h>

static const char truth[] = "1\n2\n3\n2\n1\n";
static const char truth_name[] = "ILSVRC2012_validation_ground_truth.txt";

static unsigned char *usual_meta(size_t *size)
{
    unsigned char *bytes = scratch_read(fuzz_seed("matlab/packed"), size);
    fuzz_expect(bytes, "a seed that is missing");
    return bytes;
}

/* The path of a kit made of the input. */
static const char *make_kit(uint8_t way, const uint8_t *data, size_t size)
{
    static unsigned char *meta;
    static size_t n_meta;
    if (!meta)
        meta = usual_meta(&n_meta);
    if (way % 3 == 2)
        return fuzz_file("kit.tar", data, size);
    if (way % 3 == 1) {
        fuzz_file("meta.mat", meta, n_meta);
        fuzz_file(truth_name, data, size);
    } else {
        fuzz_file("meta.mat", data, size);
        fuzz_file(truth_name, (const uint8_t *)truth, sizeof truth - 1);
    }
    return fuzz_folder();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct devkit devkit = {.n_images = 0};
    if (size == 0)
        return 0;
    if (devkit_read(make_kit(data[0], data + 1, size - 1), &devkit) == CONVOY_OK)
        for (uint64_t i = 0; i < devkit.n_images; i++)
            fuzz_expect(devkit.labels[i] >= 0 &&
                            (size_t)devkit.labels[i] < devkit.wnids.n,
                        "a label without a class");
    devkit_free(&devkit);
    return 0;
}
