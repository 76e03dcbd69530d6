/* Dividing a listing into parts, and recognising a folder that was begun before.
 *
 * Part k of N has the records floor(k n / N) up to floor((k + 1) n / N) of the listing,
 * whoever writes it. The folder has a text file, pack.txt, with the plan's id, and for
 * people what was packed. */
#include "packing/pack_plan.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/memory.h"
#include "base/owner.h"
#include "pack/pack_index.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MAX_THREADS = 1024, LEAST_SIDE = 16 };

/* Up to the first one file; more is divided into parts of the second. */
static const uint64_t one_file_bytes = UINT64_C(1) << 30, part_bytes = UINT64_C(1)
                                                                       << 29;

static const char manifest[] = "pack.txt", listing_end[] = ".listing.tmp";

static convoy_status check_range(const char *name, int value, int least, int most)
{
    if (value == 0 || (value >= least && value <= most))
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_ARGUMENT, "%s is %d, %d to %d is expected", name, value,
                least, most);
}

convoy_status pack_plan_check(const convoy_pack_options *options)
{
    convoy_status status = CONVOY_OK;
    const char *split = options->split;
    TRY(check_range("parts", options->parts, 1, PACK_MAX_PARTS));
    TRY(check_range("threads", options->threads, 1, MAX_THREADS));
    TRY(check_range("max-side", options->max_side, LEAST_SIDE, UINT16_MAX));
    TRY(check_range("quality", options->quality, 1, 100));
    if (options->quality && !options->max_side)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "quality is of images that max-side makes smaller: give that too"));
    if (split && strcmp(split, "train") != 0 && strcmp(split, "test") != 0)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "split is '%s', train or test is expected",
                 split));
cleanup:
    return status;
}

/* The folder that path lies in. */
static void parent_of(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) : 1;
    if (slash == path)
        n = 1;
    snprintf(out, PATH_MAX, "%.*s", n, slash ? path : ".");
}

/* The folder, or the first above it that exists. */
static void nearest_folder(const char *folder, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s", folder);
    while (!file_exists(out) && strcmp(out, ".") != 0 && strcmp(out, "/") != 0) {
        char *slash = strrchr(out, '/');
        if (slash && slash > out)
            *slash = '\0';
        else
            snprintf(out, PATH_MAX, "%s", slash ? "/" : ".");
    }
}

/* Whether both are folders and inner is outer or lies in it. */
static bool lies_in(const char *inner, const char *outer)
{
    char a[PATH_MAX], b[PATH_MAX];
    if (!file_is_folder(outer) || !realpath(inner, a) || !realpath(outer, b))
        return false;
    size_t n = strcmp(b, "/") == 0 ? 0 : strlen(b);
    return strncmp(a, b, n) == 0 && (a[n] == '/' || a[n] == '\0');
}

/* Makes a file beside output, and removes it. */
static convoy_status try_to_write(const char *output)
{
    char path[PATH_MAX];
    int fd = -1;
    const convoy_status status = file_make_temporary(output, path, sizeof path, &fd);
    if (status != CONVOY_OK)
        return status;
    close(fd);
    unlink(path);
    return CONVOY_OK;
}

convoy_status pack_plan_try_output(const char *source, const char *output)
{
    struct stat from, to;
    char parent[PATH_MAX], there[PATH_MAX];
    parent_of(output, parent);
    nearest_folder(parent, there);
    if (stat(source, &from) == 0 && stat(output, &to) == 0 &&
        from.st_dev == to.st_dev && from.st_ino == to.st_ino)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: is the source itself", output);
    if (lies_in(there, source))
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "%s: lies in the source %s; write the pack somewhere else", output,
                    source);
    const convoy_status status = file_make_folder(parent);
    return status == CONVOY_OK ? try_to_write(output) : status;
}

/* How many parts the folder was begun with; 0: it was not. */
static uint64_t parts_begun(const char *output)
{
    static const char key[] = "\nparts ";
    char path[PATH_MAX], *text = NULL;
    size_t n = 0;
    uint64_t parts = 0;
    if (file_join(output, manifest, path, sizeof path) == CONVOY_OK &&
        file_exists(path) && file_read_all(path, &text, &n) == CONVOY_OK) {
        const char *line = strstr(text, key);
        parts = line ? strtoull(line + strlen(key), NULL, 10) : 0;
    }
    mem_free(text);
    return parts > 1 && parts <= PACK_MAX_PARTS ? parts : 0;
}

/* As the options say, or as before: mending images may move their size past a limit; or
 * by the size. */
