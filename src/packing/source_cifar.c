/* CIFAR-10 and CIFAR-100 in their binary form: files of records, each a label byte (of
 * CIFAR-100 two: coarse, then fine, which is taken) and u8 [3, 32, 32]. They lie in a
 * folder, in a tar archive (packed as a rule), or are given one by one. Class names
 * stand in a text file beside them, one a line; without it classes are "0", "1", … */
#include "packing/source.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/text.h"
#include "packing/container.h"
#include "packing/tar.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

enum { CHANNELS = 3, SIDE = 32, PIXELS = CHANNELS * SIDE * SIDE, MAX_FILES = 5 };

struct variant {
    const char *set, *split;
    const char *files[MAX_FILES]; /* then NULL */
    const char *names;
    int n_label_bytes, n_classes;
};

static const struct variant variants[] = {
    {"CIFAR-10",
     "train",
     {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin",
      "data_batch_5.bin"},
     "batches.meta.txt",
     1,
     10},
    {"CIFAR-10", "test", {"test_batch.bin"}, "batches.meta.txt", 1, 10},
    {"CIFAR-100", "train", {"train.bin"}, "fine_label_names.txt", 2, 100},
    {"CIFAR-100", "test", {"test.bin"}, "fine_label_names.txt", 2, 100},
};

/* Files of the same data for Python and for MATLAB, which are not read. */
static const char *const others[] = {
    "data_batch_1", "data_batch_2",    "data_batch_3",     "data_batch_4",
    "data_batch_5", "test_batch",      "data_batch_1.mat", "test_batch.mat",
    "batches.meta", "batches.meta.mat"};

enum { N_VARIANTS = sizeof variants / sizeof *variants, MAX_NAMES = 1 << 16 };

/* A file of the set: in the container, or of its own. */
struct part {
    const char *name;
    uint64_t place, n_bytes;
};

struct cifar {
    const char *path;
    struct container *archive; /* or NULL */
    const struct variant *variant;
    struct part parts[MAX_FILES];
    int n_parts;
    struct part found[N_VARIANTS][MAX_FILES],
        found_names[N_VARIANTS]; /* of an archive */
    char names[MAX_NAMES];       /* the text of the names file, or "" */
    size_t n_names;              /* its bytes */
    bool seen[N_VARIANTS];       /* which there are files of */
    bool seen_other;             /* whether there are files in another form */
};

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The number of the variant's file of this name, -1: none. */
static int find_file(const struct variant *variant, const char *name)
{
    for (int f = 0; f < MAX_FILES && variant->files[f]; f++)
        if (strcmp(variant->files[f], name) == 0)
            return f;
    return -1;
}

/* The variant that has a file of this name, or NULL. */
static const struct variant *find_variant(const char *name)
{
    for (int v = 0; v < N_VARIANTS; v++)
        if (find_file(&variants[v], name) >= 0)
            return &variants[v];
    return NULL;
}

/* CIFAR-100's are called "train" and "test", as much else is: their folder tells. */
static bool is_other(const char *path)
{
    static const char *const ends[] = {
        "cifar-100-python/train", "cifar-100-python/test", "cifar-100-matlab/train.mat",
        "cifar-100-matlab/test.mat"};
    const char *name = base_name(path);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0)
            return true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        const size_t n = strlen(path), m = strlen(ends[i]);
        if (n >= m && strcmp(path + n - m, ends[i]) == 0)
            return true;
    }
    return false;
}

static bool folder_has(const char *folder, const char *name)
{
    char path[PATH_MAX];
    return file_join(folder, name, path, sizeof path) == CONVOY_OK && file_exists(path);
}

/* Sets seen, for a folder. */
static void look_into_folder(struct cifar *cifar)
{
    for (int v = 0; v < N_VARIANTS; v++)
        for (int f = 0; f < MAX_FILES && variants[v].files[f]; f++)
            if (folder_has(cifar->path, variants[v].files[f]))
                cifar->seen[v] = true;
}

