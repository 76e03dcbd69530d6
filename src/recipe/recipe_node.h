/* YAML nodes: reading scalars, and showing nodes in messages. */
#ifndef RECIPE_RECIPE_NODE_H
#define RECIPE_RECIPE_NODE_H

#include "base/status.h"

#include <stdbool.h>
#include <yaml.h>

enum { RECIPE_SHOWN_SIZE = 64, RECIPE_FOUND_SIZE = 2 * RECIPE_SHOWN_SIZE };

/* text for a one-line message: cut when long, control characters replaced. */
void recipe_show_text(const char *text, char out[RECIPE_SHOWN_SIZE]);

/* "'fast'", "the quoted text '0.1'", "a list", "a section of keys", "without a value".
 */
void recipe_node_describe(const yaml_node_t *node, char out[RECIPE_FOUND_SIZE]);

/* A scalar's text. */
const char *recipe_node_text(const yaml_node_t *node);

/* Whether node has a tag of its own (!!int, !x). */
bool recipe_node_has_tag(const yaml_node_t *node);

/* Whether node is an unquoted null: nothing, ~, null. */
bool recipe_node_is_null(const yaml_node_t *node);

/* Whether node is a text, quoted or not, without null characters. */
bool recipe_node_is_text(const yaml_node_t *node);

/* Whether node is a scalar without quotes. */
bool recipe_node_is_plain(const yaml_node_t *node);

/* False where node is no such scalar. Numbers are decimal, unquoted and finite. */
bool recipe_node_integer(const yaml_node_t *node, long long *value);
bool recipe_node_number(const yaml_node_t *node, double *value);

#endif
