/* Scalars by the type that their reader wants, not by YAML's guesses: YAML 1.1 reads
 * 1e-4 as a text and 1.0e-4 as a number, "no" as false and 010 as eight. Here numbers
 * are decimal, plain (without quotes) and finite, bools are true or false, and a text
 * is what stands there.
 */
#include "recipe/recipe_node.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

const char *recipe_node_text(const yaml_node_t *node)
{
    return (const char *)node->data.scalar.value;
}

static bool is_plain(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE &&
           node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

bool recipe_node_has_tag(const yaml_node_t *node)
{
    static const char *const usual[] = {YAML_STR_TAG, YAML_SEQ_TAG, YAML_MAP_TAG};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (strcmp((const char *)node->tag, usual[i]) == 0)
            return false;
    return true;
}

bool recipe_node_is_null(const yaml_node_t *node)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    if (!is_plain(node))
        return false;
    for (size_t i = 0; i < sizeof nulls / sizeof nulls[0]; i++)
        if (strcmp(recipe_node_text(node), nulls[i]) == 0)
            return true;
    return false;
}

void recipe_node_describe(const yaml_node_t *node, char out[RECIPE_FOUND_SIZE])
{
    char shown[RECIPE_SHOWN_SIZE];
    if (node->type == YAML_MAPPING_NODE) {
        snprintf(out, RECIPE_FOUND_SIZE, "a section of keys");
    } else if (node->type == YAML_SEQUENCE_NODE) {
        snprintf(out, RECIPE_FOUND_SIZE, "a list");
    } else if (recipe_node_is_null(node)) {
        snprintf(out, RECIPE_FOUND_SIZE, "without a value");
    } else {
        recipe_show_text(recipe_node_text(node), shown);
        snprintf(out, RECIPE_FOUND_SIZE, "%s'%s'",
                 is_plain(node) ? "" : "the quoted text ", shown);
    }
}

bool recipe_node_is_text(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && !recipe_node_is_null(node) &&
           strlen(recipe_node_text(node)) == node->data.scalar.length;
}

bool recipe_node_integer(const yaml_node_t *node, long long *value)
{
    const char *text = recipe_node_text(node);
    if (!is_plain(node) || strspn(text, "+-0123456789") != strlen(text))
        return false;
    char *end;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

bool recipe_node_u64(const yaml_node_t *node, uint64_t *value)
{
    const char *text = recipe_node_text(node);
    if (!is_plain(node) || !*text || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *value = strtoull(text, NULL, 10);
    return errno == 0;
}

/* strtod also reads hexadecimal numbers, "inf" and "nan": the character set keeps all
 * but decimal ones out. A number too large for a double becomes infinite and fails too.
 */
bool recipe_node_number(const yaml_node_t *node, double *value)
{
    if (!is_plain(node))
        return false;
    const char *text = recipe_node_text(node);
    char *end;
    if (strspn(text, "+-.eE0123456789") != strlen(text))
        return false;
    *value = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*value);
}

bool recipe_node_bool(const yaml_node_t *node, bool *value)
{
    if (!is_plain(node))
        return false;
    bool is_true = strcmp(recipe_node_text(node), "true") == 0;
    if (!is_true && strcmp(recipe_node_text(node), "false") != 0)
        return false;
    *value = is_true;
    return true;
}