static convoy_status see_entry(void *context, const struct tar_entry *entry)
{
    struct cifar *cifar = context;
    const char *name = base_name(entry->name);
    if (entry->problem)
        return CONVOY_OK;
    cifar->seen_other = cifar->seen_other || is_other(entry->name);
    for (int v = 0; v < N_VARIANTS; v++) {
        const int f = find_file(&variants[v], name);
        struct part part = {.place = entry->place, .n_bytes = entry->n_bytes};
        if (f >= 0) {
            part.name = variants[v].files[f];
            cifar->found[v][f] = part;
            cifar->seen[v] = true;
        }
        if (strcmp(name, variants[v].names) == 0 && part.n_bytes < MAX_NAMES)
            cifar->found_names[v] = part;
    }
    return CONVOY_OK;
}

/* Whether the folder has the files for Python or MATLAB: regular ones, of which a
 * folder of class folders has none. */
static bool has_other(const char *folder)
{
    char path[PATH_MAX];
    struct stat info;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (file_join(folder, others[i], path, sizeof path) == CONVOY_OK &&
            stat(path, &info) == 0 && S_ISREG(info.st_mode))
            return true;
    return file_join(folder, "file.txt~", path, sizeof path) == CONVOY_OK &&
           file_exists(path) && folder_has(folder, "meta");
}

/* Whether a file of a variant that lies in the folder can be one by its size. */
static bool folder_fits(const char *folder)
{
    char path[PATH_MAX];
    struct stat info;
    for (int v = 0; v < N_VARIANTS; v++)
        for (int f = 0; f < MAX_FILES && variants[v].files[f]; f++)
            if (file_join(folder, variants[v].files[f], path, sizeof path) ==
                    CONVOY_OK &&
                stat(path, &info) == 0 && info.st_size > 0 &&
                info.st_size % (variants[v].n_label_bytes + PIXELS) == 0)
                return true;
    return has_other(folder);
}

/* Whether an archive has files of a variant, or cannot be read. */
static bool archive_fits(const char *path)
{
    struct cifar *cifar = NULL;
    uint64_t n = 0;
    bool fits = true;
    if (mem_alloc(sizeof *cifar, (void **)&cifar) == CONVOY_OK &&
        container_open(path, &cifar->archive) == CONVOY_OK &&
        tar_scan(cifar->archive, 0, UINT64_MAX, see_entry, cifar, &n) == CONVOY_OK) {
        fits = false;
        for (int v = 0; v < N_VARIANTS; v++)
            fits = fits || cifar->seen[v];
        fits = fits || cifar->seen_other;
    }
    if (cifar)
        container_close(cifar->archive);
    mem_free(cifar);
    return fits;
}

static bool cifar_matches(const char *path)
{
    struct stat info;
    const char *name = base_name(path);
    if (stat(path, &info) != 0)
        return false;
    if (!S_ISREG(info.st_mode))
        return folder_fits(path);
    return find_variant(name) != NULL || is_other(path) ||
           (strstr(name, "cifar") && strstr(name, ".tar") && archive_fits(path));
}

static convoy_status refuse_other(const struct cifar *cifar)
{
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: is CIFAR in the form for Python or MATLAB; the binary form is "
                "read: get cifar-10-binary.tar.gz or cifar-100-binary.tar.gz from "
                "https://www.cs.toronto.edu/~kriz/cifar.html",
                cifar->path);
}

/* The one variant that is there, or that split says. */
static convoy_status choose_variant(struct cifar *cifar, const char *split)
{
    const struct variant *found = NULL;
    int n = 0;
    for (int v = 0; v < N_VARIANTS; v++)
        if (cifar->seen[v] && (!split || strcmp(split, variants[v].split) == 0)) {
            found = &variants[v];
            n++;
        }
    if (n > 1)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: holds training and test images: say --split train or --split "
                    "test",
                    cifar->path);
    if (n == 0 && cifar->seen_other)
        return refuse_other(cifar);
    if (n == 0)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: has no %s files of CIFAR-10 or CIFAR-100 in binary form "
                    "(data_batch_1.bin, test_batch.bin, train.bin or test.bin)",
                    cifar->path, split ? split : "training or test");
    cifar->variant = found;
    while (cifar->n_parts < MAX_FILES && found->files[cifar->n_parts])
        cifar->n_parts++;
    return CONVOY_OK;
}

