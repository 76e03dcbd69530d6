/* tar stores a file that has several names once, under the first, and the others as
 * hard links to that; a symbolic link is a text, relative to the folder it lies in,
 * which may name a folder, or lead through other links. A listing of folders follows
 * all of them, so that of an archive must.
 *
 * A hard link stands for what its target was when the link was written. Symbolic links
 * are followed at the end, on the names that are left, component by component; those
 * that leave the archive, or find nothing in it, are problems. Names below a folder are
 * a run in the sorted names, so a link to a folder is a walk through that run under
 * another name. A walk within a walk has a limit, for links to a folder above; so has
 * the number of files that links multiply. */
#include "packing/tar_tree.h"

#include "base/memory.h"
#include "image/image.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HOPS = 40, MAX_DEPTH = 32 };

/* Files that may be visited through links to folders: some, and so many an entry. */
enum { FREE_LINKED = 1 << 16, LINKED_AN_ENTRY = 16 };

struct walk {
    struct tar_tree *tree;
    tar_tree_visitor *visit;
    void *context;
};

const char *tar_tree_strip(const char *name)
{
    for (;;) {
        if (name[0] == '/')
            name++;
        else if (name[0] == '.' && name[1] == '/')
            name += 2;
        else
            return name;
    }
}

void tar_tree_free(struct tar_tree *tree)
{
    texts_free(&tree->texts);
    mem_free(tree->nodes);
    mem_free(tree->sorted);
    *tree = (struct tar_tree){.n = 0};
}

convoy_status tar_tree_add(void *context, const struct tar_entry *entry)
{
    convoy_status status = CONVOY_OK;
    struct tar_tree *tree = context;
    struct tar_node node = {.place = entry->place,
                            .n_bytes = entry->n_bytes,
                            .is_image = image_sniff(entry->head, entry->n_head) !=
                                        IMAGE_UNKNOWN,
                            .is_tar = tar_sniff(entry->head, entry->n_head),
                            .problem = entry->problem,
                            .name = tree->texts.n};
    TRY(texts_add(&tree->texts, tar_tree_strip(entry->name)));
    if (entry->link) {
        node.kind = entry->is_symbolic ? TAR_SYMBOLIC_LINK : TAR_HARD_LINK;
        node.target = tree->texts.n;
        TRY(texts_add(&tree->texts,
                      entry->is_symbolic ? entry->link : tar_tree_strip(entry->link)));
    } else if (entry->problem) {
        node.kind = TAR_OTHER;
    }
    TRY(mem_reserve((void **)&tree->nodes, &tree->capacity,
                    (tree->n + 1) * sizeof *tree->nodes));
    tree->nodes[tree->n++] = node;
cleanup:
    return status;
}

static const char *name_of(const struct tar_tree *tree, size_t i)
{
    return texts_get(&tree->texts, tree->nodes[i].name);
}

static int compare_nodes(const void *a, const void *b, void *tree)
{
    const size_t i = *(const size_t *)a, j = *(const size_t *)b;
    const int order = strcmp(name_of(tree, i), name_of(tree, j));
    return order ? order : (i > j) - (i < j);
}

static convoy_status sort_names(struct tar_tree *tree)
{
    convoy_status status =
        mem_alloc_array(tree->n, sizeof *tree->sorted, (void **)&tree->sorted);
    if (status != CONVOY_OK)
        return status;
    for (size_t i = 0; i < tree->n; i++)
        tree->sorted[i] = i;
    tree->n_sorted = tree->n;
    if (tree->n)
        qsort_r(tree->sorted, tree->n, sizeof *tree->sorted, compare_nodes, tree);
    return CONVOY_OK;
}

/* The first place in the sorted names that is not before text, and of those that are
 * text not before node number end. */
