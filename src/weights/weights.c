/* Looking into checkpoints from outside of training: hash, comparison, description.
 *
 * The weights' hash covers, for every tensor below /buffers and /params in byte order
 * of their paths: path, shape, values.
 */
#include <convoy/weights.h>

#include "base/hash.h"
#include "base/memory.h"
#include "h5/h5.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_facts.h"
#include "checkpoint/checkpoint_hash.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_param(const char *path)
{
    return strncmp(path, "params/", 7) == 0;
}

static bool is_weight(const char *path)
{
    return is_param(path) || strncmp(path, "buffers/", 8) == 0;
}

/* An open file, and room for one of its tensors. */
struct side {
    struct checkpoint *checkpoint;
    const struct tensor_view *tensors;
    const char *prefix; /* of the weights that are looked at */
    size_t n, next;
    void *values;
    size_t capacity;
};

static convoy_status open_side(const char *path, bool ema, struct side *side)
{
    convoy_status status = CONVOY_OK;
    side->prefix = ema ? CHECKPOINT_EMA : CHECKPOINT_OWN;
    TRY(checkpoint_open(path, &side->checkpoint));
    if (ema)
        TRY(checkpoint_need_ema(side->checkpoint));
    side->tensors = checkpoint_tensors(side->checkpoint, &side->n);
cleanup:
    return status;
}

/* The tensor's name without the prefix, "params/…" or "buffers/…"; NULL: it is no
 * weight that is looked at. */
static const char *weight_name(const struct side *side, const struct tensor_view *view)
{
    const size_t n = strlen(side->prefix);
    const bool is_one =
        strncmp(view->name, side->prefix, n) == 0 && is_weight(view->name + n);
    return is_one ? view->name + n : NULL;
}

static void close_side(struct side *side)
{
    checkpoint_close(side->checkpoint);
    mem_free(side->values);
}

/* The next tensor that is a weight; NULL after the last. */
static const struct tensor_view *next_weight(struct side *side)
{
    while (side->next < side->n && !weight_name(side, &side->tensors[side->next]))
        side->next++;
    return side->next < side->n ? &side->tensors[side->next] : NULL;
}

/* Reads the values of the tensor that next_weight gave. */
static convoy_status read_next(struct side *side)
{
    convoy_status status = CONVOY_OK;
    size_t n = checkpoint_n_values(&side->tensors[side->next]);
    TRY(mem_reserve(&side->values, &side->capacity, n * sizeof(float)));
    TRY(checkpoint_read_values(side->checkpoint, side->next, side->values));
cleanup:
    return status;
}

bool convoy_weights_recognise(const char *path)
{
    struct h5_file *file = NULL;
    char *kind = NULL;
    bool is_ours = h5_open(path, &file) == CONVOY_OK &&
                   h5_read_text(file, "/", "convoy_file", &kind) == CONVOY_OK &&
                   strcmp(kind, "checkpoint") == 0;
    mem_free(kind);
    h5_close(file);
    return is_ours;
}

