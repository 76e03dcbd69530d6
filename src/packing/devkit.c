/* ImageNet's development kit. data/meta.mat has the synsets: those without children are
 * the classes, and each has an ILSVRC2012_ID.
 * data/ILSVRC2012_validation_ground_truth.txt has the ID of one validation image a
 * line. Classes are numbered in byte order of their WordNet ids, as torchvision does
 * and as sorted class folders come out, so packs of the training and of the validation
 * images agree. */
#include "packing/devkit.h"

#include "base/file.h"
#include "base/memory.h"
#include "packing/matlab.h"
#include "packing/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum { META, TRUTH, N_FILES };

static const char *const names[N_FILES] = {"meta.mat",
                                           "ILSVRC2012_validation_ground_truth.txt"};

/* More than the kit's files have together. */
static const uint64_t most_bytes = UINT64_C(1) << 28;

struct file {
    char *bytes; /* with a 0 behind them, or NULL */
    size_t n;
};

struct synset {
    double id, n_children;
    char wnid[32];
};

struct kit {
    const char *path;
    struct container *container;
    uint64_t places[N_FILES];
    struct file files[N_FILES];
    struct synset *synsets;
    size_t capacity, n_synsets;
};

static convoy_status find_file(void *context, const struct tar_entry *entry)
{
    struct kit *kit = context;
    const char *slash = strrchr(entry->name, '/');
    const char *name = slash ? slash + 1 : entry->name;
    for (int f = 0; f < N_FILES; f++)
        if (strcmp(name, names[f]) == 0 && !entry->problem &&
            entry->n_bytes < most_bytes) {
            kit->places[f] = entry->place;
            kit->files[f].n = (size_t)entry->n_bytes;
        }
    return CONVOY_OK;
}

static convoy_status read_archive(struct kit *kit)
{
    convoy_status status = CONVOY_OK;
    uint64_t n = 0;
    TRY(container_open(kit->path, &kit->container));
    TRY(tar_scan(kit->container, 0, UINT64_MAX, find_file, kit, &n));
    TRY(container_finish(kit->container, &n));
    for (int f = 0; f < N_FILES; f++) {
        struct file *file = &kit->files[f];
        if (kit->places[f] == 0)
            TRY(FAIL(CONVOY_ERROR_FORMAT,
                     "%s: has no %s: ILSVRC2012_devkit_t12.tar.gz or its folder is "
                     "expected",
                     kit->path, names[f]));
        TRY(mem_alloc(file->n + 1, (void **)&file->bytes));
        TRY(container_read(kit->container, kit->places[f], file->bytes, file->n));
    }
cleanup:
    return status;
}

/* The files lie in the folder's "data", or in the folder itself. */
static convoy_status read_folder(struct kit *kit)
{
    convoy_status status = CONVOY_OK;
    char data[PATH_MAX], path[PATH_MAX];
    TRY(file_join(kit->path, "data", data, sizeof data));
    for (int f = 0; f < N_FILES; f++) {
        TRY(file_join(file_is_folder(data) ? data : kit->path, names[f], path,
                      sizeof path));
        TRY(file_read_all(path, &kit->files[f].bytes, &kit->files[f].n));
    }
cleanup:
    return status;
}

static convoy_status take_field(void *context, uint64_t element, const char *field,
                                const struct matlab_value *value)
{
    convoy_status status = CONVOY_OK;
    struct kit *kit = context;
    TRY(mem_reserve((void **)&kit->synsets, &kit->capacity,
                    (element + 1) * sizeof *kit->synsets));
    struct synset *synset = &kit->synsets[element];
    kit->n_synsets = element + 1;
    if (strcmp(field, "ILSVRC2012_ID") == 0 && value->is_number)
        synset->id = value->number;
    else if (strcmp(field, "num_children") == 0)
        synset->n_children = value->is_number ? value->number : -1;
    else if (strcmp(field, "WNID") == 0 && value->is_text)
        memcpy(synset->wnid, value->text, sizeof synset->wnid - 1);
cleanup:
    return status;
}

static int compare_wnids(const void *a, const void *b)
{
    const struct synset *x = a, *y = b;
    return strcmp(x->wnid, y->wnid);
}

/* Keeps the synsets without children, in the order of their WordNet ids. */
static convoy_status choose_classes(struct kit *kit, struct devkit *devkit)
{
    convoy_status status = CONVOY_OK;
    size_t n = 0;
    for (size_t i = 0; i < kit->n_synsets; i++)
        if (kit->synsets[i].n_children == 0 && kit->synsets[i].wnid[0] != '\0')
            kit->synsets[n++] = kit->synsets[i];
    kit->n_synsets = n;
    if (n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %s: has no synsets with WNID, ILSVRC2012_ID and no children",
                 kit->path, names[META]));
    qsort(kit->synsets, n, sizeof *kit->synsets, compare_wnids);
    for (size_t i = 0; i < n; i++)
        TRY(texts_add(&devkit->wnids, kit->synsets[i].wnid));
cleanup:
    return status;
}

/* The class of an ILSVRC2012_ID, -1: none. */
static int32_t find_class(const struct kit *kit, long id)
{
    for (size_t i = 0; i < kit->n_synsets; i++)
        if ((long)kit->synsets[i].id == id)
            return (int32_t)i;
    return -1;
}

static convoy_status read_truth(struct kit *kit, struct devkit *devkit)
{
    convoy_status status = CONVOY_OK;
    size_t capacity = 0;
    const char *at = kit->files[TRUTH].bytes;
    for (;;) {
        char *end = NULL;
        const long id = strtol(at, &end, 10);
        if (end == at)
            break;
        TRY(mem_reserve((void **)&devkit->labels, &capacity,
                        (devkit->n_images + 1) * sizeof *devkit->labels));
        const int32_t label = find_class(kit, id);
        if (label < 0)
            TRY(FAIL(CONVOY_ERROR_FORMAT,
                     "%s: %s: line %" PRIu64 " is %ld, no ILSVRC2012_ID of a synset "
                     "without children",
                     kit->path, names[TRUTH], devkit->n_images + 1, id));
        devkit->labels[devkit->n_images++] = label;
        at = end;
    }
    if (devkit->n_images == 0 || at[strspn(at, " \t\r\n")] != '\0')
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %s: has %" PRIu64 " lines, then no number: one a validation "
                 "image is expected",
                 kit->path, names[TRUTH], devkit->n_images));
cleanup:
    return status;
}

convoy_status devkit_read(const char *path, struct devkit *devkit)
{
    convoy_status status = CONVOY_OK;
    struct kit kit = {.path = path};
    struct devkit made = {.n_images = 0};
    TRY(file_is_folder(path) ? read_folder(&kit) : read_archive(&kit));
    const struct file *meta = &kit.files[META];
    TRY(matlab_visit(path, (const uint8_t *)meta->bytes, meta->n, "synsets", take_field,
                     &kit));
    TRY(choose_classes(&kit, &made));
    TRY(read_truth(&kit, &made));
    *devkit = made;
    made = (struct devkit){.n_images = 0};
cleanup:
    devkit_free(&made);
    container_close(kit.container);
    for (int f = 0; f < N_FILES; f++)
        mem_free(kit.files[f].bytes);
    mem_free(kit.synsets);
    return status;
}

void devkit_free(struct devkit *devkit)
{
    texts_free(&devkit->wnids);
    mem_free(devkit->labels);
    *devkit = (struct devkit){.n_images = 0};
}
