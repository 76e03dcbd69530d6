/* Choosing records by class and by number.
 *
 * A list of classes has an item between each two commas: a class's name, its index, or
 * a range of indices, "0-4"; names count before ranges. A name that is also the index
 * of another class is refused. Kept classes are numbered anew from 0 in the order of
 * their indices; records keep their order. Or they get the numbers that another pack
 * gives to their names. */
#include "packing/subset.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What items are looked up in. */
struct catalogue {
    const char *path;
    const struct texts *classes;
};

/* The classes from first to last. */
struct range {
    long first, last;
};

/* Reads digits, at most nine; NULL: there are none. */
static const char *read_index(const char *text, long *index)
{
    const size_t n = strspn(text, "0123456789");
    *index = n > 0 && n < 10 ? strtol(text, NULL, 10) : -1;
    return n > 0 && n < 10 ? text + n : NULL;
}

static long find_name(const struct texts *classes, const char *name)
{
    for (size_t c = 0; c < classes->n; c++)
        if (strcmp(texts_get(classes, c), name) == 0)
            return (long)c;
    return -1;
}

/* "it has 3 classes: cat, dog, emu", or the first few. */
static convoy_status refuse_item(const struct catalogue *catalogue, const char *item,
                                 const char *why)
{
    enum { SHOWN = 10 };
    const struct texts *classes = catalogue->classes;
    char names[512] = "";
    for (size_t c = 0; c < classes->n && c < SHOWN; c++) {
        const size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%.40s", c ? ", " : "",
                 texts_get(classes, c));
    }
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "classes '%s' %s; %s has the classes 0 to %zu: %s%s", item, why,
                catalogue->path, classes->n - 1, names,
                classes->n > SHOWN ? ", ..." : "");
}

/* A name or an index. */
static convoy_status find_class(const struct catalogue *catalogue, const char *item,
                                struct range *found)
{
    const struct texts *classes = catalogue->classes;
    const long named = find_name(classes, item);
    long index;
    const char *end = read_index(item, &index);
    const bool is_index = end && !*end && index < (long)classes->n;
    if (named >= 0 && is_index && index != named)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "classes '%s': in %s that is the name of class %ld and the index "
                    "of class '%s': give the index as a range, %ld-%ld or %ld-%ld",
                    item, catalogue->path, named, texts_get(classes, (size_t)index),
                    named, named, index, index);
    if (named < 0 && !is_index)
        return refuse_item(catalogue, item, "is neither a name nor an index");
    found->first = found->last = named >= 0 ? named : index;
    return CONVOY_OK;
}

static convoy_status find_classes(const struct catalogue *catalogue, const char *item,
                                  struct range *found)
{
    const char *end = read_index(item, &found->first);
    end = end && *end == '-' ? read_index(end + 1, &found->last) : NULL;
    if (!end || *end || find_name(catalogue->classes, item) >= 0)
        return find_class(catalogue, item, found);
    if (found->first > found->last || found->last >= (long)catalogue->classes->n)
        return refuse_item(catalogue, item, "is no range of indices");
    return CONVOY_OK;
}

/* Sets chosen [n_classes] for each class that list names. */
static convoy_status read_list(const struct catalogue *catalogue, const char *list,
                               bool *chosen)
{
    convoy_status status = CONVOY_OK;
    char *copy = NULL, *rest, *item;
    struct range range = {0, -1};
    TRY(mem_copy_text(list, &copy));
    rest = copy;
    while ((item = strsep(&rest, ","))) {
        TRY(find_classes(catalogue, item, &range));
        for (long c = range.first; c <= range.last; c++)
            chosen[c] = true;
    }
cleanup:
    mem_free(copy);
    return status;
}

/* Fills labels [classes of the source], the new number of each or -1, and kept, the
 * names of the classes that stay. */
