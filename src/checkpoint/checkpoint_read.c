/* Taking values out of a checkpoint.
 *
 * Where ranks share it (checkpoint_share.h), all look for what they want first, agree
 * that it is there, and only then do values move: from the reader's memory, to all. */
#include "base/memory.h"
#include "checkpoint/checkpoint_hash.h"
#include "checkpoint/checkpoint_internal.h"

#include <math.h>
#include <string.h>

convoy_status checkpoint_read_stored(const struct checkpoint *checkpoint, size_t index,
                                     float *values)
{
    const struct tensor_view *tensor = &checkpoint->tensors[index];
    uint64_t dims[CHECKPOINT_MAX_DIMS] = {0};
    for (int i = 0; i < tensor->n_dims; i++)
        dims[i] = (uint64_t)tensor->dims[i];
    return h5_read(checkpoint->file, tensor->name, H5_TYPE_F32, tensor->n_dims, dims,
                   values);
}

convoy_status checkpoint_read_values(const struct checkpoint *checkpoint, size_t index,
                                     float *values)
{
    const struct checkpoint_channel *channel = &checkpoint->channel;
    const struct tensor_view *tensor = &checkpoint->tensors[index];
    const size_t n_bytes = checkpoint_n_values(tensor) * sizeof *values;
    if (tensor->data)
        memcpy(values, tensor->data, n_bytes);
    else if (checkpoint->file && n_bytes > 0)
        return checkpoint_read_stored(checkpoint, index, values);
    return channel->broadcast ? channel->broadcast(channel->context, values, n_bytes)
                              : CONVOY_OK;
}

/* The name of the file's tensor below group, or NULL if it is not in group. */
static const char *name_in_group(const struct tensor_view *tensor, const char *group)
{
    size_t n = strlen(group);
    if (strncmp(tensor->name, group, n) != 0 || tensor->name[n] != '/')
        return NULL;
    return tensor->name + n + 1;
}

static bool same_shape(const struct tensor_view *a, const struct tensor_view *b)
{
    return a->n_dims == b->n_dims &&
           memcmp(a->dims, b->dims, (size_t)a->n_dims * sizeof a->dims[0]) == 0;
}

/* Whether tensors hold one of this name. */
static bool is_wanted(const struct tensor_view *tensors, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return true;
    return false;
}

/* The tensor's number; n_tensors: there is none. */
static size_t find_tensor(const struct checkpoint *checkpoint, const char *group,
                          const char *name)
{
    size_t i = 0;
    for (; i < checkpoint->n_tensors; i++) {
        const char *found = name_in_group(&checkpoint->tensors[i], group);
        if (found && strcmp(found, name) == 0)
            break;
    }
    return i;
}

/* Fails where the checkpoint does not have the tensor in this shape. */
static convoy_status check_wanted(const struct checkpoint *checkpoint,
                                  const char *group, const struct tensor_view *wanted)
{
    const size_t index = find_tensor(checkpoint, group, wanted->name);
    if (index == checkpoint->n_tensors)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: has no tensor %s/%s, which the model needs",
                    checkpoint_path(checkpoint), group, wanted->name);
    const struct tensor_view *found = &checkpoint->tensors[index];
    if (!same_shape(found, wanted)) {
        char is[CHECKPOINT_SHAPE_SIZE], expected[CHECKPOINT_SHAPE_SIZE];
        checkpoint_shape_text(found, is);
        checkpoint_shape_text(wanted, expected);
        return FAIL(CONVOY_ERROR_FORMAT, "%s: %s has the shape %s, expected %s",
                    checkpoint_path(checkpoint), found->name, is, expected);
    }
    return CONVOY_OK;
}

static convoy_status check_group(const struct checkpoint *checkpoint, const char *group,
                                 const struct tensor_view *tensors, size_t n)
{
    convoy_status status = CONVOY_OK;
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const char *name = name_in_group(&checkpoint->tensors[i], group);
        if (name && !is_wanted(tensors, n, name))
            TRY(FAIL(CONVOY_ERROR_FORMAT,
                     "%s: holds %s/%s, which the model does not have",
                     checkpoint_path(checkpoint), group, name));
    }
    for (size_t i = 0; i < n; i++)
        TRY(check_wanted(checkpoint, group, &tensors[i]));
