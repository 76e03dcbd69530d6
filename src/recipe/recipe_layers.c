/* Unrolling a network: from the list with its blocks to layers one after another.
 *
 * Every name belongs to a scope, which is a prefix: "" for the list itself, "dense1.0."
 * for the first repetition of the block dense1. A name in `from` is looked for in the
 * scope where it stands, then in those around it; since a full name is a prefix and a
 * name, "dense1.0.conv1" can be named from outside. A name can be used only after the
 * entry that it names.
 */
#include "recipe/recipe_network.h"

#include "base/memory.h"

#include <stdarg.h>
#include <string.h>

enum { N_BUCKETS = 4096 };

/* What a full name stands for: a layer or RECIPE_INPUT. */
struct symbol {
    char *name;
    int layer;
    int next; /* 1 + the number of another symbol in its bucket; 0: none */
};

struct unrolling {
    struct recipe_network *network;
    size_t layers_bytes;
    struct symbol *symbols; /* [n_symbols] */
    int n_symbols;
    size_t symbols_bytes;
    int buckets[N_BUCKETS]; /* 1 + the number of a symbol; 0: none */
};

struct scope {
    const struct scope *around; /* NULL: none */
    char prefix[RECIPE_NAME_SIZE];
    int in; /* what comes into it */
};

__attribute__((format(printf, 4, 5))) static convoy_status
reject(const struct unrolling *u, const struct recipe_entry *entry, const char *name,
       const char *format, ...)
{
    char where[RECIPE_WHERE_SIZE], text[STATUS_TEXT_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    recipe_entry_where(u->network->file, entry, name, where);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: %s", where, text);
}

/* FNV-1a. */
static unsigned bucket_of(const char *name)
{
    uint32_t hash = 2166136261U;
    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619U;
    return hash % N_BUCKETS;
}

static const struct symbol *find_symbol(const struct unrolling *u, const char *name)
{
    if (!u->symbols)
        return NULL;
    for (int i = u->buckets[bucket_of(name)]; i; i = u->symbols[i - 1].next)
        if (strcmp(u->symbols[i - 1].name, name) == 0)
            return &u->symbols[i - 1];
    return NULL;
}

static convoy_status define(struct unrolling *u, const struct recipe_entry *entry,
                            const char *name, int layer)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)u->n_symbols + 1;
    if (find_symbol(u, name))
        return reject(u, entry, name,
                      "an entry before it has the same name; give one "
                      "of them another with `as`");
    if (n * sizeof *u->symbols > u->symbols_bytes)
        TRY(mem_reserve((void **)&u->symbols, &u->symbols_bytes,
                        2 * n * sizeof *u->symbols));
    struct symbol *symbol = &u->symbols[u->n_symbols];
    int *bucket = &u->buckets[bucket_of(name)];
    *symbol = (struct symbol){.layer = layer, .next = *bucket};
    TRY(mem_copy_text(name, &symbol->name));
    *bucket = ++u->n_symbols;
cleanup:
    return status;
}

/* name as one would write it in scope. */
static const char *name_within(const struct scope *scope, const char *name)
{
    for (; scope; scope = scope->around) {
        const size_t n = strlen(scope->prefix);
        if (strncmp(name, scope->prefix, n) == 0)
            return name + n;
    }
    return name;
}

static convoy_status reject_source(const struct unrolling *u, const struct scope *scope,
                                   const struct recipe_entry *entry, const char *name,
                                   const char *source)
{
    const char *nearest = "in";
    char shown[RECIPE_SHOWN_SIZE];
    int best = recipe_unlikeness(source, nearest);
    for (int i = 0; i < u->n_symbols; i++) {
        const char *candidate = name_within(scope, u->symbols[i].name);
        const int distance = recipe_unlikeness(source, candidate);
        if (distance <= best) {
            best = distance;
            nearest = candidate;
        }
    }
    recipe_show_text(source, shown);
    return reject(u, entry, name,
                  "key 'from' names '%s', and no entry before it is called so; the "
                  "nearest is '%s'",
                  shown, nearest);
}

/* The layer that source means in scope, for the entry called name. */
static convoy_status find_source(const struct unrolling *u, const struct scope *scope,
                                 const struct recipe_entry *entry, const char *name,
                                 const char *source, int *layer)
{
    char full[RECIPE_NAME_SIZE + 64];
    if (strcmp(source, "input") == 0 || strcmp(source, "in") == 0) {
        *layer = strcmp(source, "in") == 0 ? scope->in : RECIPE_INPUT;
        return CONVOY_OK;
    }
    for (const struct scope *s = scope; s; s = s->around) {
        snprintf(full, sizeof full, "%s%s", s->prefix, source);
        const struct symbol *symbol = find_symbol(u, full);
        if (symbol) {
            *layer = symbol->layer;
            return CONVOY_OK;
        }
    }
    return reject_source(u, scope, entry, name, source);
}

