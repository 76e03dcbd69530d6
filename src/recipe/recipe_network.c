/* Reading a network's list: each entry is a word (relu), or a section with one kind of
 * layer and its options, or a block with `layers`; beside them stand `as`, `from` and
 * `repeat`. Kinds, options and their values are checked here; names and sources, where
 * the list is unrolled (recipe_layers.c); shapes, where the net is built.
 *
 * Messages begin with the file, the line, and the entry: its number in its list (4.2:
 * the second in the block that is the fourth), name and kind.
 */
#include "recipe/recipe_network.h"

#include "base/memory.h"
#include "recipe/recipe_value.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>

enum { MAX_DEPTH = 8, MAX_NAME = 63 };

struct parsing {
    const struct option_owner *const *kinds;
    yaml_document_t *document;
    const char *file;
    int n_entries; /* in all lists so far */
};

/* The parts of an entry's section; NULL: not there. */
struct parts {
    const yaml_node_t *as, *from, *repeat, *layers;
    const yaml_node_t *kind, *options; /* a layer's kind and what stands behind it */
};

void recipe_entry_where(const char *file, const struct recipe_entry *entry,
                        const char *name, char out[RECIPE_WHERE_SIZE])
{
    int n = snprintf(out, RECIPE_WHERE_SIZE, "%.511s:%d: entry %s", file, entry->line,
                     entry->number);
    if (name && n > 0)
        snprintf(out + n, (size_t)(RECIPE_WHERE_SIZE - n), " '%s' (%s)", name,
                 entry->kind ? entry->kind->name : "block");
}

/* Fails with the place of node in entry and the text. */
__attribute__((format(printf, 4, 5))) static convoy_status
reject(const struct parsing *x, const struct recipe_entry *entry,
       const yaml_node_t *node, const char *format, ...)
{
    char where[RECIPE_WHERE_SIZE], text[STATUS_TEXT_SIZE];
    struct recipe_entry here = *entry;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    here.line = (int)node->start_mark.line + 1;
    recipe_entry_where(x->file, &here, entry->name, where);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: %s", where, text);
}

/* The kind called name that an entry can have; NULL: none. */
static const struct option_owner *find_kind(const struct parsing *x, const char *name)
{
    const struct option_owner *kind = option_owner_find(x->kinds, name);
    return kind && !kind->is_loss ? kind : NULL;
}

static void keep_nearer(const char *name, const char *known, int *best,
                        const char **nearest)
{
    const int distance = recipe_unlikeness(name, known);
    if (distance < *best) {
        *best = distance;
        *nearest = known;
    }
}

/* The kind, or word of an entry ("as", …), that name was most likely meant to be. */
static const char *nearest_kind(const struct parsing *x, const char *name)
{
    static const char *const words[] = {"as", "from", "repeat", "layers"};
    const char *nearest = NULL;
    int best = INT_MAX;
    for (int i = 0; x->kinds[i]; i++)
        if (!x->kinds[i]->is_loss)
            keep_nearer(name, x->kinds[i]->name, &best, &nearest);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        keep_nearer(name, words[i], &best, &nearest);
    return nearest;
}

/* The option of kind that name was most likely meant to be; kind has options. */
static const char *nearest_option(const struct option_owner *kind, const char *name)
{
    const char *nearest = NULL;
    int best = INT_MAX;
    for (int i = 0; i < kind->n_options; i++)
        keep_nearer(name, kind->options[i].name, &best, &nearest);
    return nearest;
}

static convoy_status reject_kind(const struct parsing *x,
                                 const struct recipe_entry *entry,
                                 const yaml_node_t *node)
{
    char shown[RECIPE_SHOWN_SIZE];
    const char *text = recipe_node_text(node);
    recipe_show_text(text, shown);
    if (option_owner_find(x->kinds, text))
        return reject(x, entry, node,
                      "the loss '%s' is added behind the last entry by itself; remove "
                      "this one",
                      text);
    return reject(x, entry, node, "kind '%s' is unknown; the nearest is '%s'", shown,
                  nearest_kind(x, text));
}

static const yaml_node_t *node_at(const struct parsing *x, int index)
{
    return yaml_document_get_node(x->document, index);
}

