/* Names and shapes decide whether a file of weights belongs to a net: every difference
 * is collected before one is reported, since the whole list tells what a single line
 * does not (another depth, another number of classes, a prefix before all names).
 */
#include "weights/weights_exchange.h"

#include "base/file.h"
#include "base/memory.h"
#include "checkpoint/checkpoint_hash.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_LISTED = 20, MORE_SIZE = 32, NAME_SIZE = 1024 };

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

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool weights_skips(const struct weights_skip *skip, const char *name)
{
    for (int i = 0; i < skip->n; i++)
        if (begins(name, skip->prefixes[i]))
            return true;
    return false;
}

/* The file's name without the prefix that is taken off. */
static const char *stripped(const struct weights_skip *skip, const char *name)
{
    const bool has = skip->strip && begins(name, skip->strip);
    return has ? name + strlen(skip->strip) : name;
}

static const struct safetensors_tensor *
find_prefixed(const struct safetensors *file, const char *prefix, const char *name)
{
    char whole[NAME_SIZE];
    const int n = snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return n >= 0 && n < NAME_SIZE ? safetensors_find(file, whole) : NULL;
}

const struct safetensors_tensor *weights_find(const struct safetensors *file,
                                              const struct weights_skip *skip,
                                              const char *name)
{
    const struct safetensors_tensor *found =
        skip->strip ? find_prefixed(file, skip->strip, name) : NULL;
    return found ? found : safetensors_find(file, name);
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
            &faults->list,
            "%s: of type %.40s in the file, expected F32, F64, F16 or BF16", view->name,
            found->type_name);
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

/* Whether a name without the prefix stands for a tensor that is there with it, too. */
static bool stands_twice(const struct safetensors *file,
                         const struct weights_skip *skip, const char *name)
{
    return skip->strip && !begins(name, skip->strip) &&
           find_prefixed(file, skip->strip, name);
}

/* Tensors of the file that the model does not have. */
static void find_extra(const struct safetensors *file,
                       const struct tensor_view **sorted, size_t n,
                       const struct weights_skip *skip, struct faults *faults)
{
    size_t n_tensors = 0;
    const struct safetensors_tensor *tensors = safetensors_tensors(file, &n_tensors);
    for (size_t i = 0; i < n_tensors; i++) {
        const char *name = stripped(skip, tensors[i].name);
        char shape[SAFETENSORS_SHAPE_SIZE];
        const bool twice = stands_twice(file, skip, tensors[i].name);
        if (weights_skips(skip, name) ||
            (!twice && (has_view(sorted, n, name) || is_counter(sorted, n, name))))
            continue;
        safetensors_shape_text(&tensors[i], shape);
        faults->n_extra++;
        weights_misfits_add(
            &faults->list, "%.250s: %s in the file, %s", tensors[i].name, shape,
            twice ? "and there with the prefix, too" : "not in the model");
    }
}

/* A prefix that fits nothing was meant to be another one. */
static convoy_status check_prefixes(const struct safetensors *file,
                                    const struct net_tensors *set,
                                    const struct weights_skip *skip)
{
    size_t n_tensors = 0;
    const struct safetensors_tensor *tensors = safetensors_tensors(file, &n_tensors);
    bool strips = !skip->strip;
    for (size_t i = 0; !strips && i < n_tensors; i++)
        strips = begins(tensors[i].name, skip->strip);
    if (!strips)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "the prefix '%s' to strip is the start of no tensor's name in the "
                    "file",
                    skip->strip);
    for (int p = 0; p < skip->n; p++) {
        const char *prefix = skip->prefixes[p];
        bool fits = false;
        for (size_t i = 0; !fits && i < n_tensors; i++)
            fits = begins(stripped(skip, tensors[i].name), prefix);
        for (size_t i = 0; !fits && i < set->n_params + set->n_buffers; i++)
            fits = begins(set->views[i].name, prefix);
        if (!fits)
            return FAIL(CONVOY_ERROR_ARGUMENT,
                        "the prefix '%s' to skip is the start of no tensor's name, in "
                        "the file or in the model",
                        prefix);
    }
    return CONVOY_OK;
}

