/* Names and shapes decide whether a file of weights belongs to a net: every difference
 * is collected before one is reported, since the whole list tells what a single line
 * does not (another depth, another number of classes, a prefix before all names).
 */
#include "weights/weights_exchange.h"

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/checkpoint_hash.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_LISTED = 20, MORE_SIZE = 32 };

/* Differences between file and model. */
struct faults {
    int n_shape, n_missing, n_extra;
    struct weights_misfits list;
};

const char *weights_name(const char *path)
{
    static const char params[] = "params/", buffers[] = "buffers/";
    if (strncmp(path, params, sizeof params - 1) == 0)
        return path + sizeof params - 1;
    if (strncmp(path, buffers, sizeof buffers - 1) == 0)
        return path + sizeof buffers - 1;
    return NULL;
}

void weights_misfits_add(struct weights_misfits *misfits, const char *format, ...)
{
    char line[512];
    va_list arguments;
    misfits->n++;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    const size_t room = sizeof misfits->text - misfits->used;
    /* Once one was left out, so are all that follow. */
    if (misfits->n_listed < misfits->n - 1 || misfits->n_listed == MAX_LISTED ||
        strlen(line) + MORE_SIZE > room)
        return;
    misfits->n_listed++;
    misfits->used +=
        (size_t)snprintf(misfits->text + misfits->used, room, "\n  %s", line);
}

void weights_misfits_end(struct weights_misfits *misfits)
{
    if (misfits->n > misfits->n_listed)
        snprintf(misfits->text + misfits->used, sizeof misfits->text - misfits->used,
                 "\n  and %d more", misfits->n - misfits->n_listed);
}

bool weights_skips(const struct weights_skip *skip, const char *name)
{
    for (int i = 0; i < skip->n; i++)
        if (strncmp(name, skip->prefixes[i], strlen(skip->prefixes[i])) == 0)
            return true;
    return false;
}

static bool same_shape(const struct safetensors_tensor *found,
                       const struct tensor_view *view)
{
    if (found->n_dims != view->n_dims)
        return false;
    for (int d = 0; d < view->n_dims; d++)
        if (found->dims[d] != (uint64_t)view->dims[d])
            return false;
    return true;
}

static void compare(const struct safetensors_tensor *found,
                    const struct tensor_view *view, struct faults *faults)
{
    char is[SAFETENSORS_SHAPE_SIZE], expected[CHECKPOINT_SHAPE_SIZE];
    checkpoint_shape_text(view, expected);
    if (!found) {
        faults->n_missing++;
        weights_misfits_add(&faults->list,
                            "%s: not in the file, the model has it as %s", view->name,
                            expected);
        return;
    }
    safetensors_shape_text(found, is);
    if (!same_shape(found, view)) {
        faults->n_shape++;
        weights_misfits_add(&faults->list, "%s: %s in the file, %s in the model",
                            view->name, is, expected);
    } else if (!safetensors_is_float(found->type)) {
        faults->n_shape++;
        weights_misfits_add(
            &faults->list, "%s: of type %s in the file, expected F32, F64, F16 or BF16",
            view->name, found->type_name);
    }
}

