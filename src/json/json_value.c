/* Jansson behind a door of ours: a struct json_value is its json_t, which nobody else
 * sees. Its reasons quote the text, so what could upset a terminal is taken out. */
#include "json/json_value.h"

#include <jansson.h>

#include <math.h>

static const json_t *inner(const struct json_value *value)
{
    return (const json_t *)value;
}

static const struct json_value *outer(const json_t *json)
{
    return (const struct json_value *)json;
}

static convoy_status fail(const char *what, json_error_t *error)
{
    for (char *c = error->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    if (json_error_code(error) == json_error_out_of_memory)
        return FAIL(CONVOY_ERROR_MEMORY, "%s: cannot allocate its values", what);
    return FAIL(CONVOY_ERROR_FORMAT, "%s: line %d, column %d: %s", what, error->line,
                error->column, error->text);
}

convoy_status json_value_read(const char *what, const char *text, size_t n,
                              struct json_value **value)
{
    json_error_t error;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        return fail(what, &error);
    *value = (struct json_value *)root;
    return CONVOY_OK;
}

void json_value_free(struct json_value *value)
{
    json_decref((json_t *)value);
}

enum json_type json_value_type(const struct json_value *value)
{
    const json_t *json = inner(value);
    return json_is_integer(json)  ? JSON_TYPE_INTEGER
           : json_is_real(json)   ? JSON_TYPE_REAL
           : json_is_string(json) ? JSON_TYPE_TEXT
           : json_is_array(json)  ? JSON_TYPE_LIST
           : json_is_object(json) ? JSON_TYPE_OBJECT
           : json_is_null(json)   ? JSON_TYPE_NULL
                                  : JSON_TYPE_OTHER;
}

size_t json_value_count(const struct json_value *value)
{
    const json_t *json = inner(value);
    return json_is_object(json) ? json_object_size(json) : json_array_size(json);
}

const struct json_value *json_value_item(const struct json_value *value, size_t i)
{
    return outer(json_array_get(inner(value), i));
}

const struct json_value *json_value_member(const struct json_value *value,
                                           const char *name)
{
    return outer(json_object_get(inner(value), name));
}

int64_t json_value_integer(const struct json_value *value)
{
    return json_integer_value(inner(value));
}

double json_value_number(const struct json_value *value)
{
    const json_t *json = inner(value);
    return json_is_number(json) ? json_number_value(json) : NAN;
}

const char *json_value_text(const struct json_value *value)
{
    return json_string_value(inner(value));
}

bool json_value_next(const struct json_value *object, struct json_member *member)
{
    json_t *json = (json_t *)(uintptr_t)object; /* only read, but not const there */
    member->at =
        member->at ? json_object_iter_next(json, member->at) : json_object_iter(json);
    if (!member->at)
        return false;
    member->name = json_object_iter_key(member->at);
    member->value = outer(json_object_iter_value(member->at));
    return true;
}

static void print_list(const struct json_value *list, const char *key,
                       convoy_json *json)
{
    convoy_json_begin_list(json, key);
    for (size_t i = 0; i < json_value_count(list); i++)
        json_value_print(json_value_item(list, i), NULL, json);
    convoy_json_end(json);
}

static void print_object(const struct json_value *object, const char *key,
                         convoy_json *json)
{
    struct json_member member = {0};
    convoy_json_begin_object(json, key);
    while (json_value_next(object, &member))
        json_value_print(member.value, member.name, json);
    convoy_json_end(json);
}

/* No deeper than the writer's stack of closers. */
void json_value_print(const struct json_value *value, const char *key,
                      convoy_json *json)
{
    const enum json_type type = json_value_type(value);
    const bool is_too_deep = json->depth >= CONVOY_JSON_MAX_DEPTH;
    if (type == JSON_TYPE_LIST && !is_too_deep)
        print_list(value, key, json);
    else if (type == JSON_TYPE_OBJECT && !is_too_deep)
        print_object(value, key, json);
    else if (type == JSON_TYPE_INTEGER)
        convoy_json_integer(json, key, json_value_integer(value));
    else if (type == JSON_TYPE_REAL)
        convoy_json_number(json, key, json_value_number(value));
    else if (type == JSON_TYPE_OTHER && value)
        convoy_json_bool(json, key, json_is_true(inner(value)));
    else
        convoy_json_text(json, key, json_value_text(value));
}
