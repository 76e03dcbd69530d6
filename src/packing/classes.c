/* Classes by folder or by ground truth.
 *
 * By folder, entries are first ordered by folder and name, so that each class is a run;
 * then runs get numbers. "a-b" comes after "a" although "a-b/1" comes before "a/1": the
 * folders are compared first, without the slash. */
#include "packing/classes.h"

#include "base/memory.h"
#include "packing/part_folders.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* Length of the first folder's name; 0: there is none. */
static size_t class_length(const char *name)
{
    const char *slash = strchr(name, '/');
    return slash ? (size_t)(slash - name) : 0;
}

static int compare_names(const void *a, const void *b, void *names)
{
    const struct listing_entry *x = a, *y = b;
    const char *p = texts_get(names, x->name), *q = texts_get(names, y->name);
    const size_t m = class_length(p), n = class_length(q);
    int order = memcmp(p, q, m < n ? m : n);
    if (order == 0)
        order = m != n ? (m < n ? -1 : 1) : strcmp(p + m, q + n);
    if (order == 0 && x->place != y->place)
        order = x->place < y->place ? -1 : 1;
    return order;
}

/* Orders the entries by compare_names. Of several with one name the last in the archive
 * is kept: it is the one that extracting would leave. */
static void order_by_name(struct listing *listing)
{
    uint64_t kept = 0;
    if (listing->n)
        qsort_r(listing->entries, listing->n, sizeof *listing->entries, compare_names,
                &listing->names);
    for (uint64_t i = 0; i < listing->n; i++) {
        if (kept > 0 &&
            strcmp(texts_get(&listing->names, listing->entries[kept - 1].name),
                   listing_name(listing, i)) == 0)
            kept--;
        listing->entries[kept++] = listing->entries[i];
    }
    listing->n = kept;
}

/* The end of the run of entries of one class that starts at first. */
static uint64_t end_of_class(const struct listing *listing, uint64_t first)
{
    const char *name = listing_name(listing, first);
    const size_t n = class_length(name) + 1;
    uint64_t i = first + 1;
    while (i < listing->n && strncmp(listing_name(listing, i), name, n) == 0)
        i++;
    return i;
}

/* Takes the entries that lie in no folder out; they are at the front. */
static convoy_status drop_loose(const char *path, struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    uint64_t n = 0;
    while (n < listing->n && class_length(listing_name(listing, n)) == 0) {
        TRY(texts_print(&listing->notes,
                        "%s/%s: is a file beside class folders; images belong into a "
                        "folder named after their class",
                        path, listing_name(listing, n)));
        n++;
    }
    listing->n -= n;
    if (listing->n && n)
        memmove(listing->entries, listing->entries + n,
                listing->n * sizeof *listing->entries);
cleanup:
    return status;
}

/* Whether one of the entries from first up to end is an image. */
static convoy_status has_image(const struct listing *listing, uint64_t first,
                               uint64_t end, classes_sniffer *sniff, void *context,
                               bool *found)
{
    convoy_status status = CONVOY_OK;
    *found = false;
    for (uint64_t i = first; i < end && !*found; i++)
        TRY(sniff(context, listing, i, found));
cleanup:
    return status;
}

/* Gives the entries of a class their label, and moves them to where the kept ones end.
 */
static convoy_status keep_class(struct listing *listing, uint64_t first, uint64_t end,
                                uint64_t *kept)
{
    char name[PATH_MAX];
    const char *text = listing_name(listing, first);
    const size_t n = class_length(text);
    if (n >= sizeof name || listing->classes.n >= INT32_MAX)
        return FAIL(CONVOY_ERROR_FORMAT, "%s: too long a name, or too many classes",
                    text);
    memcpy(name, text, n);
    name[n] = '\0';
    for (uint64_t i = first; i < end; i++) {
        listing->entries[*kept] = listing->entries[i];
        listing->entries[(*kept)++].label = (int32_t)listing->classes.n;
    }
    return texts_add(&listing->classes, name);
}

static convoy_status number_classes(const char *path, classes_sniffer *sniff,
                                    void *context, struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    uint64_t kept = 0;
    for (uint64_t i = 0, end; i < listing->n; i = end) {
        bool is_class = false;
        const char *name = listing_name(listing, i);
        end = end_of_class(listing, i);
        TRY(has_image(listing, i, end, sniff, context, &is_class));
        if (is_class)
            TRY(keep_class(listing, i, end, &kept));
        else
            TRY(texts_print(&listing->notes,
                            "%s/%.*s: is no class: none of its %" PRIu64
                            " files is a JPEG or PNG image",
                            path, (int)class_length(name), name, end - i));
    }
    listing->n = kept;
cleanup:
    return status;
}

