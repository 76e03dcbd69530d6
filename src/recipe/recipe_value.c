/* Values by the type that their key has (recipe_node.c says how scalars are read), in
 * the range that its row in the table gives. A value is read whole before the recipe
 * changes, so a failure leaves the recipe as it was.
 */
#include "recipe/recipe_value.h"

#include "base/memory.h"
#include "recipe/recipe_crops.h"
#include "recipe/recipe_network.h"

#include <string.h>

_Static_assert(sizeof(enum recipe_decay) == sizeof(int), "choices are stored as int");

void *recipe_field(const struct option *key, void *record)
{
    return (char *)record + key->offset;
}

const void *recipe_field_const(const struct option *key, const void *record)
{
    return (const char *)record + key->offset;
}

convoy_status recipe_value_reject(const struct option *key, const yaml_node_t *node,
                                  int entry, const char *where)
{
    char expects[OPTION_EXPECTS_SIZE], found[RECIPE_FOUND_SIZE], which[32] = "";
    option_expects(key, expects);
    recipe_node_describe(node, found);
    if (entry)
        snprintf(which, sizeof which, " entry %d", entry);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s'%s is %s, expected %s", where,
                key->name, which, found, expects);
}

static convoy_status set_text(const yaml_node_t *node, char **field)
{
    char *copy = NULL;
    convoy_status status = mem_copy_text(recipe_node_text(node), &copy);
    if (status != CONVOY_OK)
        return status;
    mem_free(*field);
    *field = copy;
    return CONVOY_OK;
}

static convoy_status set_numbers(const struct option *key, yaml_document_t *document,
                                 const yaml_node_t *node, const char *where,
                                 struct recipe_numbers *field)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return recipe_value_reject(key, node, 0, where);
    struct recipe_numbers numbers = {0};
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *entry = yaml_document_get_node(document, *item);
        double value;
        if (numbers.n == RECIPE_MAX_NUMBERS)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: key '%s' has more than %d numbers, the most there can be",
                        where, key->name, RECIPE_MAX_NUMBERS);
        if (!recipe_node_number(entry, &value) || !option_in_range(key, value))
            return recipe_value_reject(key, entry, numbers.n + 1, where);
        numbers.values[numbers.n++] = value;
    }
    *field = numbers;
    return CONVOY_OK;
}

static void free_texts(struct recipe_texts *texts)
{
    for (int i = 0; i < texts->n; i++)
        mem_free(texts->values[i]);
    mem_free(texts->values);
    memset(texts, 0, sizeof *texts);
}

static void scales_free(struct recipe_scales *scales)
{
    for (int i = 0; i < scales->n; i++)
        mem_free(scales->prefixes[i]);
    mem_free(scales->prefixes);
    mem_free(scales->factors);
    memset(scales, 0, sizeof *scales);
}

static convoy_status reject_many(const struct option *key, const char *where)
{
    return FAIL(CONVOY_ERROR_FORMAT,
                "%s: key '%s' has more than %d entries, the most there can be", where,
                key->name, RECIPE_MAX_ENTRIES);
}

/* A text that is an entry of a list or a prefix: at least one character, not there
 * before. */
static convoy_status check_entry(const struct option *key, const yaml_node_t *node,
                                 int n, char *const *earlier, const char *where)
{
    if (!recipe_node_is_text(node) || !*recipe_node_text(node))
        return recipe_value_reject(key, node, n + 1, where);
    for (int i = 0; i < n; i++)
        if (strcmp(earlier[i], recipe_node_text(node)) == 0)
            return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s' has '%s' twice", where,
                        key->name, earlier[i]);
    return n < RECIPE_MAX_ENTRIES ? CONVOY_OK : reject_many(key, where);
}