static convoy_status open_archive(struct cifar *cifar, const char *split)
{
    convoy_status status = CONVOY_OK;
    uint64_t n = 0;
    TRY(container_open(cifar->path, &cifar->archive));
    TRY(tar_scan(cifar->archive, 0, UINT64_MAX, see_entry, cifar, &n));
    TRY(container_finish(cifar->archive, &n));
    TRY(choose_variant(cifar, split));
    const struct part *found = cifar->found[cifar->variant - variants];
    const struct part *names = &cifar->found_names[cifar->variant - variants];
    for (int f = 0; f < cifar->n_parts; f++) {
        cifar->parts[f] = found[f];
        if (!found[f].name)
            TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: has no %s", cifar->path,
                     cifar->variant->files[f]));
    }
    cifar->n_names = (size_t)names->n_bytes;
    TRY(container_read(cifar->archive, names->place, cifar->names, cifar->n_names));
cleanup:
    return status;
}

static convoy_status measure(const char *path, uint64_t *n_bytes)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: is missing", path);
    *n_bytes = (uint64_t)info.st_size;
    return CONVOY_OK;
}

static convoy_status read_names_file(struct cifar *cifar, const char *folder)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_MAX];
    char *text = NULL;
    size_t n = 0;
    TRY(file_join(folder, cifar->variant->names, path, sizeof path));
    if (!file_exists(path))
        return CONVOY_OK;
    TRY(file_read_all(path, &text, &n));
    if (n >= MAX_NAMES)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has %zu bytes, the names of %d classes are expected", path, n,
                 cifar->variant->n_classes));
    memcpy(cifar->names, text, n);
    cifar->n_names = n;
cleanup:
    mem_free(text);
    return status;
}

static convoy_status open_folder(struct cifar *cifar, const char *split)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_MAX];
    look_into_folder(cifar);
    cifar->seen_other = has_other(cifar->path);
    TRY(choose_variant(cifar, split));
    for (int f = 0; f < cifar->n_parts; f++) {
        struct part *part = &cifar->parts[f];
        part->name = cifar->variant->files[f];
        TRY(file_join(cifar->path, part->name, path, sizeof path));
        TRY(measure(path, &part->n_bytes));
    }
    TRY(read_names_file(cifar, cifar->path));
cleanup:
    return status;
}

/* One of the files, without the others of its set. */
static convoy_status open_file(struct cifar *cifar, const char *split)
{
    convoy_status status = CONVOY_OK;
    const char *name = base_name(cifar->path);
    const int n_folder = (int)(name - cifar->path);
    char folder[PATH_MAX];
    cifar->variant = find_variant(name);
    if (!cifar->variant)
        return refuse_other(cifar);
    if (split && strcmp(split, cifar->variant->split) != 0)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "%s: holds %s images, not --split %s",
                 cifar->path, cifar->variant->split, split));
    snprintf(folder, sizeof folder, "%.*s", n_folder ? n_folder : 1,
             n_folder ? cifar->path : ".");
    cifar->n_parts = 1;
    cifar->parts[0].name = name;
    TRY(measure(cifar->path, &cifar->parts[0].n_bytes));
    TRY(read_names_file(cifar, folder));
    TRY(container_open(cifar->path, &cifar->archive));
cleanup:
    return status;
}

