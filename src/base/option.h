/* What a thing can be told, as a table: name, type, place in a struct, default, range
 * and help of each option. Keys of a recipe are such options, and so are those of a
 * kind of layer or an optimizer, whose tables end their own files.
 */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/* With the type of the field at an option's offset. */
enum option_type {
    OPTION_TEXT,    /* char *, owned */
    OPTION_INT,     /* int */
    OPTION_U64,     /* uint64_t */
    OPTION_FLOAT,   /* double */
    OPTION_F32,     /* float */
    OPTION_PAIR,    /* int [2]; one number for both */
    OPTION_BOOL,    /* bool */
    OPTION_CHOICE,  /* an enum: index into choices */
    OPTION_AUTO,    /* int; "auto" is 0 */
    OPTION_CLASSES, /* int; "classes" is 0 */
    OPTION_NUMBERS, /* struct recipe_numbers */
    OPTION_TEXTS,   /* struct recipe_texts */
    OPTION_SCALES,  /* struct recipe_scales */
    OPTION_CROPS,   /* struct recipe_crops */
    OPTION_NETWORK, /* struct recipe_network *, owned */
    OPTION_OWNER    /* struct recipe_choice: which of several owners, by its name */
};

/* Which ends of a range do not belong to it; and, of a recipe's key, that a run may go
 * on with another value: since no result depends on it, or since it only says how long
 * the run lasts and how it ends, which is then noted. Without either, going on with
 * another value breaks the promise of the same weights. */
enum {
    OPTION_ABOVE_MIN = 1,
    OPTION_BELOW_MAX = 2,
    OPTION_MAY_CHANGE = 4,
    OPTION_NOTED = 8
};

enum { OPTION_EXPECTS_SIZE = 160, OPTION_VALUE_SIZE = 32 };

struct option {
    const char *name; /* "stride"; of a recipe's key its path, "data.augment.flip" */
    enum option_type type;
    size_t offset;
    const char *default_text; /* as YAML; NULL: it must be given. Of an OPTION_PAIR
                                 also the name of another: the same as that */
    double min, max;          /* of numbers and lists of them; a default of 0 or -1 is
                                 always allowed */
    int open; /* OPTION_ABOVE_MIN | OPTION_BELOW_MAX | OPTION_MAY_CHANGE | OPTION_NOTED
               */
    const char *const *choices; /* OPTION_CHOICE; NULL-terminated */
    const char *help;           /* one line */
};

/* A thing that a recipe calls by its name, a kind of layer or an optimizer say, and
 * what it can be told. */
struct option_owner {
    const char *name;             /* "conv" */
    const char *help;             /* one line */
    const struct option *options; /* [n_options] */
    int n_options;
    size_t size;          /* of the struct that offsets count in */
    int min_src, max_src; /* of a layer: its inputs */
    bool is_loss;         /* of a layer: a net ends in it, and no recipe names it */
    const char *const *presets; /* of other keys of a recipe, by their whole names, in
                                   place of their defaults: name, text, name, …, NULL;
                                   NULL: none */
    const char *same; /* owners with an equal text here compute the same, to the bit;
                         NULL: this one with none but itself */

    /* Rules between its options; NULL: there are none. A failure's text goes on after
     * "key 'NAME' ", and *name is the option to point at. */
    convoy_status (*check)(const void *record, const char **name);
};

/* .options, .n_options and .size of an owner with this table in this struct. */
#define OPTION_TABLE(table, record)                                                    \
    .options = (table), .n_options = (int)(sizeof(table) / sizeof *(table)),           \
    .size = sizeof(record)

/* The index of the option called name, or -1. */
int option_find(const struct option *options, int n, const char *name);

/* The owner called name in a NULL-terminated list, or NULL. */
const struct option_owner *option_owner_find(const struct option_owner *const *owners,
                                             const char *name);

/* Whether value is finite and lies between min and max. */
bool option_in_range(const struct option *option, double value);

/* Whether the default of a number lies outside its range and so has a meaning of its
 * own: every such default is 0 or -1. */
bool option_default_is_special(const struct option *option);

/* Whether value is such a default. */
bool option_is_special(const struct option *option, double value);

/* The word for 0 of OPTION_AUTO and OPTION_CLASSES; NULL for other types. */
const char *option_zero_word(const struct option *option);

/* Whether the type is one that option_set and option_get know: a number, a bool, a
 * word. */
bool option_is_scalar(const struct option *option);

/* Sets the scalar option of record from text. False: text is no such value, or out of
 * range; record is as it was. */
bool option_set(const struct option *option, const char *text, void *record);

/* A short text of the scalar option of record, which reads back as it is. */
void option_get(const struct option *option, const void *record,
                char out[OPTION_VALUE_SIZE]);

/* Gives record option i's default; nothing, if it has none. Options of record that the
 * default names must be set. */
void option_set_default(const struct option_owner *owner, int i, void *record);

/* Gives the numbers of record that are 0 their defaults, if they have any. */
void option_fill(const struct option_owner *owner, void *record);

/* The first scalar option of record that is out of its range; -1: none is. */
int option_check(const struct option_owner *owner, const void *record);

/* What values the option takes: "a number at least 0 and below 1". */
void option_expects(const struct option *option, char out[OPTION_EXPECTS_SIZE]);

/* The same for a table: "number", "constant|step|cosine". */
void option_type_text(const struct option *option, char *out, size_t size);

#endif