static convoy_status choose_classes(const struct catalogue *catalogue, const char *list,
                                    int32_t *labels, struct texts *kept)
{
    convoy_status status = CONVOY_OK;
    const size_t n = catalogue->classes->n;
    bool *chosen = NULL;
    TRY(mem_alloc_array(n, sizeof *chosen, (void **)&chosen));
    if (list)
        TRY(read_list(catalogue, list, chosen));
    for (size_t c = 0; c < n; c++) {
        const bool keeps = !list || chosen[c];
        labels[c] = keeps ? (int32_t)kept->n : -1;
        if (keeps)
            TRY(texts_add(kept, texts_get(catalogue->classes, c)));
    }
cleanup:
    mem_free(chosen);
    return status;
}

/* Keeps the entries of classes that stay, at most so many each. max_per_class: 0 is no
 * limit. */
static convoy_status choose_records(const int32_t *labels, size_t n_classes,
                                    uint64_t max_per_class, struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    uint64_t *counts = NULL, kept = 0;
    TRY(mem_alloc_array(n_classes, sizeof *counts, (void **)&counts));
    for (uint64_t i = 0; i < listing->n; i++) {
        struct listing_entry entry = listing->entries[i];
        entry.label = labels[entry.label];
        if (entry.label < 0 ||
            (max_per_class > 0 && counts[entry.label] == max_per_class))
            continue;
        counts[entry.label]++;
        listing->entries[kept++] = entry;
    }
    listing->n = kept;
cleanup:
    mem_free(counts);
    return status;
}

/* Fills kept with the classes of the pack, and labels [classes of the source] with the
 * number of each of kept's names. */
static convoy_status take_classes(const struct catalogue *catalogue,
                                  const convoy_pack *pack, const char *other,
                                  int32_t *labels, struct texts *kept)
{
    convoy_status status = CONVOY_OK;
    const int n = convoy_pack_describe(pack)->n_classes;
    for (int c = 0; c < n; c++)
        TRY(texts_add(kept, convoy_pack_class_name(pack, c)));
    for (size_t c = 0; c < catalogue->classes->n; c++) {
        const char *name = texts_get(catalogue->classes, c);
        const long found = find_name(kept, name);
        if (found < 0)
            TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                     "%s: has the class '%s', which %s does not have among its %d: "
                     "leave it out with --classes, or give the pack that it belongs to",
                     catalogue->path, name, other, n));
        labels[c] = (int32_t)found;
    }
cleanup:
    return status;
}

/* Numbers the classes as the pack at path `other` does. */
static convoy_status number_as(const char *path, const char *other,
                               struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    const struct catalogue catalogue = {path, &listing->classes};
    struct texts kept = {.n = 0};
    convoy_pack *pack = NULL;
    int32_t *labels = NULL;
    TRY(convoy_pack_open(other, &pack));
    TRY(mem_alloc_array(listing->classes.n, sizeof *labels, (void **)&labels));
    TRY(take_classes(&catalogue, pack, other, labels, &kept));
    TRY(choose_records(labels, kept.n, 0, listing));
    texts_free(&listing->classes);
    listing->classes = kept;
    kept = (struct texts){.n = 0};
    if (!listing->is_raw)
        listing_sort(listing);
cleanup:
    convoy_pack_close(pack);
    texts_free(&kept);
    mem_free(labels);
    return status;
}

convoy_status subset_choose(const char *path, const convoy_pack_options *options,
                            struct listing *listing)
{
    convoy_status status = CONVOY_OK;
    const struct catalogue catalogue = {path, &listing->classes};
    struct texts kept = {.n = 0};
    int32_t *labels = NULL;
    TRY(mem_alloc_array(listing->classes.n, sizeof *labels, (void **)&labels));
    TRY(choose_classes(&catalogue, options->classes, labels, &kept));
    TRY(choose_records(labels, kept.n, options->max_per_class, listing));
    if (listing->n == 0)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "%s: has no records of the classes '%s'", path,
                 options->classes ? options->classes : "all"));
    texts_free(&listing->classes);
    listing->classes = kept;
    kept = (struct texts){.n = 0};
    if (options->classes_of)
        TRY(number_as(path, options->classes_of, listing));
cleanup:
    texts_free(&kept);
    mem_free(labels);
    return status;
}
