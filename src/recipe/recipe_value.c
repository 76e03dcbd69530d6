/* Values by the type that their key has, not by YAML's guesses: YAML 1.1 reads 1e-4 as
 * a text and 1.0e-4 as a number, "no" as false and 010 as eight. Here numbers are
 * decimal, plain (without quotes) and finite, bools are true or false, and a text is
 * what stands there.
 */
#include "recipe/recipe_value.h"

#include "base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(enum recipe_decay) == sizeof(int), "choices are stored as int");

void recipe_show_text(const char *text, char out[RECIPE_SHOWN_SIZE])
{
    static const char dots[] = "...";
    size_t room = RECIPE_SHOWN_SIZE - sizeof dots, n = 0;
    for (; text[n] && n < room; n++)
        out[n] = iscntrl((unsigned char)text[n]) ? '?' : text[n];
    if (text[n]) {
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--; /* not within a character */
        memcpy(out + n, dots, sizeof dots);
    } else {
        out[n] = '\0';
    }
}

void *recipe_field(const struct recipe_key *key, convoy_recipe *recipe)
{
    return (char *)recipe + key->offset;
}

const void *recipe_field_const(const struct recipe_key *key,
                               const convoy_recipe *recipe)
{
    return (const char *)recipe + key->offset;
}

static const char *node_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

static bool is_plain(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE &&
           node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static bool is_null(const yaml_node_t *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (!is_plain(node))
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        if (strcmp(node_text(node), nulls[i]) == 0)
            return true;
    return false;
}

static void describe_node(const yaml_node_t *node, char *out, size_t size)
{
    char shown[RECIPE_SHOWN_SIZE];
    if (node->type == YAML_MAPPING_NODE) {
        snprintf(out, size, "a section of keys");
    } else if (node->type == YAML_SEQUENCE_NODE) {
        snprintf(out, size, "a list");
    } else if (is_null(node)) {
        snprintf(out, size, "without a value");
    } else {
        recipe_show_text(node_text(node), shown);
        snprintf(out, size, "%s'%s'", is_plain(node) ? "" : "the quoted text ", shown);
    }
}

/* "PLACE: key 'KEY' is FOUND, expected WHAT"; entry: of a list, counted from 1, or 0.
 */
static convoy_status reject(const struct recipe_key *key, const yaml_node_t *node,
                            int entry, const char *where)
{
    char expects[RECIPE_EXPECTS_SIZE], found[2 * RECIPE_SHOWN_SIZE], which[32] = "";
    recipe_key_expects(key, expects);
    describe_node(node, found, sizeof found);
    if (entry)
        snprintf(which, sizeof which, " entry %d", entry);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: key '%s'%s is %s, expected %s", where,
                key->path, which, found, expects);
}

static bool read_integer(const yaml_node_t *node, long long *value)
{
    const char *text = node_text(node);
    if (!is_plain(node) || strspn(text, "+-0123456789") != strlen(text))
        return false;
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

static bool read_u64(const yaml_node_t *node, uint64_t *value)
{
    const char *text = node_text(node);
    if (!is_plain(node) || !*text || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *value = strtoull(text, NULL, 10);
    return errno == 0;
}

/* strtod also reads hexadecimal numbers, "inf" and "nan": the character set keeps all
 * but decimal ones out. A number too large for a double becomes infinite and fails too.
 */
static bool read_number(const yaml_node_t *node, double *value)
{
    if (!is_plain(node))
        return false;
    const char *text = node_text(node);
    char *end;
    if (strspn(text, "+-.eE0123456789") != strlen(text))
        return false;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value);
}

static bool in_range(const struct recipe_key *key, double value)
{
    bool above = key->open & RECIPE_ABOVE_MIN ? value > key->min : value >= key->min;
    bool below = key->open & RECIPE_BELOW_MAX ? value < key->max : value <= key->max;
    return above && below;
}

static bool is_default(const struct recipe_key *key, double value)
{
    return value == strtod(key->default_text, NULL);
}

static bool set_int(const struct recipe_key *key, const yaml_node_t *node, void *field)
{
    long long value;
    if (!read_integer(node, &value) || value < INT_MIN || value > INT_MAX)
        return false;
    if (!in_range(key, (double)value) && !is_default(key, (double)value))
        return false;
    *(int *)field = (int)value;
    return true;
}

static bool set_threads(const struct recipe_key *key, const yaml_node_t *node,
                        void *field)
{
    long long value = 0;
    if (strcmp(node_text(node), "auto") != 0 &&
        (!read_integer(node, &value) || !in_range(key, (double)value)))
        return false;
    *(int *)field = (int)value;
    return true;
}

static bool set_float(const struct recipe_key *key, const yaml_node_t *node,
                      void *field)
{
    double value;
    if (!read_number(node, &value))
        return false;
    if (!in_range(key, value) && !is_default(key, value))
        return false;
    *(double *)field = value;
    return true;
}

static bool set_bool(const yaml_node_t *node, bool *field)
{
    if (!is_plain(node))
        return false;
    bool is_true = strcmp(node_text(node), "true") == 0;
    if (!is_true && strcmp(node_text(node), "false") != 0)
        return false;
    *field = is_true;
    return true;
}

static bool set_choice(const struct recipe_key *key, const yaml_node_t *node,
                       void *field)
{
    for (int i = 0; key->choices[i]; i++) {
        if (strcmp(node_text(node), key->choices[i]) == 0) {
            memcpy(field, &i, sizeof i);
            return true;
        }
    }
    return false;
}

static convoy_status set_text(const struct recipe_key *key, const yaml_node_t *node,
                              const char *where, char **field)
{
    const char *text = node_text(node);
    if (!*text && !key->default_text)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' is an empty text, expected at least one character",
                    where, key->path);
    char *copy = NULL;
    convoy_status status = mem_copy_text(text, &copy);
    if (status != CONVOY_OK)
        return status;
    mem_free(*field);
    *field = copy;
    return CONVOY_OK;
}

