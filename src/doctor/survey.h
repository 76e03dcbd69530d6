/* What ranks tell of themselves: facts, lines of "name\tvalue\n". The text describes
 * itself, so ranks of different versions understand each other: a fact that one does
 * not have is "". Local, all of it. */
#ifndef DOCTOR_SURVEY_H
#define DOCTOR_SURVEY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Writes a fact; tabs and ends of lines in the value become blanks. */
void survey_put(FILE *facts, const char *name, const char *value);
void survey_put_number(FILE *facts, const char *name, double value);

struct survey {
    int n;        /* ranks */
    char **texts; /* [n] of each its facts; as survey_read leaves them */
};

/* Makes texts [n], which are changed in place and borrowed, a survey. */
void survey_read(struct survey *survey, char **texts, int n);

/* "" where the rank did not tell. Borrowed. */
const char *survey_text(const struct survey *survey, int rank, const char *name);
bool survey_has(const struct survey *survey, int rank, const char *name);
/* 0 where the rank did not tell a number. */
double survey_number(const struct survey *survey, int rank, const char *name);
/* A variable of the rank's environment, "" where it is not set. */
const char *survey_env(const struct survey *survey, int rank, const char *name);

/* Whether rank is the first of its machine, who tells of it. */
bool survey_is_first(const struct survey *survey, int rank);
int survey_machines(const struct survey *survey);

/* "node1, node2, node3 and 5 more": the hosts of the ranks that are picked, once each.
 */
enum { HOSTS_SIZE = 320 };
void survey_hosts(const struct survey *survey,
                  bool (*pick)(const struct survey *survey, int rank,
                               const void *context),
                  const void *context, char text[HOSTS_SIZE]);

#endif
