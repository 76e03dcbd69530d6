/* A choice is an owner of options and the settings that these fill. Settings stand
 * behind the recipe in one memory with it, so that the offset in a key's row says where
 * its field is, whoever the key belongs to. Room is there for the largest settings of
 * each list: what is chosen is known only when the text has been read once.
 */
#include "recipe/recipe_choice.h"

#include "base/memory.h"
#include "recipe/recipe_value.h"

#include <limits.h>
#include <string.h>

#define AT(field) offsetof(struct convoy_recipe, field)

static const struct choosing {
    const char *key;
    size_t owners;         /* the list, in the catalogue */
    size_t choice;         /* in the recipe */
    bool is_short;         /* the section may hold the name alone */
    const char *old, *now; /* what older recipes call the owner now; NULL: as it is */
} choosings[] = {
    {"optimizer.name", offsetof(struct recipe_catalog, optimizers), AT(optimizer.kind),
     false, NULL, NULL},
    {"exchange.algorithm", offsetof(struct recipe_catalog, exchanges),
     AT(exchange.algorithm), true, "ordered", "auto"},
};

enum { N_CHOOSINGS = (int)(sizeof choosings / sizeof choosings[0]) };

static const struct choosing *choosing_of(const char *key)
{
    for (int i = 0; i < N_CHOOSINGS; i++)
        if (strcmp(choosings[i].key, key) == 0)
            return &choosings[i];
    return NULL;
}

/* The length of "optimizer" in "optimizer.name". */
static int section_length(const char *path)
{
    return (int)strcspn(path, ".");
}

/* The key that chooses in path's section. */
static const struct choosing *choosing_in(const char *path)
{
    const int n = section_length(path);
    for (int i = 0; i < N_CHOOSINGS; i++)
        if (n == section_length(choosings[i].key) &&
            strncmp(path, choosings[i].key, (size_t)n) == 0)
            return &choosings[i];
    return NULL;
}

static const struct option_owner *const *owners_of(const struct choosing *choosing,
                                                   const struct recipe_catalog *catalog)
{
    const void *list = (const char *)catalog + choosing->owners;
    return *(const struct option_owner *const *const *)list;
}

static struct recipe_choice *choice_of(const struct choosing *choosing,
                                       convoy_recipe *recipe)
{
    void *choice = (char *)recipe + choosing->choice;
    return choice;
}

/* The most that any owner's settings take. */
static size_t settings_size(const struct choosing *choosing,
                            const struct recipe_catalog *catalog)
{
    const struct option_owner *const *owner = owners_of(choosing, catalog);
    size_t most = 0;
    for (; *owner; owner++)
        most = (*owner)->size > most ? (*owner)->size : most;
    return mem_round_up(most);
}

convoy_status recipe_alloc(const struct recipe_catalog *catalog, convoy_recipe **recipe)
{
    convoy_recipe *made = NULL;
    size_t at = mem_round_up(sizeof *made), bytes = at;
    for (int i = 0; i < N_CHOOSINGS; i++)
        bytes += settings_size(&choosings[i], catalog);
    convoy_status status = mem_alloc(bytes, (void **)&made);
    if (status != CONVOY_OK)
        return status;
    made->catalog = catalog;
    for (int i = 0; i < N_CHOOSINGS; i++) {
        choice_of(&choosings[i], made)->settings = (char *)made + at;
        at += settings_size(&choosings[i], catalog);
    }
    *recipe = made;
    return CONVOY_OK;
}

void recipe_choose_defaults(convoy_recipe *recipe)
{
    for (int i = 0; i < N_CHOOSINGS; i++) {
        struct recipe_choice *choice = choice_of(&choosings[i], recipe);
        if (!choice->owner)
            choice->owner = owners_of(&choosings[i], recipe->catalog)[0];
    }
}

static convoy_status reject_name(const struct option_owner *const *owners,
                                 const char *where, const char *key, const char *name)
{
    char shown[RECIPE_SHOWN_SIZE], known[256];
    const char *nearest = owners[0]->name;
    int best = INT_MAX;
    recipe_show_text(name, shown);
    recipe_owner_names(owners, ", ", known, sizeof known);
    for (; *owners; owners++) {
        const int edits = recipe_unlikeness(name, (*owners)->name);
        if (edits < best) {
            best = edits;
            nearest = (*owners)->name;
        }
    }
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: key '%s' is '%s', which is not known; the nearest is '%s'; there "
                "are: %s",
                where, key, shown, nearest, known);
}

convoy_status recipe_choice_read(const struct option *key, const yaml_node_t *node,
                                 const char *where, convoy_recipe *recipe)
{
    const struct choosing *choosing = choosing_of(key->name);
    const struct option_owner *const *owners = owners_of(choosing, recipe->catalog);
    if (!recipe_node_is_text(node))
        return recipe_value_reject(key, node, 0, where);
    const char *name = recipe_node_text(node);
    if (choosing->old && strcmp(name, choosing->old) == 0)
        name = choosing->now;
    const struct option_owner *owner = option_owner_find(owners, name);
    if (!owner)
        return reject_name(owners, where, key->name, name);
    choice_of(choosing, recipe)->owner = owner;
    return CONVOY_OK;
}

const struct option_owner *const *recipe_owners(const struct recipe_catalog *catalog,
                                                const char *key)
{
    const struct choosing *choosing = choosing_of(key);
    return choosing ? owners_of(choosing, catalog) : NULL;
}

const struct recipe_choice *recipe_choice_in(const convoy_recipe *recipe,
                                             const char *path)
{
    const struct choosing *choosing = choosing_in(path);
    const void *choice = choosing ? (const char *)recipe + choosing->choice : NULL;
    return choice;
}

const char *recipe_short_key(const char *section)
{
    const struct choosing *choosing =
        strchr(section, '.') ? NULL : choosing_in(section);
    return choosing && choosing->is_short ? choosing->key : NULL;
}

const struct option_owner *recipe_option_elsewhere(const convoy_recipe *recipe,
                                                   const char *path)
{
    const struct choosing *choosing = choosing_in(path);
    const char *dot = strchr(path, '.');
    if (!choosing || !dot)
        return NULL;
    const struct option_owner *const *owner = owners_of(choosing, recipe->catalog);
    while (*owner && option_find((*owner)->options, (*owner)->n_options, dot + 1) < 0)
        owner++;
    return *owner;
}

void recipe_choice_options(const struct recipe_choice *choice, char *out, size_t size)
{
    const struct option_owner *owner = choice->owner;
    size_t n = (size_t)snprintf(out, size, "%s has", owner->name);
    for (int i = 0; i < owner->n_options && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s %s", i ? "," : "",
                              owner->options[i].name);
    if (owner->n_options == 0)
        snprintf(out + n, size - n, " no options");
}

void recipe_option_path(const char *key, const char *option, char out[RECIPE_PATH_SIZE])
{
    snprintf(out, RECIPE_PATH_SIZE, "%.*s.%s", section_length(key), key, option);
}

void recipe_owner_names(const struct option_owner *const *owners, const char *between,
                        char *out, size_t size)
{
    size_t n = 0;
    *out = '\0';
    for (int i = 0; owners[i] && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? between : "",
                              owners[i]->name);
}
