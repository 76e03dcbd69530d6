/* The part of convoy info that is about models. */
#ifndef CLI_INFO_MODEL_H
#define CLI_INFO_MODEL_H

#include "cli/cli.h"

/* As given on the command line; NULL: not given. */
struct info_model_options {
    const char *classes, *input, *size;
    bool compare;      /* kinds of layers, in place of the table */
    const char *layer; /* of the comparison; NULL: all */
    bool json;
};

/* Prints the layers of model name and their totals, or what other kinds of layers would
 * need in their place; an exit status. */
int info_model(const char *name, const struct info_model_options *options);

#endif
