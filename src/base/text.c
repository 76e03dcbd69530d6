/* The distance between two names is worked out row by row: row[j] is the number of
 * edits from the part of a seen so far to the first j bytes of b. A swap looks two rows
 * back. */
#include "base/text.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int least(int a, int b)
{
    return a < b ? a : b;
}

int text_edits(const char *a, const char *b)
{
    int rows[3][TEXT_MAX_EDITS + 1];
    const int n_a = (int)strnlen(a, TEXT_MAX_EDITS);
    const int n_b = (int)strnlen(b, TEXT_MAX_EDITS);
    for (int j = 0; j <= n_b; j++)
        rows[0][j] = j;
    for (int i = 0; i < n_a; i++) {
        const int *before = rows[(i + 2) % 3], *above = rows[i % 3];
        int *row = rows[(i + 1) % 3];
        row[0] = i + 1;
        for (int j = 0; j < n_b; j++) {
            row[j + 1] =
                least(above[j] + (a[i] != b[j]), 1 + least(above[j + 1], row[j]));
            if (i > 0 && j > 0 && a[i] == b[j - 1] && a[i - 1] == b[j])
                row[j + 1] = least(row[j + 1], before[j - 1] + 1);
        }
    }
    return rows[n_a % 3][n_b];
}

const char *text_behind_mark(const char *text)
{
    static const char mark[] = "\xef\xbb\xbf";
    const size_t n = sizeof mark - 1;
    return strncmp(text, mark, n) == 0 ? text + n : text;
}

static bool holds_only(const char *text, const char *characters)
{
    return *text && strspn(text, characters) == strlen(text);
}

bool text_integer(const char *text, long long *value)
{
    char *end;
    if (!holds_only(text, "+-0123456789"))
        return false;
    errno = 0;
    *value = strtoll(text, &end, 10);
    return end != text && *end == '\0' && errno == 0;
}

bool text_u64(const char *text, uint64_t *value)
{
    if (!holds_only(text, "0123456789"))
        return false;
    errno = 0;
    *value = strtoull(text, NULL, 10);
    return errno == 0;
}

/* strtod also reads hexadecimal numbers, "inf" and "nan": the character set keeps all
 * but decimal ones out. A number too large for a double becomes infinite and fails too.
 */
bool text_number(const char *text, double *value)
{
    char *end;
    if (!holds_only(text, "+-.eE0123456789"))
        return false;
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!plain)
        return false;
    *value = strtod_l(text, &end, plain);
    freelocale(plain);
    return end != text && *end == '\0' && isfinite(*value);
}

bool text_bool(const char *text, bool *value)
{
    static const char *const words[] = {"false", "False", "FALSE",
                                        "true",  "True",  "TRUE"};
    for (int i = 0; i < 6; i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i >= 3;
            return true;
        }
    }
    return false;
}

void text_of_number(double value, char out[TEXT_NUMBER_SIZE])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, TEXT_NUMBER_SIZE, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            return;
    }
}

void text_of_float(float value, char out[TEXT_NUMBER_SIZE])
{
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(out, TEXT_NUMBER_SIZE, "%.*g", digits, (double)value);
        if ((float)strtod(out, NULL) == value) /* as option_set reads it */
            return;
    }
}

void text_append(char *text, size_t size, const char *format, ...)
{
    const size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}
