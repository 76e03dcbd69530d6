/* A folder with one subfolder a class, which holds images at any depth; or, with
 * ImageNet's development kit, a folder of its validation images.
 *
 * Everything is listed once, with each file's size. What a file is, its first bytes
 * say, not its name. Hidden files, and those that systems leave, are passed over. */
#include "packing/source.h"

#include "base/file.h"
#include "base/memory.h"
#include "image/image.h"
#include "packing/classes.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Deeper than any data set; a symbolic link to a parent would go on for ever. */
enum { MAX_DEPTH = 32 };

struct walk {
    const char *root;
    struct listing *listing;
};

/* The next entry that is not passed over, with its path and what it is. *entry is NULL
 * after the last. */
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
        if (!listing_passes_over(found->d_name, strlen(found->d_name)))
            break;
    }
    convoy_status status = file_join(folder, *entry, path, PATH_MAX);
    if (status == CONVOY_OK && stat(path, info) != 0)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    return status;
}

static convoy_status list_files(const struct walk *walk, const char *folder, int depth);

static convoy_status take_entry(const struct walk *walk, const char *path,
                                const struct stat *info, int depth)
{
    convoy_status status = CONVOY_OK;
    struct listing *listing = walk->listing;
    if (S_ISDIR(info->st_mode))
        return list_files(walk, path, depth + 1);
    if (!S_ISREG(info->st_mode))
        return texts_print(&listing->notes, "%s: is neither a file nor a folder", path);
    TRY(texts_add(&listing->names, path + strlen(walk->root) + 1));
    TRY(listing_add(listing, listing->names.n - 1, 0, (uint64_t)info->st_size, 0));
    listing->entries[listing->n - 1].changed = file_changed_ns(info);
cleanup:
    return status;
}

/* Adds the files at any depth below folder. */
static convoy_status list_files(const struct walk *walk, const char *folder, int depth)
{
    convoy_status status = CONVOY_OK;
    char *path = NULL; /* on the heap: this function calls itself */
    const char *entry = NULL;
    struct stat info = {0};
    const uint64_t n_before = walk->listing->n;
    DIR *directory = opendir(folder);
    if (!directory)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot list: %s", folder, strerror(errno));
    TRY(mem_alloc(PATH_MAX, (void **)&path));
    if (depth > MAX_DEPTH)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: folders are nested more than %d deep: a link to a folder above?",
                 folder, MAX_DEPTH));
    for (;;) {
        TRY(next_entry(directory, folder, &entry, path, &info));
        if (!entry)
            break;
        TRY(take_entry(walk, path, &info, depth));
    }
    if (depth == 1 && walk->listing->n == n_before)
        TRY(texts_print(&walk->listing->notes, "%s: is no class: it holds no images",
                        folder));
cleanup:
    closedir(directory);
    mem_free(path);
    return status;
}

static convoy_status sniff(void *context, const struct listing *listing, uint64_t i,
                           bool *is_image)
{
    convoy_status status = CONVOY_OK;
    const char *root = context;
    char path[PATH_MAX];
    uint8_t head[16];
    TRY(file_join(root, listing_name(listing, i), path, sizeof path));
    FILE *stream = fopen(path, "rb");
    if (!stream)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", path, strerror(errno)));
    const size_t n = fread(head, 1, sizeof head, stream);
    fclose(stream);
    *is_image = image_sniff(head, n) != IMAGE_UNKNOWN;
cleanup:
    return status;
}

static bool folder_matches(const char *path)
{
    return file_is_folder(path);
}

static convoy_status folder_list(const char *path, const convoy_pack_options *options,
                                 struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    struct devkit devkit = {.n_images = 0};
    char root[PATH_MAX];
    const struct walk walk = {root, listing};
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    if (n >= sizeof root)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", path));
    memcpy(root, path, n);
    root[n] = '\0';
    if (options->devkit)
        TRY(devkit_read(options->devkit, &devkit));
    TRY(list_files(&walk, root, 0));
    texts_sort(&listing->notes);
    const struct classes_rules rules = {root, options->devkit ? &devkit : NULL,
                                        options->classes, sniff, root};
    TRY(classes_find(&rules, listing));
cleanup:
    devkit_free(&devkit);
    return status;
}

const struct source_kind source_folder = {
    .name = "folder",
    .expects = "a folder of class folders of JPEG and PNG images",
    .takes = SOURCE_DEVKIT,
    .matches = folder_matches,
    .list = folder_list,
};