static convoy_status set_numbers(const struct recipe_key *key,
                                 yaml_document_t *document, const yaml_node_t *node,
                                 const char *where, struct recipe_numbers *field)
{
    if (node->type != YAML_SEQUENCE_NODE)
        return reject(key, node, 0, where);
    struct recipe_numbers numbers = {0};
    const yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        const yaml_node_t *entry = yaml_document_get_node(document, *item);
        double value;
        if (numbers.n == RECIPE_MAX_NUMBERS)
            return FAIL(CONVOY_ERROR_FORMAT,
                        "%s: key '%s' has more than %d numbers, the most there can be",
                        where, key->path, RECIPE_MAX_NUMBERS);
        if (!read_number(entry, &value) || !in_range(key, value))
            return reject(key, entry, numbers.n + 1, where);
        numbers.values[numbers.n++] = value;
    }
    *field = numbers;
    return CONVOY_OK;
}

static bool set_scalar(const struct recipe_key *key, const yaml_node_t *node,
                       void *field)
{
    switch (key->type) {
    case RECIPE_INT:
        return set_int(key, node, field);
    case RECIPE_U64:
        return read_u64(node, field);
    case RECIPE_FLOAT:
        return set_float(key, node, field);
    case RECIPE_BOOL:
        return set_bool(node, field);
    case RECIPE_CHOICE:
        return set_choice(key, node, field);
    case RECIPE_THREADS:
        return set_threads(key, node, field);
    default:
        return false;
    }
}

convoy_status recipe_value_read(const struct recipe_key *key, yaml_document_t *document,
                                const yaml_node_t *node, const char *where,
                                convoy_recipe *recipe)
{
    void *field = recipe_field(key, recipe);
    if (key->type == RECIPE_NUMBERS)
        return set_numbers(key, document, node, where, field);
    if (node->type != YAML_SCALAR_NODE || is_null(node))
        return reject(key, node, 0, where);
    if (strlen(node_text(node)) != node->data.scalar.length)
        return FAIL(CONVOY_ERROR_FORMAT,
                    "%s: key '%s' holds a null character; remove it", where, key->path);
    if (key->type == RECIPE_TEXT)
        return set_text(key, node, where, field);
    return set_scalar(key, node, field) ? CONVOY_OK : reject(key, node, 0, where);
}

void recipe_number_text(double value, char out[RECIPE_NUMBER_SIZE])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, RECIPE_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

/* RECIPE_INT, RECIPE_CHOICE, RECIPE_THREADS: what is stored as an int. */
static void int_text(const struct recipe_key *key, int value,
                     char out[RECIPE_NUMBER_SIZE])
{
    if (key->type == RECIPE_CHOICE)
        snprintf(out, RECIPE_NUMBER_SIZE, "%s", key->choices[value]);
    else if (key->type == RECIPE_THREADS && value == 0)
        snprintf(out, RECIPE_NUMBER_SIZE, "auto");
    else
        snprintf(out, RECIPE_NUMBER_SIZE, "%d", value);
}

void recipe_value_text(const struct recipe_key *key, const convoy_recipe *recipe,
                       char out[RECIPE_NUMBER_SIZE])
{
    const void *field = recipe_field_const(key, recipe);
    int value = 0;
    if (key->type == RECIPE_U64) {
        snprintf(out, RECIPE_NUMBER_SIZE, "%llu",
                 (unsigned long long)*(const uint64_t *)field);
    } else if (key->type == RECIPE_BOOL) {
        snprintf(out, RECIPE_NUMBER_SIZE, "%s",
                 *(const bool *)field ? "true" : "false");
    } else if (key->type == RECIPE_FLOAT) {
        recipe_number_text(*(const double *)field, out);
    } else {
        memcpy(&value, field, sizeof value);
        int_text(key, value, out);
    }
}