static int by_name(const void *a, const void *b)
{
    const struct tensor_view *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* The views by name, to be looked up in; free with mem_free. */
static convoy_status sort_views(const struct net_tensors *set,
                                const struct tensor_view ***sorted)
{
    const size_t n = set->n_params + set->n_buffers;
    convoy_status status = mem_alloc_array(n, sizeof **sorted, (void **)sorted);
    if (status != CONVOY_OK)
        return status;
    for (size_t i = 0; i < n; i++)
        (*sorted)[i] = &set->views[i];
    qsort(*sorted, n, sizeof **sorted, by_name);
    return CONVOY_OK;
}

static bool has_view(const struct tensor_view **sorted, size_t n, const char *name)
{
    const struct tensor_view key = {.name = name}, *at = &key;
    return n > 0 && bsearch(&at, sorted, n, sizeof *sorted, by_name);
}

/* Whether name is that of the counter of a batch norm that the model has. */
static bool is_counter(const struct tensor_view **sorted, size_t n, const char *name)
{
    char mean[512];
    const size_t length = strlen(name), tail = strlen(WEIGHTS_COUNTER);
    if (length < tail || strcmp(name + length - tail, WEIGHTS_COUNTER) != 0 ||
        length - tail + sizeof WEIGHTS_MEAN > sizeof mean)
        return false;
    snprintf(mean, sizeof mean, "%.*s" WEIGHTS_MEAN, (int)(length - tail), name);
    return has_view(sorted, n, mean);
}

/* Tensors of the file that the model does not have. */
static void find_extra(const struct safetensors *file,
                       const struct tensor_view **sorted, size_t n,
                       const struct weights_skip *skip, struct faults *faults)
{
    size_t n_tensors = 0;
    const struct safetensors_tensor *tensors = safetensors_tensors(file, &n_tensors);
    for (size_t i = 0; i < n_tensors; i++) {
        const char *name = tensors[i].name;
        char shape[SAFETENSORS_SHAPE_SIZE];
        if (weights_skips(skip, name) || has_view(sorted, n, name) ||
            is_counter(sorted, n, name))
            continue;
        safetensors_shape_text(&tensors[i], shape);
        faults->n_extra++;
        weights_misfits_add(&faults->list, "%.250s: %s in the file, not in the model",
                            name, shape);
    }
}

/* A prefix that fits nothing was meant to be another one. */
static convoy_status check_skip(const struct safetensors *file,
                                const struct net_tensors *set,
                                const struct weights_skip *skip)
{
    size_t n_tensors = 0;
    const struct safetensors_tensor *tensors = safetensors_tensors(file, &n_tensors);
    for (int p = 0; p < skip->n; p++) {
        const struct weights_skip one = {&skip->prefixes[p], 1};
        bool fits = false;
        for (size_t i = 0; !fits && i < n_tensors; i++)
            fits = weights_skips(&one, tensors[i].name);
        for (size_t i = 0; !fits && i < set->n_params + set->n_buffers; i++)
            fits = weights_skips(&one, set->views[i].name);
        if (!fits)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "the prefix '%s' to skip is the start of no tensor's name, in "
                        "the file or in the model",
                        skip->prefixes[p]);
    }
    return CONVOY_OK;
}

static convoy_status report(const char *path, const char *model, struct faults *faults)
{
    weights_misfits_end(&faults->list);
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: does not hold the weights of %s: %d tensors missing, %d too many, "
                "%d of another shape or type; to import without some, skip them by the "
                "start of their names%s",
                path, model, faults->n_missing, faults->n_extra, faults->n_shape,
                faults->list.text);
}

convoy_status weights_match(const struct safetensors *file, const char *path,
                            const struct net_tensors *set,
                            const struct weights_skip *skip, const char *model)
{
    convoy_status status = CONVOY_OK;
    const size_t n = set->n_params + set->n_buffers;
    const struct tensor_view **sorted = NULL;
    struct faults faults = {0};
    TRY(check_skip(file, set, skip));
    TRY(sort_views(set, &sorted));
    for (size_t i = 0; i < n; i++)
        if (!weights_skips(skip, set->views[i].name))
            compare(safetensors_find(file, set->views[i].name), &set->views[i],
                    &faults);
    find_extra(file, sorted, n, skip, &faults);
    if (faults.list.n > 0)
        TRY(report(path, model, &faults));
cleanup:
    mem_free(sorted);
    return status;
}

convoy_status weights_fill(const struct safetensors *file, const convoy_net *net,
                           const struct weights_skip *skip, uint64_t seed,
                           struct net_tensors *set)
{
    convoy_status status = CONVOY_OK;
    TRY(net_tensors_allocate(set));
    for (size_t i = 0; i < set->n_params + set->n_buffers; i++) {
        const struct tensor_view *view = &set->views[i];
        if (weights_skips(skip, view->name))
            net_tensors_initial(net, set, i, seed);
        else
            TRY(safetensors_read_f32(file, safetensors_find(file, view->name),
                                     view->data));
    }
cleanup:
    return status;
}

convoy_status weights_check_output(const char *input, const char *output)
{
    struct stat from, to;
    if (file_is_folder(output))
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: is a folder; give a file's name",
                    output);
    if (stat(output, &to) != 0)
        return CONVOY_OK;
    /* The new file is renamed to its name: a device or pipe would be gone. */
    if (!S_ISREG(to.st_mode))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: is there and no regular file; give another name to write",
                    output);
    if (stat(input, &from) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: is the file to read; give another name to write", output);
    return CONVOY_OK;
}
