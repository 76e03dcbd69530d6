/* Writing JSON: a value at a time to a stream, with the commas, the escapes and the
 * numbers as they must be. */
#ifndef CONVOY_JSON_H
#define CONVOY_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CONVOY_JSON_MAX_DEPTH = 8 };

typedef enum convoy_json_style {
    CONVOY_JSON_LINE,   /* {"a": 1, "b": [2, 3]} and a new line at the end */
    CONVOY_JSON_LINES,  /* so, but what the outermost holds is on lines of its own */
    CONVOY_JSON_COMPACT /* {"a":1,"b":[2,3]} */
} convoy_json_style;

/* What is being written. Begin with {.stream = …, .style = …}, the rest 0; nothing is
 * owned. Whether writing succeeded, the stream's ferror tells. */
typedef struct convoy_json {
    FILE *stream; /* borrowed */
    convoy_json_style style;
    int depth;
    char closers[CONVOY_JSON_MAX_DEPTH];
    bool holds[CONVOY_JSON_MAX_DEPTH]; /* whether something stands there already */
} convoy_json;

/* Local, all of them. key: the value's name in an object; NULL in a list and for the
 * outermost value. At most CONVOY_JSON_MAX_DEPTH objects and lists in each other. */
void convoy_json_begin_object(convoy_json *json, const char *key);
void convoy_json_begin_list(convoy_json *json, const char *key);
/* Ends the innermost of what was begun. */
void convoy_json_end(convoy_json *json);

/* Bytes that are not UTF-8 become U+FFFD; NULL becomes null. */
void convoy_json_text(convoy_json *json, const char *key, const char *text);
void convoy_json_integer(convoy_json *json, const char *key, int64_t value);
void convoy_json_count(convoy_json *json, const char *key, uint64_t value);
/* With as many digits as it takes to read the same double again; null for what JSON
 * has no number for: what is not a number, and infinities. */
void convoy_json_number(convoy_json *json, const char *key, double value);
void convoy_json_bool(convoy_json *json, const char *key, bool value);
/* A list of n. */
void convoy_json_integers(convoy_json *json, const char *key, const int *values, int n);

#ifdef __cplusplus
}
#endif
#endif