static size_t find_place(const struct tar_tree *tree, const char *text, size_t end)
{
    size_t low = 0, high = tree->n_sorted;
    while (low < high) {
        const size_t middle = low + (high - low) / 2, i = tree->sorted[middle];
        const int order = strcmp(name_of(tree, i), text);
        if (order < 0 || (order == 0 && i < end))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The last node of this name before node number end, or NULL. */
static struct tar_node *find_before(const struct tar_tree *tree, const char *name,
                                    size_t end)
{
    const size_t place = find_place(tree, name, end);
    const size_t i = place > 0 ? tree->sorted[place - 1] : 0;
    const bool is_there = place > 0 && strcmp(name_of(tree, i), name) == 0;
    return is_there ? &tree->nodes[i] : NULL;
}

/* Makes each hard link what its target is. In the archive's order, so that a target
 * that was a link itself is none any more. */
static void follow_hard_links(struct tar_tree *tree)
{
    for (size_t i = 0; i < tree->n; i++) {
        struct tar_node *node = &tree->nodes[i];
        if (node->kind != TAR_HARD_LINK)
            continue;
        const struct tar_node *to =
            find_before(tree, texts_get(&tree->texts, node->target), i);
        if (!to || to->kind == TAR_HARD_LINK)
            continue;
        const size_t name = node->name;
        *node = *to;
        node->name = name;
    }
}

/* Keeps the last node of each name. */
static void drop_replaced(struct tar_tree *tree)
{
    size_t kept = 0;
    for (size_t s = 0; s < tree->n_sorted; s++) {
        if (kept > 0 && strcmp(name_of(tree, tree->sorted[kept - 1]),
                               name_of(tree, tree->sorted[s])) == 0)
            kept--;
        tree->sorted[kept++] = tree->sorted[s];
    }
    tree->n_sorted = kept;
}

/* A path on its way: what is resolved, and what is still to be looked at. */
struct way {
    char done[PATH_MAX], rest[PATH_MAX];
    int n_hops;
};

static void leave_component(struct way *way)
{
    char *slash = strrchr(way->done, '/');
    *(slash ? slash : way->done) = '\0';
}

/* Goes on at the link's target, from the folder that the link lies in. */
static bool take_link(struct way *way, const char *target)
{
    char rest[PATH_MAX];
    snprintf(rest, sizeof rest, "%s", way->rest);
    leave_component(way);
    const int n = snprintf(way->rest, sizeof way->rest, "%s/%s", target, rest);
    return *target != '/' && n < PATH_MAX && ++way->n_hops <= MAX_HOPS;
}

/* Takes the first component of the rest; false: it leads out of the archive, or too far
 * round. */
static bool take_component(const struct tar_tree *tree, struct way *way)
{
    const size_t n = strcspn(way->rest, "/"), end = strlen(way->done);
    char component[PATH_MAX];
    snprintf(component, sizeof component, "%.*s", (int)n, way->rest);
    const size_t next = n + (way->rest[n] == '/');
    memmove(way->rest, way->rest + next, strlen(way->rest + next) + 1);
    if (n == 0 || strcmp(component, ".") == 0)
        return true;
    if (strcmp(component, "..") == 0) {
        const bool is_inside = end > 0;
        leave_component(way);
        return is_inside;
    }
    if (end + n + 2 > sizeof way->done)
        return false;
    snprintf(way->done + end, sizeof way->done - end, "%s%s", end ? "/" : "",
             component);
    const struct tar_node *node = find_before(tree, way->done, SIZE_MAX);
    if (!node || node->kind != TAR_SYMBOLIC_LINK)
        return true;
    return take_link(way, texts_get(&tree->texts, node->target));
}

/* Follows the symbolic links in the path; way->done is then where it leads. */
static bool follow(const struct tar_tree *tree, const char *path, struct way *way)
{
    way->n_hops = 0;
    way->done[0] = '\0';
    if (snprintf(way->rest, sizeof way->rest, "%s", path) >= PATH_MAX)
        return false;
    while (*way->rest)
        if (!take_component(tree, way))
            return false;
    return true;
}

static convoy_status walk_folder(const struct walk *walk, const char *from,
                                 const char *to, int depth);

static convoy_status tell_missing(const struct walk *walk, const char *name,
                                  const struct tar_node *node)
{
    char text[STATUS_TEXT_SIZE];
    snprintf(text, sizeof text, "is a %slink to '%s', which is not in the archive%s",
             node->kind == TAR_SYMBOLIC_LINK ? "symbolic " : "",
             texts_get(&walk->tree->texts, node->target),
             node->kind == TAR_SYMBOLIC_LINK ? "" : " before it");
    return walk->visit(walk->context, name, NULL, text);
}

/* Visits what the symbolic link leads to, under the link's name. */
static convoy_status visit_link(const struct walk *walk, const char *name,
                                const struct tar_node *node, int depth)
{
    convoy_status status = CONVOY_OK;
    struct tar_tree *tree = walk->tree;
    struct way *way = NULL; /* on the heap: walks go into each other */
    char *folder = NULL;
    TRY(mem_alloc(sizeof *way, (void **)&way));
    bool found = follow(tree, texts_get(&tree->texts, node->name), way);
    const struct tar_node *to = found ? find_before(tree, way->done, SIZE_MAX) : NULL;
    if (to) {
        TRY(walk->visit(walk->context, name, to->kind == TAR_FILE ? to : NULL,
                        to->problem));
        goto cleanup;
    }
    TRY(mem_alloc(PATH_MAX + 1, (void **)&folder));
    snprintf(folder, PATH_MAX + 1, "%s%s", way->done, *way->done ? "/" : "");
    const size_t place = find_place(tree, folder, 0);
    found = found && place < tree->n_sorted &&
            strncmp(name_of(tree, tree->sorted[place]), folder, strlen(folder)) == 0;
    if (found)
        TRY(walk_folder(walk, folder, name, depth + 1));
    else
        TRY(tell_missing(walk, name, node));
cleanup:
    mem_free(folder);
    mem_free(way);
    return status;
}

static convoy_status visit_node(const struct walk *walk, const char *name,
                                const struct tar_node *node, int depth)
{
    convoy_status status = CONVOY_OK;
    struct tar_tree *tree = walk->tree;
    const uint64_t most = FREE_LINKED + LINKED_AN_ENTRY * (uint64_t)tree->n;
    tree->n_linked += depth > 0;
    if (tree->n_linked > most)
        TRY(FAIL(CONVOY_ERROR_FORMAT,
                 "%s: links to folders make more than %" PRIu64
                 " files of the archive's %zu",
                 name, most, tree->n));
    if (node->kind == TAR_SYMBOLIC_LINK)
        TRY(visit_link(walk, name, node, depth));
    else if (node->kind == TAR_HARD_LINK)
        TRY(tell_missing(walk, name, node));
    else
        TRY(walk->visit(walk->context, name, node->kind == TAR_FILE ? node : NULL,
                        node->problem));
cleanup:
    return status;
}

/* Visits what lies below the folder `from` ("" or "a/b/"), named as if it lay below
 * `to` (NULL: as it is). */
static convoy_status walk_folder(const struct walk *walk, const char *from,
                                 const char *to, int depth)
{
    convoy_status status = CONVOY_OK;
    const struct tar_tree *tree = walk->tree;
    const size_t n = strlen(from);
    char *name = NULL;
    size_t capacity = 0;
    if (depth > MAX_DEPTH)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: links to folders are nested more than %d deep: a link to a "
                    "folder above?",
                    to, MAX_DEPTH);
    for (size_t s = find_place(tree, from, 0); s < tree->n_sorted; s++) {
        const char *old = name_of(tree, tree->sorted[s]);
        if (strncmp(old, from, n) != 0)
            break;
        if (to) {
            const size_t size = strlen(to) + strlen(old + n) + 2;
            TRY(mem_reserve((void **)&name, &capacity, size));
            snprintf(name, size, "%s/%s", to, old + n);
        }
        TRY(visit_node(walk, to ? name : old, &tree->nodes[tree->sorted[s]], depth));
    }
cleanup:
    mem_free(name);
    return status;
}

convoy_status tar_tree_visit(struct tar_tree *tree, tar_tree_visitor *visit,
                             void *context)
{
    convoy_status status = CONVOY_OK;
    const struct walk walk = {tree, visit, context};
    TRY(sort_names(tree));
    follow_hard_links(tree);
    drop_replaced(tree);
    TRY(walk_folder(&walk, "", NULL, 0));
cleanup:
    return status;
}
