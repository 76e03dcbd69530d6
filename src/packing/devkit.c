/* ImageNet's development kit. data/meta.mat has the synsets: those without children are
 * the classes, and each has an ILSVRC2012_ID.
 * data/ILSVRC2012_validation_ground_truth.txt has the ID of one validation image a
 * line. Classes are numbered in byte order of their WordNet ids, as torchvision does
 * and as sorted class folders come out, so packs of the training and of the validation
 * images agree. */
#include "packing/devkit.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "packing/matlab.h"
#include "packing/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
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
    double id, n_children; /* -1: is none */
    char wnid[32];
};

/* An ILSVRC2012_ID and the class that has it. */
struct numbered {
    long id;
    int32_t label;
};

struct kit {
    const char *path;
    struct container *container;
    uint64_t places[N_FILES];
    struct file files[N_FILES];
    struct synset *synsets; /* then, in order of their WNIDs, only the classes */
    size_t capacity, n_synsets;
    struct numbered *ids; /* [n_synsets] of the classes, rising */
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
    const double number = value->is_number ? value->number : -1;
    TRY(mem_reserve((void **)&kit->synsets, &kit->capacity,
                    (element + 1) * sizeof *kit->synsets));
    struct synset *synset = &kit->synsets[element];
    if (element >= kit->n_synsets)
        *synset = (struct synset){.id = -1, .n_children = -1};
    kit->n_synsets = element + 1;
    if (strcmp(field, "ILSVRC2012_ID") == 0)
        synset->id = number;
    else if (strcmp(field, "num_children") == 0)
        synset->n_children = number;
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

static int compare_ids(const void *a, const void *b)
{
    const struct numbered *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

/* Whether a number of the kit is a whole one from least on: NaN is none. */
static bool is_whole(double number, int least)
{
    return number >= least && number <= INT32_MAX && number == floor(number);
}

static convoy_status check_synset(const struct kit *kit, size_t i)
{
    const struct synset *s = &kit->synsets[i];
    if (!is_whole(s->n_children, 0))
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: %s: synset %zu (from 1), '%s', has num_children %g, a whole "
                    "number is expected",
                    kit->path, names[META], i + 1, s->wnid, s->n_children);
    if (s->n_children == 0 && (!is_whole(s->id, 1) || !*s->wnid))
        return FAIL(
            CONVOY_ERROR_FORMAT,
            "%s: %s: synset %zu (from 1), without children, has WNID '%s' and "
            "ILSVRC2012_ID %g, a text and a whole number from 1 on are expected",
            kit->path, names[META], i + 1, s->wnid, s->id);
    return CONVOY_OK;
}

/* Numbers the classes, which are in order of their WordNet ids; no two may have the
 * same, or the same ILSVRC2012_ID. */
static convoy_status number_classes(struct kit *kit)
{
    convoy_status status = CONVOY_OK;
    const struct synset *all = kit->synsets;
    TRY(mem_alloc_array(kit->n_synsets, sizeof *kit->ids, (void **)&kit->ids));
    for (size_t i = 0; i < kit->n_synsets; i++) {
        kit->ids[i] = (struct numbered){(long)all[i].id, (int32_t)i};
        if (i > 0 && strcmp(all[i - 1].wnid, all[i].wnid) == 0)
            TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s: two synsets have the WNID '%s'",
                     kit->path, names[META], all[i].wnid));
    }
    qsort(kit->ids, kit->n_synsets, sizeof *kit->ids, compare_ids);
    for (size_t i = 1; i < kit->n_synsets; i++) {
        const struct numbered *a = &kit->ids[i - 1], *b = &kit->ids[i];
        if (a->id == b->id)
            TRY(FAIL(
                CONVOY_ERROR_FORMAT,
                "%s: %s: the synsets '%s' and '%s' both have the ILSVRC2012_ID %ld",
                kit->path, names[META], all[a->label].wnid, all[b->label].wnid, a->id));
    }
cleanup:
    return status;
}

/* Keeps the synsets without children, in the order of their WordNet ids. */
static convoy_status choose_classes(struct kit *kit, struct devkit *devkit)
{
    convoy_status status = CONVOY_OK;
    size_t n = 0;
    for (size_t i = 0; i < kit->n_synsets; i++) {
        TRY(check_synset(kit, i));
        if (kit->synsets[i].n_children == 0)
            kit->synsets[n++] = kit->synsets[i];
    }
    kit->n_synsets = n;
    if (n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %s: has no synsets with WNID, ILSVRC2012_ID and no children",
                 kit->path, names[META]));
    qsort(kit->synsets, n, sizeof *kit->synsets, compare_wnids);
    TRY(number_classes(kit));
    for (size_t i = 0; i < n; i++)
        TRY(texts_add(&devkit->wnids, kit->synsets[i].wnid));
cleanup:
    return status;
}

static convoy_status read_truth(struct kit *kit, struct devkit *devkit)
{
    convoy_status status = CONVOY_OK;
    size_t capacity = 0;
    const struct file *file = &kit->files[TRUTH];
    const char *at = text_behind_mark(file->bytes);
    for (;;) {
        char *end = NULL;
        const long id = strtol(at, &end, 10);
        if (end == at)
            break;
        TRY(mem_reserve((void **)&devkit->labels, &capacity,
                        (devkit->n_images + 1) * sizeof *devkit->labels));
        const struct numbered wanted = {.id = id};
        const struct numbered *found =
            bsearch(&wanted, kit->ids, kit->n_synsets, sizeof *kit->ids, compare_ids);
        if (!found)
            TRY(FAIL(CONVOY_ERROR_FORMAT,
                     "%s: %s: line %" PRIu64 " is %ld, no ILSVRC2012_ID of a synset "
                     "without children",
                     kit->path, names[TRUTH], devkit->n_images + 1, id));
        devkit->labels[devkit->n_images++] = found->label;
        at = end;
    }
    /* A 0 in the file ends the text, but not the file. */
    at += strspn(at, " \t\r\n");
    if (devkit->n_images == 0 || at != file->bytes + file->n)
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
    mem_free(kit.ids);
    return status;
}

void devkit_free(struct devkit *devkit)
{
    texts_free(&devkit->wnids);
    mem_free(devkit->labels);
    *devkit = (struct devkit){.n_images = 0};
}
