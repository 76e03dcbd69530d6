/* From a checkpoint to safetensors: parameters and buffers under their names, and the
 * counters that PyTorch's batch norm wants. Larger types come first and then the names
 * in byte order, as the format's own library writes them, so that every value is
 * aligned. One tensor is in memory at a time.
 */
#include <convoy/version.h>
#include <convoy/weights.h>

#include "base/memory.h"
#include "checkpoint/checkpoint_hash.h"
#include "weights/weights_exchange.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUFFERS "buffers/"

/* A tensor to write. */
struct entry {
    struct safetensors_tensor tensor;
    size_t index; /* in the checkpoint */
    char *owned;  /* the name, where it is made here */
};

struct export
{
    struct checkpoint *checkpoint;
    const char *prefix;    /* of the weights: CHECKPOINT_OWN or CHECKPOINT_EMA */
    struct entry *entries; /* [n] */
    size_t n;
    struct safetensors_writer *writer;
};

static void close_export(struct export *ex)
{
    for (size_t i = 0; i < ex->n; i++)
        mem_free(ex->entries[i].owned);
    mem_free(ex->entries);
    checkpoint_close(ex->checkpoint);
    safetensors_writer_destroy(ex->writer);
}

static void add_weight(struct export *ex, const struct tensor_view *view,
                       const char *name, size_t index)
{
    struct entry *entry = &ex->entries[ex->n++];
    *entry = (struct entry){
        .tensor = {.name = name, .type = SAFETENSORS_F32, .n_dims = view->n_dims},
        .index = index};
    for (int d = 0; d < view->n_dims; d++)
        entry->tensor.dims[d] = (uint64_t)view->dims[d];
}

/* Beside a running mean stands the counter of its batch norm. */
static convoy_status add_counter(struct export *ex, const char *name)
{
    const size_t length = strlen(name), tail = strlen(WEIGHTS_MEAN);
    if (length < tail || strcmp(name + length - tail, WEIGHTS_MEAN) != 0)
        return CONVOY_OK;
    struct entry *entry = &ex->entries[ex->n];
    char *owned = NULL;
    const size_t room = length - tail + sizeof WEIGHTS_COUNTER;
    convoy_status status = mem_alloc(room, (void **)&owned);
    if (status != CONVOY_OK)
        return status;
    snprintf(owned, room, "%.*s" WEIGHTS_COUNTER, (int)(length - tail), name);
    *entry = (struct entry){.tensor = {.name = owned, .type = SAFETENSORS_I64},
                            .owned = owned};
    ex->n++;
    return CONVOY_OK;
}

static int by_type_and_name(const void *a, const void *b)
{
    const struct safetensors_tensor *x = &((const struct entry *)a)->tensor,
                                    *y = &((const struct entry *)b)->tensor;
    if (x->type != y->type)
        return x->type == SAFETENSORS_I64 ? -1 : 1;
    return strcmp(x->name, y->name);
}

static convoy_status list_entries(struct export *ex)
{
    convoy_status status = CONVOY_OK;
    size_t n = 0;
    const size_t before = strlen(ex->prefix);
    const struct tensor_view *views = checkpoint_tensors(ex->checkpoint, &n);
    TRY(mem_alloc_array(n, 2 * sizeof *ex->entries, (void **)&ex->entries));
    for (size_t i = 0; i < n; i++) {
        const char *path = views[i].name + before;
        const char *name =
            strncmp(views[i].name, ex->prefix, before) == 0 ? weights_name(path) : NULL;
        if (!name)
            continue;
        add_weight(ex, &views[i], name, i);
        if (strncmp(path, BUFFERS, strlen(BUFFERS)) == 0)
            TRY(add_counter(ex, name));
    }
    qsort(ex->entries, ex->n, sizeof *ex->entries, by_type_and_name);
cleanup:
    return status;
}

static convoy_status begin(struct export *ex, const char *output)
{
    convoy_status status = CONVOY_OK;
    const struct checkpoint_facts *facts = checkpoint_describe(ex->checkpoint);
    struct safetensors_tensor *tensors = NULL;
    char classes[16], step[32];
    snprintf(classes, sizeof classes, "%d", facts->classes);
    snprintf(step, sizeof step, "%" PRIu64, facts->step);
    const struct safetensors_note notes[] = {{"format", "pt"},
                                             {"model", facts->model},
                                             {"classes", classes},
                                             {"step", step},
                                             {"convoy_version", CONVOY_VERSION}};
    TRY(mem_alloc_array(ex->n, sizeof *tensors, (void **)&tensors));
    for (size_t i = 0; i < ex->n; i++)
        tensors[i] = ex->entries[i].tensor;
    TRY(safetensors_create(output, tensors, ex->n, notes, sizeof notes / sizeof *notes,
                           &ex->writer));
cleanup:
    mem_free(tensors);
    return status;
}

static convoy_status write_values(struct export *ex)
{
    convoy_status status = CONVOY_OK;
    const int64_t step = (int64_t)checkpoint_describe(ex->checkpoint)->step;
    size_t n = 0, capacity = 0;
    const struct tensor_view *views = checkpoint_tensors(ex->checkpoint, &n);
    void *values = NULL;
    for (size_t i = 0; i < ex->n; i++) {
        const struct entry *entry = &ex->entries[i];
        if (entry->owned) {
            TRY(safetensors_write(ex->writer, &step, sizeof step));
            continue;
        }
        const size_t bytes = checkpoint_n_values(&views[entry->index]) * sizeof(float);
        TRY(mem_reserve(&values, &capacity, bytes));
        TRY(checkpoint_read_values(ex->checkpoint, entry->index, values));
        TRY(safetensors_write(ex->writer, values, bytes));
    }
cleanup:
    mem_free(values);
    return status;
}

convoy_status convoy_weights_export(const char *path, bool ema, const char *output)
{
    convoy_status status = CONVOY_OK;
    struct export ex = {.prefix = ema ? CHECKPOINT_EMA : CHECKPOINT_OWN};
    TRY(weights_check_output(path, output));
    TRY(checkpoint_open(path, &ex.checkpoint));
    if (ema)
        TRY(checkpoint_need_ema(ex.checkpoint));
    TRY(list_entries(&ex));
    TRY(begin(&ex, output));
    TRY(write_values(&ex));
    TRY(safetensors_commit(ex.writer));
cleanup:
    close_export(&ex);
    return status;
}