/* Puts value where the key of a pair says. */
static convoy_status take_part(const struct parsing *x,
                               const struct recipe_entry *entry, const yaml_node_t *key,
                               const yaml_node_t *value, struct parts *parts)
{
    if (!recipe_node_is_text(key))
        return reject(x, entry, key,
                      "a list or a section stands as a key, expected a "
                      "kind of layer");
    const char *text = recipe_node_text(key);
    const yaml_node_t **part = strcmp(text, "as") == 0       ? &parts->as
                               : strcmp(text, "from") == 0   ? &parts->from
                               : strcmp(text, "repeat") == 0 ? &parts->repeat
                               : strcmp(text, "layers") == 0 ? &parts->layers
                                                             : &parts->options;
    if (part == &parts->options && !find_kind(x, text))
        return reject_kind(x, entry, key);
    if (*part && part == &parts->options)
        return reject(x, entry, key,
                      "has two kinds, '%s' and '%s'; make two entries of it",
                      recipe_node_text(parts->kind), text);
    if (*part)
        return reject(x, entry, key, "key '%s' is there twice", text);
    if (part == &parts->options)
        parts->kind = key;
    *part = value;
    return CONVOY_OK;
}

static convoy_status find_parts(const struct parsing *x,
                                const struct recipe_entry *entry,
                                const yaml_node_t *node, struct parts *parts)
{
    convoy_status status = CONVOY_OK;
    if (recipe_node_is_text(node)) {
        parts->kind = node;
        return find_kind(x, recipe_node_text(node)) ? CONVOY_OK
                                                    : reject_kind(x, entry, node);
    }
    if (node->type != YAML_MAPPING_NODE) {
        char found[RECIPE_FOUND_SIZE];
        recipe_node_describe(node, found);
        return reject(x, entry, node, "is %s, expected a kind of layer", found);
    }
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    for (; pair < node->data.mapping.pairs.top; pair++)
        TRY(take_part(x, entry, node_at(x, pair->key), node_at(x, pair->value), parts));
    if (parts->kind && parts->layers)
        return reject(x, entry, parts->layers,
                      "has a kind, '%s', and layers; make two entries of it",
                      recipe_node_text(parts->kind));
    if (!parts->kind && !parts->layers)
        return reject(x, entry, node, "has no kind of layer, and no layers");
    if (parts->kind && parts->repeat)
        return reject(x, entry, parts->repeat,
                      "repeats a single layer; put it into layers");
cleanup:
    return status;
}

/* Letters, digits, '_' and '-', in parts with single dots between. */
static bool is_name(const char *text)
{
    bool dot = true;
    for (; *text; text++) {
        if (*text == '.' ? dot : !isalnum((unsigned char)*text) && !strchr("_-", *text))
            return false;
        dot = *text == '.';
    }
    return !dot;
}

static bool is_reserved(const char *text)
{
    return strcmp(text, "in") == 0 || strcmp(text, "input") == 0 ||
           strcmp(text, "loss") == 0;
}

static convoy_status read_name(const struct parsing *x, struct recipe_entry *entry,
                               const yaml_node_t *as)
{
    char found[RECIPE_FOUND_SIZE];
    recipe_node_describe(as, found);
    if (!recipe_node_is_text(as) || strlen(recipe_node_text(as)) > MAX_NAME ||
        !is_name(recipe_node_text(as)))
        return reject(x, entry, as,
                      "key 'as' is %s, expected a name of at most %d letters, digits, "
                      "'_', '-' and single dots between them",
                      found, MAX_NAME);
    if (is_reserved(recipe_node_text(as)))
        return reject(x, entry, as, "key 'as' is %s, which has a meaning of its own",
                      found);
    entry->is_named = true;
    return mem_copy_text(recipe_node_text(as), &entry->name);
}

/* "conv3" for the third conv of the list, named or not; entry is the n-th in list. */
static convoy_status number_name(const struct recipe_entry *list, int n,
                                 struct recipe_entry *entry)
{
    char name[MAX_NAME + 1];
    int count = 1;
    for (int i = 0; i < n; i++)
        count += list[i].kind == entry->kind;
    snprintf(name, sizeof name, "%s%d", entry->kind ? entry->kind->name : "block",
             count);
    return mem_copy_text(name, &entry->name);
}

static convoy_status add_from(const struct parsing *x, struct recipe_entry *entry,
                              const yaml_node_t *node)
{
    char found[RECIPE_FOUND_SIZE];
    recipe_node_describe(node, found);
    if (!recipe_node_is_text(node) || strlen(recipe_node_text(node)) > MAX_NAME)
        return reject(x, entry, node, "key 'from' names %s, expected an entry's name",
                      found);
    convoy_status status =
        mem_copy_text(recipe_node_text(node), &entry->from.values[entry->from.n]);
    entry->from.n += status == CONVOY_OK;
    return status;
}