convoy_status convoy_weights_hash(const char *path, bool ema, char hex[33])
{
    convoy_status status = CONVOY_OK;
    struct side side = {0};
    struct hash *hash = NULL;
    TRY(hash_create(&hash));
    TRY(open_side(path, ema, &side));
    const struct tensor_view *tensor;
    for (; (tensor = next_weight(&side)); side.next++) {
        TRY(read_next(&side));
        checkpoint_hash_tensor(hash, weight_name(&side, tensor), tensor, side.values);
    }
    hash_hex(hash, hex);
cleanup:
    close_side(&side);
    hash_destroy(hash);
    return status;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void compare_values(const float *a, const float *b, size_t n,
                           convoy_weights_difference *found)
{
    for (size_t i = 0; i < n; i++) {
        if (bits_of(a[i]) == bits_of(b[i]))
            continue;
        double x = (double)a[i], y = (double)b[i];
        double distance = fabs(x - y), relative = 0;
        if (isnan(distance)) /* two NaNs of other bits are no distance apart */
            distance = isnan(x) && isnan(y) ? 0 : (double)INFINITY;
        if (isinf(distance))
            relative = distance;
        else if (distance > 0)
            relative = distance / fmax(fabs(x), fabs(y));
        found->max_abs = fmax(found->max_abs, distance);
        found->max_rel = fmax(found->max_rel, relative);
        found->equal = false;
    }
}

static bool same_shape(const struct tensor_view *a, const struct tensor_view *b)
{
    char x[CHECKPOINT_SHAPE_SIZE], y[CHECKPOINT_SHAPE_SIZE];
    checkpoint_shape_text(a, x);
    checkpoint_shape_text(b, y);
    return strcmp(x, y) == 0;
}

/* Compares the next tensor of both, or of the side whose name comes first, and moves
 * on. why: room for the text that found->why points to. */
static convoy_status compare_next(struct side *a, struct side *b,
                                  convoy_weights_difference *found, char *why,
                                  size_t size)
{
    convoy_status status = CONVOY_OK;
    const struct tensor_view *x = next_weight(a), *y = next_weight(b);
    int order = !x ? 1 : !y ? -1 : strcmp(x->name, y->name);
    *found = (convoy_weights_difference){.name = order <= 0 ? weight_name(a, x)
                                                            : weight_name(b, y)};
    found->why = order == 0 ? NULL : why;
    if (order < 0) {
        snprintf(why, size, "only in %s", checkpoint_path(a->checkpoint));
    } else if (order > 0) {
        snprintf(why, size, "only in %s", checkpoint_path(b->checkpoint));
    } else if (!same_shape(x, y)) {
        char is[CHECKPOINT_SHAPE_SIZE], other[CHECKPOINT_SHAPE_SIZE];
        checkpoint_shape_text(x, is);
        checkpoint_shape_text(y, other);
        snprintf(why, size, "shapes %s and %s", is, other);
        found->why = why;
    } else {
        TRY(read_next(a));
        TRY(read_next(b));
        found->equal = true;
        compare_values(a->values, b->values, checkpoint_n_values(x), found);
    }
    a->next += order <= 0;
    b->next += order >= 0;
cleanup:
    return status;
}

convoy_status convoy_weights_diff(const char *a, const char *b, bool ema,
                                  void (*visit)(void *context,
                                                const convoy_weights_difference *found),
                                  void *context, bool *equal)
{
    convoy_status status = CONVOY_OK;
    struct side x = {0}, y = {0};
    bool all_equal = true;
    TRY(open_side(a, ema, &x));
    TRY(open_side(b, ema, &y));
    while (next_weight(&x) || next_weight(&y)) {
        convoy_weights_difference found;
        char why[STATUS_TEXT_SIZE];
        TRY(compare_next(&x, &y, &found, why, sizeof why));
        all_equal = all_equal && found.equal;
        if (visit)
            visit(context, &found);
    }
    *equal = all_equal;
cleanup:
    close_side(&x);
    close_side(&y);
    return status;
}

convoy_status convoy_weights_describe(const char *path, FILE *stream)
{
    convoy_status status = CONVOY_OK;
    struct side side = {0};
    uint64_t n_params = 0;
    TRY(open_side(path, false, &side));
    fprintf(stream, "checkpoint: %s\ncontent_hash: %s\n", path,
            checkpoint_content_hash(side.checkpoint));
    checkpoint_facts_print(checkpoint_describe(side.checkpoint), stream);
    fprintf(stream, "tensors: %zu\n", side.n);
    for (size_t i = 0; i < side.n; i++) {
        char shape[CHECKPOINT_SHAPE_SIZE];
        checkpoint_shape_text(&side.tensors[i], shape);
        fprintf(stream, "  %s %s\n", side.tensors[i].name, shape);
        if (is_param(side.tensors[i].name))
            n_params += checkpoint_n_values(&side.tensors[i]);
    }
    fprintf(stream, "parameters: %" PRIu64 "\n", n_params);
    if (fflush(stream) != 0 || ferror(stream))
        TRY(FAIL(CONVOY_ERROR_IO, "cannot write the description of %s", path));
cleanup:
    close_side(&side);
    return status;
}