static convoy_status set_texts(const struct option *key, yaml_document_t *document,
                               const yaml_node_t *node, const char *where,
                               struct recipe_texts *field)
{
    convoy_status status = CONVOY_OK;
    struct recipe_texts texts = {0};
    if (node->type != YAML_SEQUENCE_NODE)
        return recipe_value_reject(key, node, 0, where);
    const yaml_node_item_t *item = node->data.sequence.items.start;
    TRY(mem_alloc_array((size_t)(node->data.sequence.items.top - item),
                        sizeof *texts.values, (void **)&texts.values));
    for (; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *entry = yaml_document_get_node(document, *item);
        TRY(check_entry(key, entry, texts.n, texts.values, where));
        TRY(mem_copy_text(recipe_node_text(entry), &texts.values[texts.n]));
        texts.n++;
    }
    free_texts(field);
    *field = texts;
    memset(&texts, 0, sizeof texts);
cleanup:
    free_texts(&texts);
    return status;
}

static convoy_status add_scale(const struct option *key, const yaml_node_t *prefix,
                               const yaml_node_t *factor, const char *where,
                               struct recipe_scales *scales)
{
    const int n = scales->n;
    convoy_status status = check_entry(key, prefix, n, scales->prefixes, where);
    if (status != CONVOY_OK)
        return status;
    if (!recipe_node_number(factor, &scales->factors[n]) ||
        !option_in_range(key, scales->factors[n]))
        return recipe_value_reject(key, factor, n + 1, where);
    status = mem_copy_text(recipe_node_text(prefix), &scales->prefixes[n]);
    scales->n += status == CONVOY_OK;
    return status;
}

static convoy_status set_scales(const struct option *key, yaml_document_t *document,
                                const yaml_node_t *node, const char *where,
                                struct recipe_scales *field)
{
    convoy_status status = CONVOY_OK;
    struct recipe_scales scales = {0};
    if (node->type != YAML_MAPPING_NODE)
        return recipe_value_reject(key, node, 0, where);
    const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
    const size_t n = (size_t)(node->data.mapping.pairs.top - pair);
    TRY(mem_alloc_array(n, sizeof *scales.prefixes, (void **)&scales.prefixes));
    TRY(mem_alloc_array(n, sizeof *scales.factors, (void **)&scales.factors));
    for (; pair < node->data.mapping.pairs.top; pair++)
        TRY(add_scale(key, yaml_document_get_node(document, pair->key),
                      yaml_document_get_node(document, pair->value), where, &scales));
    scales_free(field);
    *field = scales;
    memset(&scales, 0, sizeof scales);
cleanup:
    scales_free(&scales);
    return status;
}

/* Words may stand in quotes. */
static bool set_scalar(const struct option *key, const yaml_node_t *node, void *record)
{
    const char *text = recipe_node_text(node), *word = option_zero_word(key);
    const bool is_word =
        key->type == OPTION_CHOICE || (word && strcmp(text, word) == 0);
    return (is_word || recipe_node_is_plain(node)) && option_set(key, text, record);
}

convoy_status recipe_value_read(const struct option *key, yaml_document_t *document,
                                const yaml_node_t *node, const char *where,
                                void *record)
{
    void *field = recipe_field(key, record);
    if (key->type == OPTION_NUMBERS)
        return set_numbers(key, document, node, where, field);
    if (key->type == OPTION_TEXTS)
        return set_texts(key, document, node, where, field);
    if (key->type == OPTION_SCALES)
        return set_scales(key, document, node, where, field);
    if (key->type == OPTION_CROPS)
        return recipe_crops_read(key, document, node, where, field);
    if (node->type != YAML_SCALAR_NODE || recipe_node_is_null(node))
        return recipe_value_reject(key, node, 0, where);
    if (strlen(recipe_node_text(node)) != node->data.scalar.length)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' holds a null character; remove it", where, key->name);
    if (key->type == OPTION_TEXT)
        return set_text(node, field);
    return set_scalar(key, node, record) ? CONVOY_OK
                                         : recipe_value_reject(key, node, 0, where);
}

void recipe_value_free(const struct option *key, convoy_recipe *recipe)
{
    void *field = recipe_field(key, recipe);
    if (key->type == OPTION_TEXT)
        mem_free(*(char **)field);
    else if (key->type == OPTION_TEXTS)
        free_texts(field);
    else if (key->type == OPTION_SCALES)
        scales_free(field);
    else if (key->type == OPTION_NETWORK)
        recipe_network_destroy(*(struct recipe_network **)field);
}
