/* Checkpoints: what "convoy info" and "weights diff" read of a weight file. */
#include "fuzz/fuzz.h"

#include "checkpoint/checkpoint.h"
#include "fuzz/h5_edit.h"

#include <convoy/weights.h>

#include <stdio.h>
#include <stdlib.h>

static void read_tensors(const struct checkpoint *checkpoint)
{
    size_t n = 0;
    const struct tensor_view *tensors = checkpoint_tensors(checkpoint, &n);
    for (size_t i = 0; i < n; i++) {
        char shape[CHECKPOINT_SHAPE_SIZE];
        size_t n_values = 1;
        checkpoint_shape_text(&tensors[i], shape);
        for (int d = 0; d < tensors[i].n_dims; d++)
            n_values *= (size_t)tensors[i].dims[d];
        float *values = malloc(n_values ? n_values * sizeof *values : 1);
        fuzz_expect(values, "a claim of more values than there is memory for");
        if (checkpoint_read_values(checkpoint, i, values) == CONVOY_OK)
            fuzz_look(values, n_values * sizeof *values);
        free(values);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const seeds[] = {"checkpoint/small.h5"};
    static FILE *nowhere;
    struct checkpoint *checkpoint = NULL;
    const char *path = h5_edit_make(seeds, 1, data, size);
    if (!nowhere)
        nowhere = fopen("/dev/null", "w");
    (void)convoy_weights_recognise(path);
    if (checkpoint_open(path, &checkpoint) == CONVOY_OK) {
        read_tensors(checkpoint);
        (void)convoy_weights_describe(path, nowhere);
    }
    checkpoint_close(checkpoint);
    return 0;
}