static convoy_status read_from(const struct parsing *x, struct recipe_entry *entry,
                               const yaml_node_t *node)
{
    convoy_status status = CONVOY_OK;
    const bool is_list = node->type == YAML_SEQUENCE_NODE;
    const yaml_node_item_t *item = is_list ? node->data.sequence.items.start : NULL;
    const size_t n = is_list ? (size_t)(node->data.sequence.items.top - item) : 1;
    if (n == 0 || n > RECIPE_MAX_ENTRIES)
        return reject(x, entry, node, "key 'from' names %zu entries, expected 1 to %d",
                      n, RECIPE_MAX_ENTRIES);
    TRY(mem_alloc_array(n, sizeof *entry->from.values, (void **)&entry->from.values));
    for (size_t i = 0; i < n; i++)
        TRY(add_from(x, entry, is_list ? node_at(x, item[i]) : node));
cleanup:
    return status;
}

static convoy_status check_n_from(const struct parsing *x,
                                  const struct recipe_entry *entry,
                                  const yaml_node_t *node)
{
    const int n = entry->from.n ? entry->from.n : 1;
    const int max = entry->kind ? entry->kind->max_src : 1;
    int min = entry->kind ? entry->kind->min_src : 1;
    if (max > 1 && min < 2)
        min = 2; /* one alone is a slip */
    if (n >= min && n <= max)
        return CONVOY_OK;
    if (max == 1)
        return reject(x, entry, node, "takes one input, found %d in `from`", n);
    return reject(x, entry, node,
                  "takes %d to %d inputs, found %d; list them in `from`", min, max, n);
}

static convoy_status read_option(const struct parsing *x, struct recipe_entry *entry,
                                 const yaml_node_t *key, const yaml_node_t *value)
{
    char where[RECIPE_WHERE_SIZE], shown[RECIPE_SHOWN_SIZE];
    const struct option_owner *kind = entry->kind;
    if (!recipe_node_is_text(key))
        return reject(x, entry, key, "a list or a section stands as an option's name");
    recipe_show_text(recipe_node_text(key), shown);
    const int i = option_find(kind->options, kind->n_options, recipe_node_text(key));
    if (i < 0 && kind->n_options == 0)
        return reject(x, entry, key, "key '%s' is unknown: a %s has no options", shown,
                      kind->name);
    if (i < 0)
        return reject(x, entry, key, "key '%s' is unknown; the nearest is '%s'", shown,
                      nearest_option(kind, recipe_node_text(key)));
    if (entry->given & UINT64_C(1) << i)
        return reject(x, entry, key, "key '%s' is there twice", shown);
    if (recipe_node_has_tag(value))
        return reject(x, entry, value, "key '%s' has a YAML tag; remove it", shown);
    struct recipe_entry here = *entry;
    here.line = (int)key->start_mark.line + 1;
    recipe_entry_where(x->file, &here, entry->name, where);
    entry->given |= UINT64_C(1) << i;
    return recipe_value_read(&kind->options[i], x->document, value, where,
                             entry->attributes);
}

static convoy_status read_options(const struct parsing *x, struct recipe_entry *entry,
                                  const struct parts *parts)
{
    convoy_status status = CONVOY_OK;
    const struct option_owner *kind = entry->kind;
    const yaml_node_t *node = parts->options;
    if (kind->size > 0)
        TRY(mem_alloc(kind->size, &entry->attributes));
    if (node && node->type == YAML_MAPPING_NODE) {
        const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
        for (; pair < node->data.mapping.pairs.top; pair++)
            TRY(read_option(x, entry, node_at(x, pair->key), node_at(x, pair->value)));
    } else if (node && !recipe_node_is_null(node)) {
        char found[RECIPE_FOUND_SIZE];
        recipe_node_describe(node, found);
        return reject(x, entry, node, "key '%s' is %s, expected a section of options",
                      kind->name, found);
    }
    for (int i = 0; i < kind->n_options; i++)
        if (!kind->options[i].default_text && !(entry->given & UINT64_C(1) << i))
            return reject(x, entry, parts->kind,
                          "key '%s' is missing and has no default; add it (%s)",
                          kind->options[i].name, kind->options[i].help);
    for (int i = 0; i < kind->n_options; i++)
        if (!(entry->given & UINT64_C(1) << i))
            option_set_default(kind, i, entry->attributes);
cleanup:
    return status;
}

static convoy_status read_repeat(const struct parsing *x, struct recipe_entry *entry,
                                 const yaml_node_t *node)
{
    long long n = 0;
    char found[RECIPE_FOUND_SIZE];
    recipe_node_describe(node, found);
    if (node->type != YAML_SCALAR_NODE || !recipe_node_integer(node, &n) || n < 1 ||
        n > RECIPE_MAX_LAYERS)
        return reject(x, entry, node,
                      "key 'repeat' is %s, expected an integer at least 1 and at most "
                      "%d",
                      found, RECIPE_MAX_LAYERS);
    entry->repeat = (int)n;
    return CONVOY_OK;
}

