/* Choosing records by class and by number.
 *
 * A list of classes has an item between each two commas: a class's name, its index, or
 * a range of indices, "0-4"; names count before ranges. A name that is also the index
 * of another class is refused. Kept classes are numbered anew from 0 in the order of
 * their indices; records keep their order. */
#include "pack/subset.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What items are looked up in. */
struct catalogue {
    const char *path;
    const struct source_facts *facts;
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

static long find_name(const struct source_facts *facts, const char *name)
{
    for (int c = 0; c < facts->n_classes; c++)
        if (strcmp(facts->class_names[c], name) == 0)
            return c;
    return -1;
}

/* "it has 3 classes: cat, dog, emu", or the first few. */
static convoy_status refuse_item(const struct catalogue *catalogue, const char *item,
                                 const char *why)
{
    enum { SHOWN = 10 };
    const struct source_facts *facts = catalogue->facts;
    char names[512] = "";
    for (int c = 0; c < facts->n_classes && c < SHOWN; c++) {
        const size_t n = strlen(names);
        snprintf(names + n, sizeof names - n, "%s%.40s", c ? ", " : "",
                 facts->class_names[c]);
    }
    return FAIL(CONVOY_ERROR_ARGUMENT,
                "classes '%s' %s; %s has the classes 0 to %d: %s%s", item, why,
                catalogue->path, facts->n_classes - 1, names,
                facts->n_classes > SHOWN ? ", ..." : "");
}

/* A name or an index. */
static convoy_status find_class(const struct catalogue *catalogue, const char *item,
                                struct range *found)
{
    const struct source_facts *facts = catalogue->facts;
    const long named = find_name(facts, item);
    long index;
    const char *end = read_index(item, &index);
    const bool is_index = end && !*end && index < facts->n_classes;
    if (named >= 0 && is_index && index != named)
        return FAIL(CONVOY_ERROR_ARGUMENT,
                    "classes '%s': in %s that is the name of class %ld and the index "
                    "of class '%s': give the index as a range, %ld-%ld or %ld-%ld",
                    item, catalogue->path, named, facts->class_names[index], named,
                    named, index, index);
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
    if (!end || *end || find_name(catalogue->facts, item) >= 0)
        return find_class(catalogue, item, found);
    if (found->first > found->last || found->last >= catalogue->facts->n_classes)
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

/* Fills labels, class names and the number of classes. */
static convoy_status choose_classes(const struct catalogue *catalogue, const char *list,
                                    struct subset *subset)
{
    convoy_status status = CONVOY_OK;
    const struct source_facts *all = catalogue->facts;
    const size_t n = (size_t)all->n_classes;
    bool *chosen = NULL;
    TRY(mem_alloc_array(n, sizeof *chosen, (void **)&chosen));
    TRY(mem_alloc_array(n, sizeof *subset->labels, (void **)&subset->labels));
    TRY(mem_alloc_array(n, sizeof *subset->class_names, (void **)&subset->class_names));
    if (list)
        TRY(read_list(catalogue, list, chosen));
    int kept = 0;
    for (int c = 0; c < all->n_classes; c++) {
        const bool keeps = !list || chosen[c];
        subset->labels[c] = keeps ? kept : -1;
        if (keeps)
            subset->class_names[kept++] = all->class_names[c];
    }
    subset->facts.class_names = subset->class_names;
    subset->facts.n_classes = kept;
cleanup:
    mem_free(chosen);
    return status;
}

/* Fills keep and what the facts say of records. max_per_class: 0 is no limit. */
static convoy_status choose_records(const struct source_kind *kind, const void *source,
                                    uint64_t n, uint64_t max_per_class,
                                    struct subset *subset)
{
    convoy_status status = CONVOY_OK;
    uint64_t *counts = NULL;
    TRY(mem_alloc_array((size_t)subset->facts.n_classes, sizeof *counts,
                        (void **)&counts));
    TRY(mem_alloc_array((size_t)n, sizeof *subset->keep, (void **)&subset->keep));
    for (uint64_t i = 0; i < n; i++) {
        const struct source_item item = kind->describe(source, i);
        const int32_t label = subset->labels[item.label];
        if (label < 0 || (max_per_class > 0 && counts[label] == max_per_class))
            continue;
        counts[label]++;
        subset->keep[i] = true;
        subset->facts.n_records++;
        subset->facts.n_bytes += item.n_bytes;
    }
cleanup:
    mem_free(counts);
    return status;
}

convoy_status subset_choose(const struct source_kind *kind, const void *source,
                            const char *path, const struct source_facts *all,
                            const convoy_pack_options *options, struct subset *subset)
{
    convoy_status status = CONVOY_OK;
    const struct catalogue catalogue = {path, all};
    const char *list = options ? options->classes : NULL;
    memcpy(subset->facts.shape, all->shape, sizeof all->shape);
    TRY(choose_classes(&catalogue, list, subset));
    TRY(choose_records(kind, source, all->n_records,
                       options ? options->max_per_class : 0, subset));
    if (subset->facts.n_records == 0)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT, "%s: has no records of the classes '%s'", path,
                 list));
cleanup:
    return status;
}

void subset_free(struct subset *subset)
{
    mem_free(subset->keep);
    mem_free(subset->labels);
    mem_free(subset->class_names);
    memset(subset, 0, sizeof *subset);
}
