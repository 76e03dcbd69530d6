/* Writing JSON (RFC 8259): the other half is json_value.c.
 *
 * A double is printed with the fewest of 15, 16 and 17 digits that read as the same
 * double; 17 always do. JSON's decimal point is a point, whatever the locale of the
 * program that calls. */
#include <convoy/json.h>

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The length of the UTF-8 sequence at s, 0 where it is none. */
static int utf8_length(const unsigned char *s)
{
    int n = s[0] < 0x80   ? 1
            : s[0] < 0xc2 ? 0
            : s[0] < 0xe0 ? 2
            : s[0] < 0xf0 ? 3
            : s[0] < 0xf5 ? 4
                          : 0;
    /* Not what has a shorter form, half a surrogate pair, or a number too large. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static void put_text(FILE *stream, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    fputc('"', stream);
    while (*s) {
        int n = utf8_length(s);
        if (n == 0)
            fputs("\\ufffd", stream);
        else if (*s == '"' || *s == '\\')
            fprintf(stream, "\\%c", *s);
        else if (*s < 0x20)
            fprintf(stream, "\\u%04x", (unsigned)*s);
        else
            fwrite(s, 1, (size_t)n, stream);
        s += n ? n : 1;
    }
    fputc('"', stream);
}

/* What stands before a value. */
static void put_key(convoy_json *json, const char *key)
{
    const bool is_compact = json->style == CONVOY_JSON_COMPACT;
    if (json->depth > 0) {
        bool *holds = &json->holds[json->depth - 1];
        const bool breaks = json->style == CONVOY_JSON_LINES && json->depth == 1;
        if (*holds)
            fputs(is_compact || breaks ? "," : ", ", json->stream);
        fputs(breaks ? "\n  " : "", json->stream);
        *holds = true;
    }
    if (!key)
        return;
    put_text(json->stream, key);
    fputs(is_compact ? ":" : ": ", json->stream);
}

static void begin(convoy_json *json, const char *key, char opener, char closer)
{
    assert(json->depth < CONVOY_JSON_MAX_DEPTH);
    put_key(json, key);
    fputc(opener, json->stream);
    json->closers[json->depth] = closer;
    json->holds[json->depth] = false;
    json->depth++;
}

void convoy_json_begin_object(convoy_json *json, const char *key)
{
    begin(json, key, '{', '}');
}

void convoy_json_begin_list(convoy_json *json, const char *key)
{
    begin(json, key, '[', ']');
}

void convoy_json_end(convoy_json *json)
{
    assert(json->depth > 0);
    json->depth--;
    if (json->style == CONVOY_JSON_LINES && json->depth == 0 && json->holds[0])
        fputc('\n', json->stream);
    fputc(json->closers[json->depth], json->stream);
    if (json->depth == 0 && json->style != CONVOY_JSON_COMPACT)
        fputc('\n', json->stream);
}

void convoy_json_text(convoy_json *json, const char *key, const char *text)
{
    put_key(json, key);
    if (text)
        put_text(json->stream, text);
    else
        fputs("null", json->stream);
}

void convoy_json_integer(convoy_json *json, const char *key, int64_t value)
{
    put_key(json, key);
    fprintf(json->stream, "%" PRId64, value);
}

void convoy_json_count(convoy_json *json, const char *key, uint64_t value)
{
    put_key(json, key);
    fprintf(json->stream, "%" PRIu64, value);
}

void convoy_json_number(convoy_json *json, const char *key, double value)
{
    char text[64];
    put_key(json, key);
    if (!isfinite(value)) {
        fputs("null", json->stream);
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    char *comma = strchr(text, ',');
    if (comma)
        *comma = '.';
    fputs(text, json->stream);
}

void convoy_json_bool(convoy_json *json, const char *key, bool value)
{
    put_key(json, key);
    fputs(value ? "true" : "false", json->stream);
}

void convoy_json_integers(convoy_json *json, const char *key, const int *values, int n)
{
    convoy_json_begin_list(json, key);
    for (int i = 0; i < n; i++)
        convoy_json_integer(json, NULL, values[i]);
    convoy_json_end(json);
}
