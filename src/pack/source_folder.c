/* A folder with one subfolder a class, which holds JPEG and PNG files at any depth.
 *
 * Opening lists everything once and notes each file's size, so the pack's bytes are
 * known; reading then goes through the list in its order, and each file must decode.
 * What a file is, its first bytes say, not its name. Names that start with "." are
 * passed over; any other file that is no image is an error, since a data set with holes
 * in it is better found now than after the training. */
#include "pack/source.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Deeper than any data set; a symbolic link to a parent would go on for ever. */
enum { MAX_DEPTH = 32 };

/* Texts one after the other in one block: a million small allocations would cost more.
 */
struct texts {
    char *block;
    size_t capacity, used;
    size_t *starts; /* [n] */
    size_t starts_capacity, n;
};

struct folder {
    char *path;
    struct texts classes; /* names */
    const char **class_names;
    struct texts files; /* paths below path, class by class */
    size_t *class_ends; /* [n classes] in files */
    uint64_t *sizes;    /* [n files] in bytes */
    size_t at;          /* the next file */
    char *bytes;        /* of the current file */
    struct image image; /* decoded, to prove that it can be */
};

static convoy_status texts_add(struct texts *texts, const char *text)
{
    convoy_status status = CONVOY_OK;
    size_t bytes = strlen(text) + 1;
    TRY(mem_reserve((void **)&texts->block, &texts->capacity, texts->used + bytes));
    TRY(mem_reserve((void **)&texts->starts, &texts->starts_capacity,
                    (texts->n + 1) * sizeof *texts->starts));
    memcpy(texts->block + texts->used, text, bytes);
    texts->starts[texts->n++] = texts->used;
    texts->used += bytes;
cleanup:
    return status;
}

static const char *texts_get(const struct texts *texts, size_t i)
{
    return texts->block + texts->starts[i];
}

static int compare_starts(const void *a, const void *b, void *block)
{
    const char *base = block;
    return strcmp(base + *(const size_t *)a, base + *(const size_t *)b);
}

/* Sorts the texts from number first on by their bytes. */
static void texts_sort(struct texts *texts, size_t first)
{
    if (texts->n > first)
        qsort_r(texts->starts + first, texts->n - first, sizeof *texts->starts,
                compare_starts, texts->block);
}

static void texts_free(struct texts *texts)
{
    mem_free(texts->block);
    mem_free(texts->starts);
}

/* The next entry that is not hidden, with its path below root and what it is. *entry is
 * NULL after the last. */
static convoy_status next_entry(DIR *directory, const char *folder, const char **entry,
                                char path[PATH_MAX], struct stat *info)
{
    for (;;) {
        errno = 0;
        struct dirent *found = readdir(directory);
        if (!found && errno)
            return FAIL(CONVOY_ERROR_IO, "%s: cannot list: %s", folder,
                        strerror(errno));
        *entry = found ? found->d_name : NULL;
        if (!found)
            return CONVOY_OK;
        if (found->d_name[0] != '.')
            break;
    }
    convoy_status status = file_join(folder, *entry, path, PATH_MAX);
    if (status == CONVOY_OK && stat(path, info) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    return status;
}

static convoy_status open_folder(const char *path, DIR **out)
{
    *out = opendir(path);
    if (!*out)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot list: %s", path, strerror(errno));
    return CONVOY_OK;
}

/* The class folders, sorted. */
static convoy_status list_classes(struct folder *folder)
{
    convoy_status status = CONVOY_OK;
    DIR *directory = NULL;
    char path[PATH_MAX];
    const char *entry = NULL;
    struct stat info = {0};
    TRY(open_folder(folder->path, &directory));
    for (;;) {
        TRY(next_entry(directory, folder->path, &entry, path, &info));
        if (!entry)
            break;
        if (!S_ISDIR(info.st_mode))
            TRY(FAIL(
                CONVOY_ERROR_FORMAT,
                "%s: is a file beside class folders; images belong into a folder named "
                "after their class",
                path));
        TRY(texts_add(&folder->classes, entry));
    }
    if (folder->classes.n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has no class folders; one folder a class, with its images, is "
                 "expected",
                 folder->path));
    if (folder->classes.n > INT_MAX)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: has too many class folders", folder->path));
    texts_sort(&folder->classes, 0);
cleanup:
    if (directory)
        closedir(directory);
    return status;
}

/* Adds the files at any depth below relative, which is a path below the root. */
static convoy_status list_files(struct folder *folder, const char *relative, int depth)
{
    convoy_status status = CONVOY_OK;
    DIR *directory = NULL;
    char *path = NULL; /* on the heap: this function calls itself */
    const char *entry = NULL;
    struct stat info = {0};
    TRY(mem_alloc(2 * (size_t)PATH_MAX, (void **)&path));
    char *below = path + PATH_MAX;
    TRY(file_join(folder->path, relative, below, PATH_MAX));
    if (depth > MAX_DEPTH)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: folders are nested more than %d deep: a link to a folder above?",
                 below, MAX_DEPTH));
    TRY(open_folder(below, &directory));
    for (;;) {
        TRY(file_join(folder->path, relative, below, PATH_MAX));
        TRY(next_entry(directory, below, &entry, path, &info));
        if (!entry)
            break;
        TRY(file_join(relative, entry, below, PATH_MAX));
        if (S_ISDIR(info.st_mode))
            TRY(list_files(folder, below, depth + 1));
        else if (S_ISREG(info.st_mode))
            TRY(texts_add(&folder->files, below));
        else
            TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: is neither a file nor a folder", path));
    }