cleanup:
    return status;
}

/* Values of those that are there; zeros for the others. */
static convoy_status read_group(const struct checkpoint *checkpoint, const char *group,
                                const struct tensor_view *tensors, size_t n)
{
    convoy_status status = CONVOY_OK;
    for (size_t i = 0; i < n; i++) {
        const size_t index = find_tensor(checkpoint, group, tensors[i].name);
        if (index < checkpoint->n_tensors)
            TRY(checkpoint_read_values(checkpoint, index, tensors[i].data));
        else
            memset(tensors[i].data, 0,
                   checkpoint_n_values(&tensors[i]) * sizeof *tensors[i].data);
    }
cleanup:
    return status;
}

convoy_status checkpoint_read(const struct checkpoint *checkpoint, const char *group,
                              const struct tensor_view *tensors, size_t n)
{
    convoy_status status = CONVOY_OK;
    TRY(checkpoint_agree(checkpoint, check_group(checkpoint, group, tensors, n)));
    TRY(read_group(checkpoint, group, tensors, n));
cleanup:
    return status;
}

static convoy_status check_known(const struct checkpoint *checkpoint, const char *group,
                                 const struct tensor_view *tensors, size_t n)
{
    convoy_status status = CONVOY_OK;
    bool any = false;
    for (size_t i = 0; i < checkpoint->n_tensors; i++)
        any = any || name_in_group(&checkpoint->tensors[i], group);
    for (size_t i = 0; i < n; i++)
        if (!any ||
            find_tensor(checkpoint, group, tensors[i].name) < checkpoint->n_tensors)
            TRY(check_wanted(checkpoint, group, &tensors[i]));
cleanup:
    return status;
}

convoy_status checkpoint_read_known(const struct checkpoint *checkpoint,
                                    const char *group,
                                    const struct tensor_view *tensors, size_t n)
{
    convoy_status status = CONVOY_OK;
    TRY(checkpoint_agree(checkpoint, check_known(checkpoint, group, tensors, n)));
    TRY(read_group(checkpoint, group, tensors, n));
cleanup:
    return status;
}

bool checkpoint_has_ema(const struct checkpoint *checkpoint)
{
    for (size_t i = 0; i < checkpoint->n_tensors; i++)
        if (name_in_group(&checkpoint->tensors[i], CHECKPOINT_EMA "params"))
            return true;
    return false;
}

convoy_status checkpoint_need_ema(const struct checkpoint *checkpoint)
{
    if (checkpoint_has_ema(checkpoint))
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: holds no averaged weights: ema.decay was 0 in its training; leave "
                "--ema out",
                checkpoint_path(checkpoint));
}

static bool is_weight(const struct tensor_view *tensor)
{
    static const char *const groups[] = {"params", "buffers", CHECKPOINT_EMA "params",
                                         CHECKPOINT_EMA "buffers"};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (name_in_group(tensor, groups[i]))
            return true;
    return false;
}

size_t checkpoint_not_finite(const struct tensor_view *tensor)
{
    const size_t n = tensor->data ? checkpoint_n_values(tensor) : 0;
    size_t n_found = 0;
    for (size_t k = 0; k < n; k++)
        n_found += isfinite(tensor->data[k]) ? 0 : 1;
    return n_found;
}

convoy_status checkpoint_check_finite(const struct checkpoint *checkpoint)
{
    const char *first = NULL;
    size_t n = 0;
    for (size_t i = 0; i < checkpoint->n_tensors; i++) {
        const struct tensor_view *tensor = &checkpoint->tensors[i];
        const size_t found = is_weight(tensor) ? checkpoint_not_finite(tensor) : 0;
        if (n == 0 && found > 0)
            first = tensor->name;
        n += found;
    }
    if (n == 0)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: %zu of its weights %s not finite, the first in %s: it is of a "
                "training that diverged",
                checkpoint_path(checkpoint), n, n > 1 ? "are" : "is", first);
}

void checkpoint_forget_values(struct checkpoint *checkpoint)
{
    mem_free(checkpoint->values);
    checkpoint->values = NULL;
    for (size_t i = 0; i < checkpoint->n_tensors; i++)
        checkpoint->tensors[i].data = NULL;
}
