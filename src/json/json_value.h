/* Reading JSON: a text becomes a tree of values. */
#ifndef JSON_JSON_VALUE_H
#define JSON_JSON_VALUE_H

#include <convoy/json.h>

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value with all that is in it; the root owns the others. Local, all of these. */
struct json_value;

enum json_type {
    JSON_TYPE_OTHER, /* true, false */
    JSON_TYPE_NULL,
    JSON_TYPE_INTEGER,
    JSON_TYPE_REAL, /* written with a point or an exponent */
    JSON_TYPE_TEXT,
    JSON_TYPE_LIST,
    JSON_TYPE_OBJECT
};

/* Reads the n bytes of text, which must be one object or list and nothing behind it.
 * Refused: what RFC 8259 does not allow, an object with a key twice, integers beyond 64
 * bits, U+0000 in texts, nesting deeper than some thousands. what: named at the head of
 * messages, as "x.json: the header". *value is new; free with json_value_free.
 * Errors: FORMAT (says line, column and reason), MEMORY. */
convoy_status json_value_read(const char *what, const char *text, size_t n,
                              struct json_value **value);
/* Frees a root and all that is in it. Takes NULL. */
void json_value_free(struct json_value *value);

/* Borrowed values; all of these take NULL, which is OTHER. */
enum json_type json_value_type(const struct json_value *value);
/* Items of a list, members of an object; 0 for others. */
size_t json_value_count(const struct json_value *value);
/* Item i of a list, the member of that name of an object; NULL: there is none. */
const struct json_value *json_value_item(const struct json_value *value, size_t i);
const struct json_value *json_value_member(const struct json_value *value,
                                           const char *name);
/* 0 for others than INTEGER. */
int64_t json_value_integer(const struct json_value *value);
/* Of an INTEGER or a REAL; not a number for others. */
double json_value_number(const struct json_value *value);
/* NULL for others than TEXT. */
const char *json_value_text(const struct json_value *value);

/* The members of an object, one after another in the text's order: begin with {0}. */
struct json_member {
    const char *name;
    const struct json_value *value;
    void *at;
};
bool json_value_next(const struct json_value *object, struct json_member *member);

/* Writes the value as it was read, members in their order, as convoy/json.h does. What
 * is nested more deeply than that allows becomes null. */
void json_value_print(const struct json_value *value, const char *key,
                      convoy_json *json);

#endif