cleanup:
    if (directory)
        closedir(directory);
    mem_free(path);
    return status;
}

static convoy_status list_class(struct folder *folder, size_t c)
{
    convoy_status status = CONVOY_OK;
    size_t first = folder->files.n;
    TRY(list_files(folder, texts_get(&folder->classes, c), 1));
    if (folder->files.n == first)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s/%s: the class folder has no images: fill or remove it",
                 folder->path, texts_get(&folder->classes, c)));
    texts_sort(&folder->files, first);
    folder->class_ends[c] = folder->files.n;
    folder->class_names[c] = texts_get(&folder->classes, c);
cleanup:
    return status;
}

static convoy_status measure_files(struct folder *folder, uint64_t *n_bytes)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_MAX];
    struct stat info = {0};
    *n_bytes = 0;
    TRY(mem_alloc_array(folder->files.n, sizeof *folder->sizes,
                        (void **)&folder->sizes));
    for (size_t i = 0; i < folder->files.n; i++) {
        TRY(file_join(folder->path, texts_get(&folder->files, i), path, sizeof path));
        if (stat(path, &info) != 0)
            TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno)));
        if (info.st_size == 0)
            TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: the file is empty, an image is expected",
                     path));
        folder->sizes[i] = (uint64_t)info.st_size;
        *n_bytes += folder->sizes[i];
    }
cleanup:
    return status;
}

static void folder_close(void *source)
{
    struct folder *folder = source;
    if (!folder)
        return;
    texts_free(&folder->classes);
    texts_free(&folder->files);
    mem_free(folder->class_names);
    mem_free(folder->class_ends);
    mem_free(folder->sizes);
    mem_free(folder->bytes);
    mem_free(folder->path);
    image_free(&folder->image);
    mem_free(folder);
}

static bool folder_matches(const char *path)
{
    return file_is_folder(path);
}

static convoy_status folder_open(const char *path, void **source,
                                 struct source_facts *facts)
{
    convoy_status status = CONVOY_OK;
    struct folder *folder = NULL;
    uint64_t n_bytes = 0;
    TRY(mem_alloc(sizeof *folder, (void **)&folder));
    TRY(mem_copy_text(path, &folder->path));
    TRY(list_classes(folder));
    size_t n = folder->classes.n;
    TRY(mem_alloc_array(n, sizeof *folder->class_ends, (void **)&folder->class_ends));
    TRY(mem_alloc_array(n, sizeof *folder->class_names, (void **)&folder->class_names));
    for (size_t c = 0; c < n; c++)
        TRY(list_class(folder, c));
    TRY(measure_files(folder, &n_bytes));
    *facts = (struct source_facts){.n_records = folder->files.n,
                                   .n_bytes = n_bytes,
                                   .class_names = folder->class_names,
                                   .n_classes = (int)n};
    *source = folder;
    folder = NULL;
cleanup:
    folder_close(folder);
    return status;
}

/* Reads and decodes one file. */
static convoy_status take_file(struct folder *folder, const char *path, uint64_t size,
                               struct source_record *record)
{
    convoy_status status = CONVOY_OK;
    size_t n = 0;
    mem_free(folder->bytes);
    folder->bytes = NULL;
    TRY(file_read_all(path, &folder->bytes, &n));
    if (n != size)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: had %" PRIu64
                 " bytes, has %zu now: it changed while it was packed",
                 path, size, n));
    const uint8_t *bytes = (const uint8_t *)folder->bytes;
    status = image_decode(bytes, n, 3, &folder->image);
    if (status != CONVOY_OK)
        TRY(status_prefix(status, "%s", path));
    record->bytes = bytes;
    record->n_bytes = n;
    record->encoding =
        image_sniff(bytes, n) == IMAGE_PNG ? CONVOY_ENCODING_PNG : CONVOY_ENCODING_JPEG;
    record->width = (uint16_t)folder->image.width;
    record->height = (uint16_t)folder->image.height;
cleanup:
    return status;
}

/* The class of file i: the first that ends behind it. */
static int32_t label_of(const struct folder *folder, size_t i)
{
    size_t low = 0, high = folder->classes.n - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (i < folder->class_ends[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return (int32_t)low;
}

static struct source_item folder_describe(const void *source, uint64_t i)
{
    const struct folder *folder = source;
    return (struct source_item){.label = label_of(folder, (size_t)i),
                                .n_bytes = folder->sizes[i]};
}

static convoy_status folder_next(void *source, struct source_record *record)
{
    convoy_status status = CONVOY_OK;
    struct folder *folder = source;
    char path[PATH_MAX];
    size_t i = folder->at;
    TRY(file_join(folder->path, texts_get(&folder->files, i), path, sizeof path));
    TRY(take_file(folder, path, folder->sizes[i], record));
    record->label = label_of(folder, i);
    folder->at++;
cleanup:
    return status;
}

static convoy_status folder_pass_over(void *source)
{
    struct folder *folder = source;
    folder->at++;
    return CONVOY_OK;
}

static convoy_status folder_finish(void *source)
{
    (void)source;
    return CONVOY_OK;
}

const struct source_kind source_folder = {
    .name = "folder",
    .expects = "a folder of class folders of JPEG and PNG images",
    .matches = folder_matches,
    .open = folder_open,
    .describe = folder_describe,
    .next = folder_next,
    .pass_over = folder_pass_over,
    .finish = folder_finish,
    .close = folder_close,
};
