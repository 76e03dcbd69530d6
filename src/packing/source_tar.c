/* A tar archive, packed or not: of class folders of images; of one tar archive a class,
 * as ILSVRC2012_img_train.tar is; or, with ImageNet's development kit, of its
 * validation images. Nothing is extracted: the listing says where in the archive each
 * image is.
 *
 * Folders that all files have in common are taken off the front of the names
 * ("train/"), as long as each has a folder left. An archive within the archive is a
 * class by its name, and its images need no folder. Links are followed. */
#include "packing/source.h"

#include "base/file.h"
#include "base/memory.h"
#include "packing/classes.h"
#include "packing/tar_tree.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { BLOCK = 512 };

struct scan {
    const char *path, *inside;
    struct listing *listing;
    struct listing archives; /* those within the archive */
    const char *class;       /* while one of them is read, else NULL */
};

static bool has_hidden_part(const char *name)
{
    while (*name) {
        const size_t n = strcspn(name, "/");
        if (listing_passes_over(name, n))
            return true;
        name += n + (name[n] == '/');
    }
    return false;
}

/* The rest of the name below the folder inside; NULL where it does not lie there. */
static const char *below(const char *name, const char *inside)
{
    if (!inside)
        return name;
    inside = tar_tree_strip(inside);
    size_t n = strlen(inside);
    while (n > 0 && inside[n - 1] == '/')
        n--;
    if (n > 0 && (strncmp(name, inside, n) != 0 || name[n] != '/'))
        return NULL;
    return n > 0 ? name + n + 1 : name;
}

/* "n01440764" of "x/n01440764.tar" into out; false where it is no such name. */
static bool class_of_archive(const char *name, char out[NAME_MAX + 1])
{
    const char *slash = strrchr(name, '/');
    const char *base = slash ? slash + 1 : name;
    const size_t n = strlen(base);
    if (n <= 4 || n - 4 > NAME_MAX || strcmp(base + n - 4, ".tar") != 0)
        return false;
    memcpy(out, base, n - 4);
    out[n - 4] = '\0';
    return true;
}

static convoy_status take_name(void *context, const char *name,
                               const struct tar_node *file, const char *problem)
{
    convoy_status status = CONVOY_OK;
    struct scan *scan = context;
    struct listing *to = scan->listing;
    char class[NAME_MAX + 1];
    if (!scan->class)
        name = below(name, scan->inside);
    if (!name || has_hidden_part(name))
        return CONVOY_OK;
    if (!file)
        return texts_print(&to->notes, "%s/%s%s%s: %s", scan->path,
                           scan->class ? scan->class : "", scan->class ? "/" : "", name,
                           problem);
    if (!scan->class && class_of_archive(name, class) && file->is_tar)
        to = &scan->archives;
    if (scan->class)
        TRY(texts_print(&to->names, "%s/%s", scan->class, name));
    else
        TRY(texts_add(&to->names, name));
    TRY(listing_add(to, to->names.n - 1, file->place, file->n_bytes, file->is_image));
cleanup:
    return status;
}

/* Lists an archive of n_bytes at place; *n counts its entries. */
static convoy_status list_archive(struct scan *scan, struct container *container,
                                  uint64_t place, uint64_t n_bytes, uint64_t *n)
{
    convoy_status status = CONVOY_OK;
    struct tar_tree tree = {.n = 0};
    TRY(tar_scan(container, place, n_bytes, tar_tree_add, &tree, n));
    status = tar_tree_visit(&tree, take_name, scan);
    if (status != CONVOY_OK)
        status = status_prefix(status, "%s", scan->path);
cleanup:
    tar_tree_free(&tree);
    return status;
}

static int compare_places(const void *a, const void *b)
{
    const struct listing_entry *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

/* Sets class to that of archive i. FORMAT: another archive has the same class. */
static convoy_status take_class(const struct scan *scan, uint64_t i,
                                char class[NAME_MAX + 1])
{
    char other[NAME_MAX + 1];
    const char *name = listing_name(&scan->archives, i);
    class_of_archive(name, class);
    for (uint64_t j = i + 1; j < scan->archives.n; j++) {
        const char *later = listing_name(&scan->archives, j);
        if (class_of_archive(later, other) && strcmp(class, other) == 0)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: %s and %s would be one class: choose one of their folders "
                        "with --inside",
                        scan->path, name, later);
    }
    return CONVOY_OK;
}

/* Lists what lies in the archives within the archive, in the order of their places: a
 * packed one is read forwards. */
static convoy_status list_archives(struct scan *scan, struct container *container)
{
    convoy_status status = CONVOY_OK;
    char class[NAME_MAX + 1];
    struct listing *archives = &scan->archives;
    uint64_t n = 0;
    if (archives->n)
        qsort(archives->entries, archives->n, sizeof *archives->entries,
              compare_places);
    for (uint64_t i = 0; i < archives->n; i++) {
        const struct listing_entry *archive = &archives->entries[i];
        TRY(take_class(scan, i, class));
        scan->class = class;
        status = list_archive(scan, container, archive->place, archive->n_bytes, &n);
        if (status != CONVOY_OK)
            TRY(status_prefix(status, "%s.tar", scan->class));
        if (n == 0)
            TRY(texts_print(&scan->listing->notes,
                            "%s/%s.tar: is no class: it holds no images", scan->path,
                            scan->class));
    }
cleanup:
    scan->class = NULL;
    return status;
}