static convoy_status list_classes(const struct cifar *cifar, struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)cifar->variant->n_classes;
    const char *at = text_behind_mark(cifar->names);
    if (strlen(cifar->names) != cifar->n_names)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: %s is no text file: it has a byte 0",
                 cifar->path, cifar->variant->names));
    while (*at) {
        const size_t length = strcspn(at, "\r\n");
        if (length)
            TRY(texts_print(&listing->classes, "%.*s", (int)length, at));
        at += length;
        at += strspn(at, "\r\n");
    }
    if (listing->classes.n != 0 && listing->classes.n != n)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: %s has %zu names, %zu are expected, one a line", cifar->path,
                 cifar->variant->names, listing->classes.n, n));
    for (size_t c = listing->classes.n; c < n; c++)
        TRY(texts_print(&listing->classes, "%zu", c));
cleanup:
    return status;
}

/* Lists the records of one part, which are read through. */
static convoy_status list_part(const struct cifar *cifar, int p,
                               struct container *container, struct hash *hash,
                               struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    const struct part *part = &cifar->parts[p];
    const size_t n_label = (size_t)cifar->variant->n_label_bytes;
    const size_t size = n_label + PIXELS;
    uint8_t record[2 + PIXELS];
    const uint64_t n = part->n_bytes / size;
    if (n == 0 || part->n_bytes % size != 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s/%s: has %" PRIu64
                 " bytes; %s has records of %zu bytes: the file was cut short",
                 cifar->path, part->name, part->n_bytes, cifar->variant->set, size));
    for (uint64_t i = 0; i < n; i++) {
        const uint64_t place = part->place + i * size;
        TRY(container_read(container, place, record, size));
        hash_update(hash, record, size);
        if (record[n_label - 1] >= cifar->variant->n_classes)
            TRY(FAIL(CONVOY_ERROR_FORMAT,
                     "%s/%s: record %" PRIu64 " has label %d; %s has %d classes",
                     cifar->path, part->name, i, record[n_label - 1],
                     cifar->variant->set, cifar->variant->n_classes));
        TRY(listing_add(listing, (size_t)p, place + n_label, PIXELS,
                        record[n_label - 1]));
    }
cleanup:
    return status;
}

static convoy_status list_parts(const struct cifar *cifar, struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    struct hash *hash = NULL;
    struct container *own = NULL;
    char path[PATH_MAX];
    TRY(hash_create(&hash));
    for (int p = 0; p < cifar->n_parts; p++) {
        const char *name = cifar->parts[p].name;
        TRY(texts_add(&listing->names, name));
        if (!cifar->archive) {
            TRY(file_join(cifar->path, name, path, sizeof path));
            TRY(container_open(path, &own));
        }
        TRY(list_part(cifar, p, own ? own : cifar->archive, hash, listing));
        container_close(own);
        own = NULL;
    }
    hash_hex(hash, listing->content);
cleanup:
    container_close(own);
    hash_destroy(hash);
    return status;
}

static convoy_status cifar_list(const char *path, const convoy_pack_options *options,
                                struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    struct cifar *cifar = NULL;
    TRY(mem_alloc(sizeof *cifar, (void **)&cifar));
    cifar->path = path;
    if (file_is_folder(path))
        TRY(open_folder(cifar, options->split));
    else if (find_variant(base_name(path)) || is_other(path))
        TRY(open_file(cifar, options->split));
    else
        TRY(open_archive(cifar, options->split));
    listing->is_raw = true;
    listing->is_container = cifar->archive != NULL;
    memcpy(listing->shape, (int[3]){CHANNELS, SIDE, SIDE}, sizeof listing->shape);
    TRY(list_classes(cifar, listing));
    TRY(list_parts(cifar, listing));
cleanup:
    if (cifar)
        container_close(cifar->archive);
    mem_free(cifar);
    return status;
}

const struct source_kind source_cifar = {
    .name = "cifar",
    .expects = "CIFAR-10 or CIFAR-100 in binary form (its folder, archive or files)",
    .takes = SOURCE_SPLIT,
    .matches = cifar_matches,
    .list = cifar_list,
};
