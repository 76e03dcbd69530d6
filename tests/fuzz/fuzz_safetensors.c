/* safetensors files: the header and every tensor's values. */
#include "fuzz/fuzz.h"

#include "safetensors/safetensors.h"

#include <stdlib.h>

static void read_tensor(const struct safetensors *file,
                        const struct safetensors_tensor *tensor)
{
    char shape[SAFETENSORS_SHAPE_SIZE];
    size_t n = 1;
    safetensors_shape_text(tensor, shape);
    fuzz_expect(safetensors_find(file, tensor->name) == tensor,
                "a tensor that its name does not find");
    for (int d = 0; d < tensor->n_dims; d++)
        n *= tensor->dims[d];
    if (!safetensors_is_float(tensor->type))
        return;
    float *values = malloc(n ? n * sizeof *values : 1);
    fuzz_expect(values, "a claim of more values than there is memory for");
    if (safetensors_read_f32(file, tensor, values) == CONVOY_OK)
        fuzz_look(values, n * sizeof *values);
    free(values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct safetensors *file = NULL;
    size_t n = 0;
    if (safetensors_open(fuzz_file("input", data, size), &file) == CONVOY_OK) {
        const struct safetensors_tensor *tensors = safetensors_tensors(file, &n);
        for (size_t i = 0; i < n; i++)
            read_tensor(file, &tensors[i]);
    }
    safetensors_close(file);
    return 0;
}
