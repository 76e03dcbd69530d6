/* The files of an archive by name, as extracting it would leave them: of several with
 * one name the last, and links followed to what they lead to within the archive. */
#ifndef PACKING_TAR_TREE_H
#define PACKING_TAR_TREE_H

#include "packing/tar.h"
#include "packing/texts.h"

enum tar_node_kind {
    TAR_FILE,
    TAR_HARD_LINK, /* to a file that came before it */
    TAR_SYMBOLIC_LINK,
    TAR_OTHER /* has no bytes, and leads nowhere */
};

struct tar_node {
    enum tar_node_kind kind;
    bool is_image, is_tar; /* by its first bytes */
    size_t name, target;   /* texts of the tree; target: of links */
    uint64_t place, n_bytes;
    const char *problem; /* of TAR_OTHER */
};

/* Start with {0}. */
struct tar_tree {
    struct texts texts;
    struct tar_node *nodes; /* [n] in the archive's order */
    size_t capacity, n;
    size_t *sorted; /* [n_sorted] nodes by name, in tar_tree_visit */
    size_t n_sorted;
    uint64_t n_linked; /* files visited through links to folders */
};

/* A tar_visitor, whose context is the tree: adds the entry. "./" and "/" before its
 * name are left away. */
convoy_status tar_tree_add(void *tree, const struct tar_entry *entry);

/* file: what the name stands for; or NULL, and problem says why it stands for nothing.
 * Both are borrowed for the call. */
typedef convoy_status tar_tree_visitor(void *context, const char *name,
                                       const struct tar_node *file,
                                       const char *problem);

/* Visits every name, also those below links to folders, in byte order of the names.
 * Once: it changes the tree. Errors: FORMAT (links go round in circles), MEMORY, and
 * the visitor's. */
convoy_status tar_tree_visit(struct tar_tree *tree, tar_tree_visitor *visit,
                             void *context);

/* It is then {0}. */
void tar_tree_free(struct tar_tree *tree);

/* name without "./" and "/" before it. */
const char *tar_tree_strip(const char *name);

#endif