static void mark_used(const struct unrolling *u, int layer)
{
    if (layer != RECIPE_INPUT)
        u->network->layers[layer].used = true;
}

/* A new layer with room for its sources. */
static convoy_status append(struct unrolling *u, const struct recipe_entry *entry,
                            const char *name)
{
    convoy_status status = CONVOY_OK;
    struct recipe_network *network = u->network;
    const size_t n = (size_t)network->n_layers + 1;
    if (n > RECIPE_MAX_LAYERS)
        return reject(u, entry, name, "is one layer too many: a network has at most %d",
                      RECIPE_MAX_LAYERS);
    if (n * sizeof *network->layers > u->layers_bytes)
        TRY(mem_reserve((void **)&network->layers, &u->layers_bytes,
                        2 * n * sizeof *network->layers));
    struct recipe_layer *made = &network->layers[network->n_layers++];
    *made = (struct recipe_layer){.entry = entry};
    made->n_src = entry->from.n ? entry->from.n : 1;
    TRY(mem_copy_text(name, &made->name));
    TRY(mem_alloc_array((size_t)made->n_src, sizeof *made->src, (void **)&made->src));
cleanup:
    return status;
}

static convoy_status unroll_layer(struct unrolling *u, const struct scope *scope,
                                  const struct recipe_entry *entry, const char *name,
                                  int *at)
{
    convoy_status status = CONVOY_OK;
    TRY(append(u, entry, name));
    struct recipe_layer *layer = &u->network->layers[u->network->n_layers - 1];
    layer->src[0] = *at;
    for (int i = 0; i < entry->from.n; i++)
        TRY(find_source(u, scope, entry, name, entry->from.values[i], &layer->src[i]));
    for (int i = 0; i < layer->n_src; i++)
        mark_used(u, layer->src[i]);
    *at = u->network->n_layers - 1;
cleanup:
    return status;
}

static convoy_status unroll_list(struct unrolling *u, const struct recipe_entry *block,
                                 const struct scope *scope, int *at);

/* One after another, each repetition on what the one before gave. */
static convoy_status unroll_block(struct unrolling *u, const struct scope *around,
                                  const struct recipe_entry *entry, const char *name,
                                  int *at)
{
    convoy_status status = CONVOY_OK;
    struct scope scope = {.around = around};
    if (entry->from.n)
        TRY(find_source(u, around, entry, name, entry->from.values[0], at));
    for (int i = 0; i < (entry->repeat ? entry->repeat : 1); i++) {
        char repetition[RECIPE_NAME_SIZE];
        int n = snprintf(repetition, sizeof repetition, "%s", name);
        if (entry->repeat)
            n = snprintf(repetition, sizeof repetition, "%s.%d", name, i);
        if (n + 1 >= RECIPE_NAME_SIZE)
            TRY(reject(u, entry, name, "makes names that are too long"));
        snprintf(scope.prefix, sizeof scope.prefix, "%s.", repetition);
        scope.in = *at;
        TRY(unroll_list(u, entry, &scope, at));
        if (entry->repeat)
            TRY(define(u, entry, repetition, *at));
    }
cleanup:
    return status;
}

/* at: what comes in, then what goes out. */
static convoy_status unroll_list(struct unrolling *u, const struct recipe_entry *block,
                                 const struct scope *scope, int *at)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < block->n_layers; i++) {
        const struct recipe_entry *entry = &block->layers[i];
        char name[RECIPE_NAME_SIZE];
        int n = snprintf(name, sizeof name, "%s%s", scope->prefix, entry->name);
        if (n >= RECIPE_NAME_SIZE)
            TRY(reject(u, entry, entry->name, "makes a name that is too long"));
        if (entry->kind)
            TRY(unroll_layer(u, scope, entry, name, at));
        else
            TRY(unroll_block(u, scope, entry, name, at));
        TRY(define(u, entry, name, *at));
    }
cleanup:
    return status;
}

static convoy_status check_used(const struct unrolling *u)
{
    for (int i = 0; i < u->network->n_layers; i++) {
        const struct recipe_layer *layer = &u->network->layers[i];
        if (!layer->used)
            return reject(u, layer->entry, layer->name,
                          "goes nowhere: no entry takes what it gives; name it in a "
                          "`from`, or remove it");
    }
    return CONVOY_OK;
}

convoy_status recipe_network_unroll(struct recipe_network *network)
{
    convoy_status status = CONVOY_OK;
    struct unrolling u = {.network = network};
    const struct scope whole = {.in = RECIPE_INPUT};
    int at = RECIPE_INPUT;
    TRY(unroll_list(&u, &network->list, &whole, &at));
    mark_used(&u, at);
    TRY(check_used(&u));
cleanup:
    for (int i = 0; i < u.n_symbols; i++)
        mem_free(u.symbols[i].name);
    mem_free(u.symbols);
    return status;
}
