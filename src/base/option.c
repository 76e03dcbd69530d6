/* What follows from an option's row alone: lookup, its range, and the texts that
 * describe it. Reading values is the recipe's affair.
 */
#include "base/option.h"

#include <limits.h>
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
    return above && below;
}

bool option_default_is_special(const struct option *option)
{
    const char *text = option->default_text;
    if (!text || (option->type != OPTION_INT && option->type != OPTION_FLOAT))
        return false;
    return (strcmp(text, "0") == 0 && option->min > 0) || strcmp(text, "-1") == 0;
}

bool option_is_special(const struct option *option, double value)
{
    return option_default_is_special(option) &&
           value == (double)strtol(option->default_text, NULL, 10);
}

const char *option_zero_word(const struct option *option)
{
    return option->type == OPTION_AUTO      ? "auto"
           : option->type == OPTION_CLASSES ? "classes"
                                            : NULL;
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
        [OPTION_BOOL] = "true or false",
        [OPTION_CHOICE] = "one of ",
        [OPTION_AUTO] = "auto or an integer",
        [OPTION_CLASSES] = "an integer",
        [OPTION_NUMBERS] = "a list of numbers",
        [OPTION_TEXTS] = "a list of different texts, none empty",
        [OPTION_SCALES] = "{name: number, ...} with different names, each number",
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
    snprintf(out, OPTION_EXPECTS_SIZE, "%s%s%s%s%s", types[option->type], choices,
             range, special ? ", or " : "", special ? special : "");
}

void option_type_text(const struct option *option, char *out, size_t size)
{
    static const char *const types[] = {
        [OPTION_TEXT] = "text",
        [OPTION_INT] = "integer",
        [OPTION_U64] = "integer",
        [OPTION_FLOAT] = "number",
        [OPTION_BOOL] = "true|false",
        [OPTION_CHOICE] = "",
        [OPTION_AUTO] = "auto|integer",
        [OPTION_CLASSES] = "integer|classes",
        [OPTION_NUMBERS] = "[numbers]",
        [OPTION_TEXTS] = "[texts]",
        [OPTION_SCALES] = "{name: number}",
        [OPTION_NETWORK] = "[layers]",
        [OPTION_OWNER] = "name",
    };
    if (option->type == OPTION_CHOICE)
        choices_text(option->choices, "|", out, size);
    else
        snprintf(out, size, "%s", types[option->type]);
}