/* Entries are ordered by compare_names. */
static convoy_status by_folder(const struct classes_rules *rules,
                               struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    const char *path = rules->path;
    TRY(drop_loose(path, listing));
    TRY(number_classes(path, rules->sniff, rules->context, listing));
    if (listing->classes.n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has no class folders; one folder a class, with its images, is "
                 "expected%s%s",
                 path, listing->notes.n ? "; " : "",
                 listing->notes.n ? texts_get(&listing->notes, 0) : ""));
    TRY(part_folders_refuse(path, rules->chosen, listing));
cleanup:
    return status;
}

/* The number before the last dot of the name, or 0. */
static uint64_t number_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *first = dot ? dot : name + strlen(name);
    while (first > name && first[-1] >= '0' && first[-1] <= '9')
        first--;
    return strtoull(first, NULL, 10);
}

/* Labels the entries; seen: [n_images] */
static convoy_status label_numbers(const char *path, const struct devkit *devkit,
                                   struct listing *listing, bool *seen)
{
    convoy_status status = CONVOY_OK;
    uint64_t kept = 0;
    for (uint64_t i = 0; i < listing->n; i++) {
        const char *name = listing_name(listing, i);
        const uint64_t number = number_of(name);
        const bool is_known = number >= 1 && number <= devkit->n_images;
        if (!is_known || seen[number - 1]) {
            TRY(texts_print(&listing->notes,
                            is_known ? "%s/%s: its number appeared before"
                                     : "%s/%s: has no number of a validation image in "
                                       "its name (ILSVRC2012_val_00000001.JPEG)",
                            path, name));
            continue;
        }
        seen[number - 1] = true;
        listing->entries[kept] = listing->entries[i];
        listing->entries[kept++].label = devkit->labels[number - 1];
    }
    listing->n = kept;
cleanup:
    return status;
}

static convoy_status note_missing(const char *path, const struct devkit *devkit,
                                  const bool *seen, struct listing *listing)
{
    uint64_t n = 0, first = 0;
    for (uint64_t i = devkit->n_images; i-- > 0;)
        if (!seen[i]) {
            n++;
            first = i + 1;
        }
    if (n == 0)
        return CONVOY_OK;
    return texts_print(&listing->notes,
                       "%s: %" PRIu64 " of the devkit's %" PRIu64
                       " validation images are missing, first number %" PRIu64,
                       path, n, devkit->n_images, first);
}

static convoy_status by_number(const char *path, const struct devkit *devkit,
                               struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    bool *seen = NULL;
    TRY(mem_alloc_array(devkit->n_images, sizeof *seen, (void **)&seen));
    TRY(label_numbers(path, devkit, listing, seen));
    if (listing->n == 0)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has no validation images (ILSVRC2012_val_00000001.JPEG, ...)",
                 path));
    TRY(note_missing(path, devkit, seen, listing));
    for (size_t c = 0; c < devkit->wnids.n; c++)
        TRY(texts_add(&listing->classes, texts_get(&devkit->wnids, c)));
    listing_sort(listing);
cleanup:
    mem_free(seen);
    return status;
}

static convoy_status check_classes(const char *path, const struct devkit *devkit,
                                   const struct listing *listing)
{
    const size_t n = listing->classes.n, m = devkit->wnids.n;
    size_t c = 0;
    while (c < n && c < m &&
           strcmp(texts_get(&listing->classes, c), texts_get(&devkit->wnids, c)) == 0)
        c++;
    if (c == n && c == m)
        return CONVOY_OK;
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: has %zu classes, the devkit %zu; class %zu is %s here, %s there: "
                "the two do not belong together",
                path, n, m, c, c < n ? texts_get(&listing->classes, c) : "missing",
                c < m ? texts_get(&devkit->wnids, c) : "missing");
}

convoy_status classes_find(const struct classes_rules *rules, struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    order_by_name(listing);
    /* Files in no folder come first. */
    const bool is_flat =
        listing->n && class_length(listing_name(listing, listing->n - 1)) == 0;
    if (is_flat && !rules->devkit)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: has no class folders, only files (%s); one folder a class, with "
                 "its images, is expected; ImageNet's validation images need --devkit",
                 rules->path, listing_name(listing, 0)));
    if (is_flat)
        return by_number(rules->path, rules->devkit, listing);
    TRY(by_folder(rules, listing));
    if (rules->devkit)
        TRY(check_classes(rules->path, rules->devkit, listing));
cleanup:
    return status;
}