/* An image that claims to reach beyond the end of the archive. */
static convoy_status check_ends(const char *path, const struct listing *listing,
                                uint64_t n_bytes)
{
    for (uint64_t i = 0; i < listing->n; i++) {
        const struct listing_entry *e = &listing->entries[i];
        if (e->n_bytes > n_bytes || e->place > n_bytes - e->n_bytes)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: ends at byte %" PRIu64 ", within %s: the file was cut "
                        "short",
                        path, n_bytes, listing_name(listing, i));
    }
    return CONVOY_OK;
}

static convoy_status scan_all(struct scan *scan)
{
    convoy_status status = CONVOY_OK;
    struct container *container = NULL;
    struct stat info;
    uint64_t n = 0, n_bytes = 0;
    if (stat(scan->path, &info) != 0)
        TRY(FAIL(CONVOY_ERROR_IO, "%s: cannot open: %s", scan->path, strerror(errno)));
    TRY(container_open(scan->path, &container));
    TRY(list_archive(scan, container, 0, UINT64_MAX, &n));
    TRY(container_finish(container, &n_bytes));
    TRY(list_archives(scan, container));
    TRY(check_ends(scan->path, scan->listing, n_bytes));
    for (uint64_t i = 0; i < scan->listing->n; i++)
        scan->listing->entries[i].changed = file_changed_ns(&info);
cleanup:
    container_close(container);
    return status;
}

/* Length of the folders that all images' names begin with, as long as one is left of
 * each. */
static size_t common_folders(const struct listing *listing)
{
    const char *first = NULL;
    size_t n = 0;
    for (uint64_t i = 0; i < listing->n; i++) {
        if (!listing->entries[i].label) /* no image */
            continue;
        const char *name = listing_name(listing, i), *last = strrchr(name, '/');
        const size_t end = last ? (size_t)(last - name) : 0;
        size_t same = 0;
        if (!first) {
            first = name;
            n = strlen(name);
        }
        while (same < n && same < end && name[same] == first[same])
            same++;
        n = same;
    }
    while (n > 0 && first[n - 1] != '/')
        n--;
    return n;
}

/* Takes the first n bytes off the names of the files that lie in there, and the other
 * files out of the listing. */
static convoy_status enter_folders(const char *path, size_t n, struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    char folders[PATH_MAX];
    uint64_t kept = 0;
    if (n == 0 || n >= sizeof folders)
        return CONVOY_OK;
    for (uint64_t i = 0; i < listing->n && kept == 0; i++)
        if (listing->entries[i].label) {
            memcpy(folders, listing_name(listing, i), n);
            kept = 1;
        }
    kept = 0;
    for (uint64_t i = 0; i < listing->n; i++)
        if (strncmp(listing_name(listing, i), folders, n) == 0)
            listing->entries[kept++] = listing->entries[i];
        else
            TRY(texts_print(&listing->notes, "%s/%s: lies beside the class folders",
                            path, listing_name(listing, i)));
    listing->n = kept;
    texts_trim(&listing->names, n);
cleanup:
    return status;
}

static bool tar_matches(const char *path)
{
    struct stat info;
    struct container *container = NULL;
    uint8_t head[BLOCK];
    size_t got = 0;
    const char *slash = strrchr(path, '/');
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode))
        return false;
    if (strstr(slash ? slash : path, ".tar"))
        return true;
    if (container_open(path, &container) != CONVOY_OK)
        return false;
    const convoy_status status = container_take(container, 0, head, sizeof head, &got);
    container_close(container);
    return status == CONVOY_OK && tar_sniff(head, got);
}

static convoy_status sniff(void *context, const struct listing *listing, uint64_t i,
                           bool *is_image)
{
    (void)context;
    *is_image = listing->entries[i].label != 0; /* until there are labels */
    return CONVOY_OK;
}

static convoy_status tar_list(const char *path, const convoy_pack_options *options,
                              struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    struct devkit devkit = {.n_images = 0};
    struct scan scan = {.path = path, .inside = options->inside, .listing = listing};
    listing->is_container = true;
    if (options->devkit)
        TRY(devkit_read(options->devkit, &devkit));
    TRY(scan_all(&scan));
    if (listing->n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT, "%s: holds no files%s%s%s", path,
                 options->inside ? " inside '" : "",
                 options->inside ? options->inside : "", options->inside ? "'" : ""));
    if (!options->inside && scan.archives.n == 0)
        TRY(enter_folders(path, common_folders(listing), listing));
    const struct classes_rules rules = {path, options->devkit ? &devkit : NULL,
                                        options->classes, sniff, NULL};
    TRY(classes_find(&rules, listing));
cleanup:
    listing_free(&scan.archives);
    devkit_free(&devkit);
    return status;
}

const struct source_kind source_tar = {
    .name = "tar",
    .expects = "a tar archive of class folders or of one archive a class",
    .takes = SOURCE_DEVKIT | SOURCE_INSIDE,
    .matches = tar_matches,
    .list = tar_list,
};
