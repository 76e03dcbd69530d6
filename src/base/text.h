/* Small questions about texts, and small work on them. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEXT_MAX_EDITS = 255 };

/* How unlike two names are: insertions, deletions, replacements and swaps of neighbours
 * that turn a into b (optimal string alignment). Bytes past TEXT_MAX_EDITS do not
 * count. */
int text_edits(const char *a, const char *b);

/* The text without the byte order mark that editors put before UTF-8. */
const char *text_behind_mark(const char *text);

/* The whole text as a decimal number, whatever the locale; false: it is none, or does
 * not fit. Numbers are finite. */
bool text_integer(const char *text, long long *value);
bool text_u64(const char *text, uint64_t *value);
bool text_number(const char *text, double *value);

/* true and false as YAML 1.2 spells them: true, True, TRUE. */
bool text_bool(const char *text, bool *value);

/* The shortest text that reads back as value, to the last bit. */
enum { TEXT_NUMBER_SIZE = 32 };
void text_of_number(double value, char out[TEXT_NUMBER_SIZE]);
void text_of_float(float value, char out[TEXT_NUMBER_SIZE]);

/* printf behind the text that is there already, cut off at size. */
void text_append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