static convoy_status read_list(struct parsing *x, const yaml_node_t *node, int depth,
                               struct recipe_entry *block);

/* Reads the entry number n (from 0) of block. */
static convoy_status read_entry(struct parsing *x, const yaml_node_t *node, int depth,
                                const struct recipe_entry *block, int n)
{
    convoy_status status = CONVOY_OK;
    struct recipe_entry *entry = &block->layers[n];
    struct parts parts = {0};
    entry->line = (int)node->start_mark.line + 1;
    snprintf(entry->number, sizeof entry->number, "%.36s%s%d", block->number,
             *block->number ? "." : "", n + 1);
    if (++x->n_entries > RECIPE_MAX_LAYERS)
        return reject(x, entry, node, "is one too many: a network has at most %d",
                      RECIPE_MAX_LAYERS);
    if (recipe_node_has_tag(node))
        return reject(x, entry, node, "has a YAML tag; remove it");
    TRY(find_parts(x, entry, node, &parts));
    if (parts.kind)
        entry->kind = find_kind(x, recipe_node_text(parts.kind));
    if (parts.as)
        TRY(read_name(x, entry, parts.as));
    else
        TRY(number_name(block->layers, n, entry));
    if (parts.from)
        TRY(read_from(x, entry, parts.from));
    TRY(check_n_from(x, entry, parts.from ? parts.from : node));
    if (parts.repeat)
        TRY(read_repeat(x, entry, parts.repeat));
    if (parts.layers)
        TRY(read_list(x, parts.layers, depth + 1, entry));
    else
        TRY(read_options(x, entry, &parts));
cleanup:
    return status;
}

/* Reads node as the layers of block. */
static convoy_status read_list(struct parsing *x, const yaml_node_t *node, int depth,
                               struct recipe_entry *block)
{
    convoy_status status = CONVOY_OK;
    char found[RECIPE_FOUND_SIZE];
    recipe_node_describe(node, found);
    if (node->type != YAML_SEQUENCE_NODE)
        return reject(x, block, node, "key 'layers' is %s, expected a list of entries",
                      found);
    const yaml_node_item_t *item = node->data.sequence.items.start;
    const size_t n = (size_t)(node->data.sequence.items.top - item);
    if (n == 0)
        return reject(x, block, node, "key 'layers' is an empty list");
    if (depth > MAX_DEPTH)
        return reject(x, block, node, "is a block within more than %d others",
                      MAX_DEPTH - 1);
    if (n > RECIPE_MAX_LAYERS)
        return reject(x, block, node, "has %zu entries, expected at most %d", n,
                      RECIPE_MAX_LAYERS);
    TRY(mem_alloc_array(n, sizeof *block->layers, (void **)&block->layers));
    for (; item < node->data.sequence.items.top; item++) {
        block->n_layers++;
        TRY(read_entry(x, node_at(x, *item), depth, block, block->n_layers - 1));
    }
cleanup:
    return status;
}

convoy_status recipe_network_read(const struct recipe_catalog *catalog,
                                  yaml_document_t *document, const yaml_node_t *node,
                                  const char *file, struct recipe_network **network)
{
    convoy_status status = CONVOY_OK;
    struct recipe_network *made = NULL;
    struct parsing x = {.kinds = catalog->layers, .document = document, .file = file};
    if (node->type != YAML_SEQUENCE_NODE) {
        char found[RECIPE_FOUND_SIZE];
        recipe_node_describe(node, found);
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s:%zu: key 'network' is %s, expected a list of layers", file,
                    node->start_mark.line + 1, found);
    }
    if (node->data.sequence.items.start == node->data.sequence.items.top) {
        *network = NULL;
        return CONVOY_OK;
    }
    TRY(mem_alloc(sizeof *made, (void **)&made));
    TRY(mem_copy_text(file, &made->file));
    TRY(read_list(&x, node, 0, &made->list));
    TRY(recipe_network_unroll(made));
    *network = made;
    made = NULL;
cleanup:
    recipe_network_destroy(made);
    return status;
}

static void free_entry(struct recipe_entry *entry)
{
    for (int i = 0; i < entry->n_layers; i++)
        free_entry(&entry->layers[i]);
    for (int i = 0; i < entry->from.n; i++)
        mem_free(entry->from.values[i]);
    mem_free(entry->from.values);
    mem_free(entry->layers);
    mem_free(entry->attributes);
    mem_free(entry->name);
}

void recipe_network_destroy(struct recipe_network *network)
{
    if (!network)
        return;
    for (int i = 0; i < network->n_layers; i++) {
        mem_free(network->layers[i].name);
        mem_free(network->layers[i].src);
    }
    mem_free(network->layers);
    free_entry(&network->list);
    mem_free(network->file);
    mem_free(network);
}