static convoy_status choose_parts(struct pack_plan *plan)
{
    const uint64_t n = plan->listing.n, bytes = listing_bytes(&plan->listing, 0, n);
    uint64_t parts =
        bytes <= one_file_bytes ? 1 : (bytes + part_bytes - 1) / part_bytes;
    parts = parts < PACK_MAX_PARTS ? parts : PACK_MAX_PARTS;
    parts = parts < n ? parts : n;
    const uint64_t begun = plan->options->parts ? 0 : parts_begun(plan->output);
    parts = begun && begun <= n ? begun : parts;
    plan->n_parts = plan->options->parts ? plan->options->parts : (int)parts;
    if ((uint64_t)plan->n_parts > n)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: %d parts of only %" PRIu64 " records",
                    plan->source, plan->n_parts, n);
    return CONVOY_OK;
}

convoy_status pack_plan_divide(struct pack_plan *plan)
{
    convoy_status status = CONVOY_OK;
    const convoy_pack_options *options = plan->options;
    struct hash *hash = NULL;
    if (plan->listing.is_raw && options->max_side)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s: max-side is for image files; this source has raw pixels",
                 plan->source));
    TRY(choose_parts(plan));
    TRY(hash_create(&hash));
    const int facts[] = {PACK_VERSION, plan->n_parts, options->max_side,
                         options->quality};
    hash_update(hash, facts, sizeof facts);
    listing_hash(&plan->listing, hash);
    hash_hex(hash, plan->id);
cleanup:
    hash_destroy(hash);
    return status;
}

void pack_plan_range(const struct pack_plan *plan, int k, uint64_t *first,
                     uint64_t *end)
{
    const uint64_t n = plan->listing.n, parts = (uint64_t)plan->n_parts;
    const uint64_t whole = n / parts, rest = n % parts, i = (uint64_t)k;
    *first = whole * i + rest * i / parts;
    *end = whole * (i + 1) + rest * (i + 1) / parts;
}

convoy_status pack_plan_state(const struct pack_plan *plan, int k, char state[33])
{
    uint64_t first = 0, end = 0;
    struct hash *hash = NULL;
    const convoy_status status = hash_create(&hash);
    if (status != CONVOY_OK)
        return status;
    pack_plan_range(plan, k, &first, &end);
    listing_hash_state(&plan->listing, first, end, hash);
    if (k == 0) /* whose file has the notes */
        listing_hash_notes(&plan->listing, hash);
    hash_hex(hash, state);
    hash_destroy(hash);
    return CONVOY_OK;
}

/* A disk that is too small shows now, not after hours. */
static convoy_status check_space(const struct pack_plan *plan)
{
    struct statvfs disk;
    char parent[PATH_MAX];
    parent_of(plan->output, parent);
    if (plan->options->max_side || statvfs(parent, &disk) != 0)
        return CONVOY_OK;
    const uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    const uint64_t bytes = listing_bytes(&plan->listing, 0, plan->listing.n);
    if (left < bytes)
        return FAIL(CONVOY_ERROR_IO,
                    "%s: the pack takes %" PRIu64 " bytes, its disk has only %" PRIu64
                    " left",
                    plan->output, bytes, left);
    return CONVOY_OK;
}

/* Length of the name of a file of ours that name begins with, or 0: base, if given,
 * else that of a part or the manifest. */
static size_t own_length(const char *name, const char *base)
{
    const size_t n = strlen(base ? base : manifest);
    if (strncmp(name, base ? base : manifest, n) == 0)
        return n;
    if (base || strncmp(name, "part-", 5) != 0)
        return 0;
    const size_t digits = strspn(name + 5, "0123456789");
    return strncmp(name + 5 + digits, ".h5", 3) == 0 ? 5 + digits + 3 : 0;
}

/* Whether name is a file of ours with ".OWNER.tmp", ".OWNER.frame.tmp" or
 * ".listing.tmp" behind it, and its owner is not at work. */
static bool is_leftover(const char *name, const char *base)
{
    static const char *const ends[] = {".frame.tmp", ".tmp"};
    const size_t n = own_length(name, base);
    if (n == 0 || name[n] != '.')
        return false;
    if (strcmp(name + n, listing_end) == 0)
        return true;
    const char *owner = name + n + 1;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char text[OWNER_SIZE];
        const size_t length = strlen(owner), tail = strlen(ends[i]);
        if (length <= tail || strcmp(owner + length - tail, ends[i]) != 0)
            continue;
        snprintf(text, sizeof text, "%.*s", (int)(length - tail), owner);
        return owner_is_done(text);
    }
    return false;
}

/* Counts what is in the folder besides leftovers. */
static convoy_status count_others(const char *folder, int *n)
{
    DIR *directory = opendir(folder);
    if (!directory)
        return FAIL(CONVOY_ERROR_IO, "%s: cannot list: %s", folder, strerror(errno));
    *n = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            !is_leftover(entry->d_name, NULL))
            ++*n;
    closedir(directory);
    return CONVOY_OK;
}

