/* What a table of scaling comes to, in words. Local. */
#ifndef REPORT_REPORT_SENTENCE_H
#define REPORT_REPORT_SENTENCE_H

#include "report/report_table.h"

#include <stdbool.h>

enum { REPORT_SENTENCE_SIZE = 1024 };

/* Whether the table's rows are on several numbers of nodes, so that nodes tell its
 * sizes; else cores do. */
bool report_counts_nodes(const convoy_report *report, const struct report_table *table);
uint64_t report_size_of(const struct report_row *row, bool counts_nodes);

/* Up to which size it is efficient, and what takes the time beyond. Ends in a full
 * stop. Of a table that is no study it says so. A doubt stands behind it. */
void report_sentence(const convoy_report *report, const struct report_table *table,
                     char out[REPORT_SENTENCE_SIZE]);

/* Why the table's efficiencies are not to be trusted: a size is more efficient than the
 * smallest by more than noise, a sentence; "": there is no doubt. */
void report_doubt(const convoy_report *report, const struct report_table *table,
                  char out[REPORT_SENTENCE_SIZE]);

/* What "exchange_s" is on so many ranks: one rank has nobody to exchange with, there
 * lanes wait for those that end later. */
const char *report_exchange_name(uint64_t ranks);

/* The most ranks of a row; and whether a row has but one. */
uint64_t report_most_ranks(const convoy_report *report,
                           const struct report_table *table);
bool report_has_single_rank(const convoy_report *report,
                            const struct report_table *table);

#endif
