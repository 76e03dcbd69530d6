/* A small checkpoint, as the tests of checkpoints and weights need one. */
#ifndef CHECKPOINT_SUPPORT_H
#define CHECKPOINT_SUPPORT_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/scratch.h"
#include "checkpoint/checkpoint.h"

#include <string.h>

enum { SAMPLE_WEIGHT = 2 * 3 * 5 * 5, SAMPLE_BIAS = 2, SAMPLE_MEAN = 2 };

/* Two parameters, a buffer, and the momentum of both parameters. */
struct sample {
    float weight[SAMPLE_WEIGHT], bias[SAMPLE_BIAS], mean[SAMPLE_MEAN];
    float weight_momentum[SAMPLE_WEIGHT], bias_momentum[SAMPLE_BIAS];
    struct tensor_view params[2], buffers[1], momentum[2];
    struct checkpoint_slot slots[1];
    struct checkpoint_contents contents;
};

static const char *const sample_classes[] = {"cat", "dog", "œuf"};

static inline void sample_facts(struct checkpoint_facts *facts)
{
    *facts = (struct checkpoint_facts){
        .step = 120,
        .steps_per_epoch = 40,
        .recipe = "model:\n  name: \"lenet\"\n",
        .model = "lenet",
        .classes = 3,
        .input_shape = {1, 28, 30},
        .class_names = sample_classes,
        .n_class_names = 3,
        .train_pack = "00112233445566778899aabbccddeeff",
        .val_pack = "",
        .microbatch = 8,
        .n_microbatches = 4,
        .threads = 2,
        .isa = "avx2",
        .convoy_version = "0.1.0",
        .onednn_version = "2.6.3",
        .mpi_version = "Open MPI 4.1",
        .hdf5_version = "1.10.8",
        .onednn_isa = "avx2, f32 computed as mode 1",
        .changes = "step 80: schedule.epochs: 3 -> 4\nstep 90: seed: 1 -> 2\n",
    };
}

/* The views point into sample: it must stay where it is. */
static inline void sample_init(struct sample *s)
{
    for (int i = 0; i < SAMPLE_WEIGHT; i++) {
        s->weight[i] = (float)i / 7;
        s->weight_momentum[i] = -(float)i / 3;
    }
    for (int i = 0; i < SAMPLE_BIAS; i++) {
        s->bias[i] = 100 + (float)i;
        s->bias_momentum[i] = 200 + (float)i;
        s->mean[i] = 300 + (float)i;
    }
    s->params[0] = (struct tensor_view){"conv1.weight", 4, {2, 3, 5, 5}, s->weight};
    s->params[1] = (struct tensor_view){"conv1.bias", 1, {2}, s->bias};
    s->buffers[0] = (struct tensor_view){"bn1.running_mean", 1, {2}, s->mean};
    s->momentum[0] =
        (struct tensor_view){"conv1.weight", 4, {2, 3, 5, 5}, s->weight_momentum};
    s->momentum[1] = (struct tensor_view){"conv1.bias", 1, {2}, s->bias_momentum};
    s->slots[0] = (struct checkpoint_slot){"momentum", s->momentum, 2};
    s->contents = (struct checkpoint_contents){.params = s->params,
                                               .n_params = 2,
                                               .buffers = s->buffers,
                                               .n_buffers = 1,
                                               .slots = s->slots,
                                               .n_slots = 1};
    sample_facts(&s->contents.facts);
}

static inline void sample_write(const struct sample *s, const char *path)
{
    if (checkpoint_write(path, &s->contents) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
}

/* A new checkpoint with usual contents at path. */
static inline void sample_make(const char *path)
{
    struct sample s;
    sample_init(&s);
    sample_write(&s, path);
}

static inline struct checkpoint *open_whole(const char *path)
{
    struct checkpoint *checkpoint = NULL;
    if (checkpoint_open(path, &checkpoint) != CONVOY_OK)
        fail_msg("%s", convoy_status_text());
    return checkpoint;
}

static inline void assert_fails(convoy_status found, convoy_status expected,
                                const char *text)
{
    assert_int_equal(found, expected);
    if (!strstr(convoy_status_text(), text))
        fail_msg("'%s' is not in '%s'", text, convoy_status_text());
}

/* Where bytes begin in the file at path; they must stand there exactly once. */
static inline size_t find_bytes(const char *path, const void *bytes, size_t n)
{
    size_t size = 0, at = 0, n_found = 0;
    unsigned char *file = scratch_read(path, &size);
    assert_non_null(file);
    for (size_t i = 0; i + n <= size; i++) {
        if (memcmp(file + i, bytes, n) == 0) {
            at = i;
            n_found++;
        }
    }
    free(file);
    assert_int_equal(n_found, 1);
    return at;
}

static inline void flip_byte(const char *path, size_t at)
{
    size_t size = 0;
    unsigned char *file = scratch_read(path, &size);
    assert_non_null(file);
    assert_true(at < size);
    file[at] ^= 1;
    assert_int_equal(scratch_write(path, file, size), 0);
    free(file);
}

static inline void cut_file(const char *path, size_t left)
{
    size_t size = 0;
    unsigned char *file = scratch_read(path, &size);
    assert_non_null(file);
    assert_true(left < size);
    assert_int_equal(scratch_write(path, file, left), 0);
    free(file);
}

#endif