/* Removes temporary files of runs that were killed, as far as that can be done. */
static void sweep(const char *folder, const char *base)
{
    char path[PATH_MAX];
    DIR *directory = opendir(folder);
    if (!directory)
        return;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (is_leftover(entry->d_name, base) &&
            file_join(folder, entry->d_name, path, sizeof path) == CONVOY_OK)
            unlink(path);
    closedir(directory);
}

/* Whether the manifest is this plan's. */
static convoy_status check_manifest(const struct pack_plan *plan, const char *path)
{
    convoy_status status = CONVOY_OK;
    char line[64], *text = NULL, *old;
    size_t n = 0;
    TRY(file_read_all(path, &text, &n));
    snprintf(line, sizeof line, "plan %s\n", plan->id);
    if (strstr(text, line))
        goto cleanup;
    old = strstr(text, "source ");
    TRY(FAIL(CONVOY_ERROR_ARGUMENT,
             "%s: holds another pack or its beginning (%.*s): from another source, or "
             "files were added to it or removed since, or with other options; remove "
             "it or write somewhere else",
             plan->output, old ? (int)strcspn(old, "\n") : 0, old ? old : ""));
cleanup:
    mem_free(text);
    return status;
}

static convoy_status write_manifest(const struct pack_plan *plan, const char *path)
{
    char text[PATH_MAX + 512];
    const convoy_pack_options *o = plan->options;
    int n = snprintf(text, sizeof text,
                     "A pack of convoy. It is complete when all parts are there; the "
                     "command that began it finishes it.\n"
                     "plan %s\nparts %d\nlisted %" PRIu64 "\nsource %s\n",
                     plan->id, plan->n_parts, plan->listing.n, plan->source);
    if (o->max_side)
        n += snprintf(text + n, sizeof text - (size_t)n, "max-side %d\nquality %d\n",
                      o->max_side, o->quality);
    return file_write_whole(path, text, (size_t)n);
}

static convoy_status prepare_folder(const struct pack_plan *plan)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_MAX];
    int n_others = 0;
    if (file_exists(plan->output) && !file_is_folder(plan->output))
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s: is a file, and the pack gets a folder of %d parts: remove it, or "
                 "ask for one part",
                 plan->output, plan->n_parts));
    TRY(file_make_folder(plan->output));
    TRY(file_join(plan->output, manifest, path, sizeof path));
    if (file_exists(path)) {
        TRY(check_manifest(plan, path));
        sweep(plan->output, NULL);
        return CONVOY_OK;
    }
    TRY(count_others(plan->output, &n_others));
    if (n_others)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s: is a folder with other files in it; give the name of a new one",
                 plan->output));
    sweep(plan->output, NULL);
    TRY(check_space(plan));
    TRY(write_manifest(plan, path));
cleanup:
    return status;
}

convoy_status pack_plan_prepare(const struct pack_plan *plan)
{
    convoy_status status = CONVOY_OK;
    char parent[PATH_MAX];
    const char *slash = strrchr(plan->output, '/');
    parent_of(plan->output, parent);
    sweep(parent, slash ? slash + 1 : plan->output);
    if (plan->n_parts > 1)
        return prepare_folder(plan);
    if (plan->wants_folder || file_is_folder(plan->output))
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s: is a folder; give the pack's file name, or ask for parts",
                 plan->output));
    TRY(check_space(plan));
cleanup:
    return status;
}

static convoy_status name_shared(const struct pack_plan *plan, char path[PATH_MAX])
{
    const int n = snprintf(path, PATH_MAX, "%s%s", plan->output, listing_end);
    if (n < 0 || n >= PATH_MAX)
        return FAIL(CONVOY_ERROR_ARGUMENT, "%s: the path is too long", plan->output);
    return CONVOY_OK;
}

convoy_status pack_plan_share(const struct pack_plan *plan)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_MAX], line[64];
    TRY(name_shared(plan, path));
    snprintf(line, sizeof line, "%s %d", plan->id, plan->n_parts);
    TRY(listing_save(&plan->listing, line, path));
cleanup:
    return status;
}

convoy_status pack_plan_receive(struct pack_plan *plan)
{
    convoy_status status = CONVOY_OK;
    char path[PATH_MAX], *line = NULL;
    TRY(name_shared(plan, path));
    TRY(listing_load(path, &line, &plan->listing));
    snprintf(plan->id, sizeof plan->id, "%.32s", line);
    plan->n_parts = strlen(line) > 33 ? (int)strtol(line + 33, NULL, 10) : 1;
cleanup:
    mem_free(line);
    return status;
}

void pack_plan_unshare(const struct pack_plan *plan)
{
    char path[PATH_MAX];
    if (name_shared(plan, path) == CONVOY_OK)
        unlink(path);
}
