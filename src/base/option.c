/* What follows from an option's row alone: lookup, its range, the texts that describe
 * it, and scalar values from texts and back. Lists are the recipe's affair.
 */
#include "base/option.h"

#include "base/text.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int option_find(const struct option *options, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (strcmp(options[i].name, name) == 0)
            return i;
    return -1;
}

const struct option_owner *option_owner_find(const struct option_owner *const *owners,
                                             const char *name)
{
    for (; *owners; owners++)
        if (strcmp((*owners)->name, name) == 0)
            return *owners;
    return NULL;
}

bool option_in_range(const struct option *option, double value)
{
    bool above =
        option->open & OPTION_ABOVE_MIN ? value > option->min : value >= option->min;
    bool below =
        option->open & OPTION_BELOW_MAX ? value < option->max : value <= option->max;
    return above && below && isfinite(value);
}

bool option_default_is_special(const struct option *option)
{
    const char *text = option->default_text;
    if (!text || (option->type != OPTION_INT && option->type != OPTION_FLOAT &&
                  option->type != OPTION_F32 && option->type != OPTION_CROPS))
        return false;
    return (strcmp(text, "0") == 0 && option->min > 0) || strcmp(text, "-1") == 0;
}

bool option_is_special(const struct option *option, double value)
{
    return option_default_is_special(option) &&
           value == (*option->default_text == '0' ? 0 : -1);
}

const char *option_zero_word(const struct option *option)
{
    return option->type == OPTION_AUTO      ? "auto"
           : option->type == OPTION_CLASSES ? "classes"
                                            : NULL;
}

bool option_is_scalar(const struct option *option)
{
    return option->type != OPTION_TEXT && option->type < OPTION_NUMBERS;
}

static bool set_int(const struct option *option, const char *text, void *field)
{
    const char *word = option_zero_word(option);
    long long value = 0;
    const bool is_word = word && strcmp(text, word) == 0;
    if (!is_word &&
        (!text_integer(text, &value) || value < INT_MIN || value > INT_MAX ||
         (!option_in_range(option, (double)value) &&
          !option_is_special(option, (double)value))))
        return false;
    const int both[2] = {(int)value, (int)value};
    memcpy(field, both, option->type == OPTION_PAIR ? sizeof both : sizeof *both);
    return true;
}

static bool set_float(const struct option *option, const char *text, void *field)
{
    double value;
    if (!text_number(text, &value))
        return false;
    const float narrow = (float)value;
    const double kept = option->type == OPTION_F32 ? (double)narrow : value;
    if (!isfinite(kept) ||
        (!option_in_range(option, kept) && !option_is_special(option, kept)))
        return false;
    if (option->type == OPTION_F32)
        memcpy(field, &narrow, sizeof narrow);
    else
        memcpy(field, &value, sizeof value);
    return true;
}

/* Words that stand for true and false, too: a list may have them among others. */
static bool set_choice(const struct option *option, const char *text, void *field)
{
    bool truth;
    if (text_bool(text, &truth))
        text = truth ? "true" : "false";
    for (int i = 0; option->choices[i]; i++) {
        if (strcmp(text, option->choices[i]) == 0) {
            memcpy(field, &i, sizeof i);
            return true;
        }
    }
    return false;
}

bool option_set(const struct option *option, const char *text, void *record)
{
    void *field = (char *)record + option->offset;
    switch (option->type) {
    case OPTION_INT:
    case OPTION_PAIR:
    case OPTION_AUTO:
    case OPTION_CLASSES:
        return set_int(option, text, field);
    case OPTION_U64:
        return text_u64(text, field);
    case OPTION_FLOAT:
    case OPTION_F32:
        return set_float(option, text, field);
    case OPTION_BOOL:
        return text_bool(text, field);
    case OPTION_CHOICE:
        return set_choice(option, text, field);
    default:
        return false;
    }
}

/* The first of a pair. */
static int int_of(const void *field)
{
    int value;
    memcpy(&value, field, sizeof value);
    return value;
}

static bool is_choice(const struct option *option, int value)
{
    int n = 0;
    while (option->choices[n])
        n++;
    return value >= 0 && value < n;
}

void option_get(const struct option *option, const void *record,
                char out[OPTION_VALUE_SIZE])
{
    const void *field = (const char *)record + option->offset;
    const char *word = option_zero_word(option);
    if (option->type == OPTION_U64)
        snprintf(out, OPTION_VALUE_SIZE, "%llu",
                 (unsigned long long)*(const uint64_t *)field);
    else if (option->type == OPTION_BOOL)
        snprintf(out, OPTION_VALUE_SIZE, "%s", *(const bool *)field ? "true" : "false");
    else if (option->type == OPTION_FLOAT)
        text_of_number(*(const double *)field, out);
    else if (option->type == OPTION_F32)
        text_of_float(*(const float *)field, out);
    else if (option->type == OPTION_CHOICE && is_choice(option, int_of(field)))
        snprintf(out, OPTION_VALUE_SIZE, "%s", option->choices[int_of(field)]);
    else if (word && int_of(field) == 0)
        snprintf(out, OPTION_VALUE_SIZE, "%s", word);
    else
        snprintf(out, OPTION_VALUE_SIZE, "%d", int_of(field));
}

void option_set_default(const struct option_owner *owner, int i, void *record)
{
    const struct option *option = &owner->options[i];
    const char *text = option->default_text;
    if (!text || option_set(option, text, record))
        return;
    const int other = option_find(owner->options, owner->n_options, text);
    assert(option->type == OPTION_PAIR && other >= 0);
    assert(owner->options[other].type == OPTION_PAIR);
    memcpy((char *)record + option->offset,
           (char *)record + owner->options[other].offset, 2 * sizeof(int));
}

