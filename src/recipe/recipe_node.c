/* Scalars by the type that their reader wants, not by YAML's guesses: YAML 1.1 reads
 * 1e-4 as a text and 1.0e-4 as a number, "no" as false and 010 as eight. Here numbers
 * are decimal, plain (without quotes) and finite, bools are true or false (also
 * True and TRUE, as YAML 1.2 has them), and a text is what stands there.
 */
#include "recipe/recipe_node.h"

#include "base/text.h"

#include <ctype.h>
#include <stdio.h>
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

bool recipe_node_is_plain(const yaml_node_t *node)
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
    if (!recipe_node_is_plain(node))
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
                 recipe_node_is_plain(node) ? "" : "the quoted text ", shown);
    }
}

bool recipe_node_is_text(const yaml_node_t *node)
{
    return node->type == YAML_SCALAR_NODE && !recipe_node_is_null(node) &&
           strlen(recipe_node_text(node)) == node->data.scalar.length;
}

bool recipe_node_integer(const yaml_node_t *node, long long *value)
{
    return recipe_node_is_plain(node) && text_integer(recipe_node_text(node), value);
}

bool recipe_node_number(const yaml_node_t *node, double *value)
{
    return recipe_node_is_plain(node) && text_number(recipe_node_text(node), value);
}