/* Whether the file has every tensor of the model with prefix before its name. */
static bool prefix_fits(const struct safetensors *file, const struct net_tensors *set,
                        const struct weights_skip *skip, const char *prefix)
{
    bool fits = true;
    for (size_t i = 0; fits && i < set->n_params + set->n_buffers; i++) {
        const char *name = set->views[i].name;
        fits = weights_skips(skip, name) || find_prefixed(file, prefix, name);
    }
    return fits;
}

/* Wrappers around a model put a prefix before all names ("module.", "_orig_mod."):
 * finds it by the names that end in that of a tensor of the model. false: that is not
 * it. */
static bool find_prefix(const struct safetensors *file, const struct net_tensors *set,
                        const struct weights_skip *skip, char *prefix, size_t size)
{
    size_t n_tensors = 0, one = 0;
    const struct safetensors_tensor *tensors = safetensors_tensors(file, &n_tensors);
    const size_t n = set->n_params + set->n_buffers;
    while (one < n && weights_skips(skip, set->views[one].name))
        one++;
    for (size_t i = 0; one < n && i < n_tensors; i++) {
        const char *end = set->views[one].name, *name = tensors[i].name;
        const size_t length = strlen(name), tail = strlen(end);
        if (length <= tail || length - tail >= size ||
            strcmp(name + length - tail, end) != 0)
            continue;
        snprintf(prefix, size, "%.*s", (int)(length - tail), name);
        if (prefix_fits(file, set, skip, prefix))
            return true;
    }
    return false;
}

static convoy_status report(const char *path, const char *model, const char *prefix,
                            struct faults *faults)
{
    if (prefix)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: holds the weights of %s, but with '%s' before their names: "
                    "take it off with --strip %s",
                    path, model, prefix, prefix);
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
    char prefix[NAME_SIZE];
    TRY(check_prefixes(file, set, skip));
    TRY(sort_views(set, &sorted));
    for (size_t i = 0; i < n; i++)
        if (!weights_skips(skip, set->views[i].name))
            compare(weights_find(file, skip, set->views[i].name), &set->views[i],
                    &faults);
    find_extra(file, sorted, n, skip, &faults);
    if (faults.list.n > 0) {
        const bool differs = faults.n_missing > 0 && !skip->strip &&
                             find_prefix(file, set, skip, prefix, sizeof prefix);
        TRY(report(path, model, differs ? prefix : NULL, &faults));
    }
cleanup:
    mem_free(sorted);
    return status;
}

static size_t count_not_finite(const struct tensor_view *view)
{
    const size_t n = checkpoint_n_values(view);
    size_t found = 0;
    for (size_t k = 0; k < n; k++)
        found += isfinite(view->data[k]) ? 0 : 1;
    return found;
}

static convoy_status check_finite(const char *path, const struct net_tensors *set)
{
    struct weights_misfits found = {0};
    for (size_t i = 0; i < set->n_params + set->n_buffers; i++) {
        const size_t n = count_not_finite(&set->views[i]);
        if (n > 0)
            weights_misfits_add(&found, "%.250s: %zu of %zu values", set->views[i].name,
                                n, checkpoint_n_values(&set->views[i]));
    }
    if (found.n == 0)
        return CONVOY_OK;
    weights_misfits_end(&found);
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: holds values that are not finite numbers, with which no net "
                "computes anything; to import without these tensors, skip them by the "
                "start of their names%s",
                path, found.text);
}

convoy_status weights_fill(const struct safetensors *file, const char *path,
                           const convoy_net *net, const struct weights_skip *skip,
                           uint64_t seed, struct net_tensors *set)
{
    convoy_status status = CONVOY_OK;
    TRY(net_tensors_allocate(set));
    for (size_t i = 0; i < set->n_params + set->n_buffers; i++) {
        const struct tensor_view *view = &set->views[i];
        if (weights_skips(skip, view->name))
            net_tensors_initial(net, set, i, seed);
        else
            TRY(safetensors_read_f32(file, weights_find(file, skip, view->name),
                                     view->data));
    }
    TRY(check_finite(path, set));
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