/* Whether a number of record is 0. */
static bool is_zero(const struct option *option, const void *record)
{
    const void *field = (const char *)record + option->offset;
    switch (option->type) {
    case OPTION_INT:
        return int_of(field) == 0;
    case OPTION_PAIR:
        return ((const int *)field)[0] == 0 && ((const int *)field)[1] == 0;
    case OPTION_FLOAT:
        return *(const double *)field == 0;
    case OPTION_F32:
        return *(const float *)field == 0;
    default:
        return false;
    }
}

void option_fill(const struct option_owner *owner, void *record)
{
    for (int i = 0; i < owner->n_options; i++)
        if (is_zero(&owner->options[i], record))
            option_set_default(owner, i, record);
}

/* The values of a number; 0: another type. */
static int numbers_of(const struct option *option, const void *record, double out[2])
{
    const void *field = (const char *)record + option->offset;
    switch (option->type) {
    case OPTION_PAIR:
        out[1] = ((const int *)field)[1];
        out[0] = int_of(field);
        return 2;
    case OPTION_INT:
    case OPTION_CLASSES:
        out[0] = int_of(field);
        return 1;
    case OPTION_FLOAT:
        out[0] = *(const double *)field;
        return 1;
    case OPTION_F32:
        out[0] = (double)*(const float *)field;
        return 1;
    default:
        return 0;
    }
}

int option_check(const struct option_owner *owner, const void *record)
{
    for (int i = 0; i < owner->n_options; i++) {
        const struct option *option = &owner->options[i];
        double values[2];
        const int n = numbers_of(option, record, values);
        if (option->type == OPTION_CHOICE &&
            !is_choice(option, int_of((const char *)record + option->offset)))
            return i;
        for (int k = 0; k < n; k++)
            if (!option_in_range(option, values[k]) &&
                !option_is_special(option, values[k]))
                return i;
    }
    return -1;
}

/* " at least 0 and below 1"; nothing for an end that no number passes. */
static void range_text(const struct option *option, char *out, size_t size)
{
    const char *low = option->open & OPTION_ABOVE_MIN ? "above" : "at least";
    const char *high = option->open & OPTION_BELOW_MAX ? "below" : "at most";
    int n = snprintf(out, size, " %s %g", low, option->min);
    if (option->max < INT_MAX)
        snprintf(out + n, size - (size_t)n, " and %s %g", high, option->max);
}

static void choices_text(const char *const *choices, const char *between, char *out,
                         size_t size)
{
    size_t n = 0;
    for (int i = 0; choices[i] && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%s", i ? between : "",
                              *choices[i] ? choices[i] : "\"\"");
}

void option_expects(const struct option *option, char out[OPTION_EXPECTS_SIZE])
{
    static const char *const types[] = {
        [OPTION_TEXT] = "text",
        [OPTION_INT] = "an integer",
        [OPTION_U64] = "an integer from 0 to 18446744073709551615",
        [OPTION_FLOAT] = "a number",
        [OPTION_F32] = "a number",
        [OPTION_PAIR] = "an integer",
        [OPTION_BOOL] = "true or false",
        [OPTION_CHOICE] = "one of ",
        [OPTION_AUTO] = "auto or an integer",
        [OPTION_CLASSES] = "an integer",
        [OPTION_NUMBERS] = "a list of numbers",
        [OPTION_TEXTS] = "a list of different texts, none empty",
        [OPTION_SCALES] = "{name: number, ...} with different names, each number",
        [OPTION_CROPS] = "an integer",
        [OPTION_NETWORK] = "a list of layers",
        [OPTION_OWNER] = "a name",
    };
    char range[64] = "", choices[96] = "";
    if (option->type == OPTION_CHOICE)
        choices_text(option->choices, ", ", choices, sizeof choices);
    if (option->max > option->min)
        range_text(option, range, sizeof range);
    const char *special = option_default_is_special(option) ? option->default_text
                          : option->type == OPTION_CLASSES  ? "classes"
                                                            : NULL;
    snprintf(out, OPTION_EXPECTS_SIZE, "%s%s%s%s%s%s", types[option->type], choices,
             range, special ? ", or " : "", special ? special : "",
             option->type == OPTION_CROPS
                 ? ", or [{epoch: E, crop: N}, ...], or {from: N, to: N, begin: E, "
                   "end: E, round: N}"
                 : "");
}

void option_type_text(const struct option *option, char *out, size_t size)
{
    static const char *const types[] = {
        [OPTION_TEXT] = "text",
        [OPTION_INT] = "integer",
        [OPTION_U64] = "integer",
        [OPTION_FLOAT] = "number",
        [OPTION_F32] = "number",
        [OPTION_PAIR] = "integer",
        [OPTION_BOOL] = "true|false",
        [OPTION_CHOICE] = "",
        [OPTION_AUTO] = "auto|integer",
        [OPTION_CLASSES] = "integer|classes",
        [OPTION_NUMBERS] = "[numbers]",
        [OPTION_TEXTS] = "[texts]",
        [OPTION_SCALES] = "{name: number}",
        [OPTION_CROPS] = "integer|list|ramp",
        [OPTION_NETWORK] = "[layers]",
        [OPTION_OWNER] = "name",
    };
    if (option->type == OPTION_CHOICE)
        choices_text(option->choices, "|", out, size);
    else
        snprintf(out, size, "%s", types[option->type]);
}
