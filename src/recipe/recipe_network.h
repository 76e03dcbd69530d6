/* A recipe's own network: the list as it is written, and the layers that it stands
 * for. docs/custom-network.md says what the list means. */
#ifndef RECIPE_RECIPE_NETWORK_H
#define RECIPE_RECIPE_NETWORK_H

#include "recipe/recipe_catalog.h"
#include "recipe/recipe_keys.h"
#include "recipe/recipe_node.h"

enum {
    RECIPE_INPUT = -1,        /* the source that is the net's input */
    RECIPE_NAME_SIZE = 256,   /* of a layer's full name */
    RECIPE_MAX_LAYERS = 4096, /* of a network, and entries of its lists */
    RECIPE_WHERE_SIZE = 1024
};

/* One entry of a list: a layer, or a block of entries. */
struct recipe_entry {
    const struct option_owner *kind; /* NULL: a block */
    void *attributes;            /* of a layer: the kind's, complete; 0 for `classes` */
    uint64_t given;              /* bit i: option i of kind is there */
    char *name;                  /* within its list */
    bool is_named;               /* by `as`; else by its kind and number */
    struct recipe_texts from;    /* n 0: the entry before */
    int repeat;                  /* of a block: 0: once, without an index in names */
    struct recipe_entry *layers; /* of a block: [n_layers] */
    int n_layers;
    int line;        /* in the file, from 1 */
    char number[48]; /* "4.2": entry 2 in the layers of entry 4 */
};

/* A layer of the net. */
struct recipe_layer {
    const struct recipe_entry *entry;
    char *name; /* unique: "dense1.0.conv1" */
    int n_src;
    int *src; /* [n_src], numbers of earlier layers, or RECIPE_INPUT */
    bool used;
};

struct recipe_network {
    char *file;                  /* for messages */
    struct recipe_entry list;    /* a block: the whole */
    struct recipe_layer *layers; /* [n_layers], in an order in which they can be built;
                                    the last is the net's output */
    int n_layers;
};

/* Reads and checks a network of the catalogue's layers from node, all but shapes; an
 * empty list is NULL. file: its name, for messages, which name the line and the entry.
 * *network is new; free with recipe_network_destroy. */
convoy_status recipe_network_read(const struct recipe_catalog *catalog,
                                  yaml_document_t *document, const yaml_node_t *node,
                                  const char *file, struct recipe_network **network);

/* Takes NULL and half-read ones. */
void recipe_network_destroy(struct recipe_network *network);

/* Makes the layers that the list stands for. */
convoy_status recipe_network_unroll(struct recipe_network *network);

/* "FILE:LINE: entry 4.2 'NAME' (conv)"; name: the entry's, or a layer's full one. */
void recipe_entry_where(const char *file, const struct recipe_entry *entry,
                        const char *name, char out[RECIPE_WHERE_SIZE]);

#endif
