/* Loss and accuracy of a microbatch, as sums to be added in the tree's order. */
#ifndef INFER_SCORE_H
#define INFER_SCORE_H

#include "net/net.h"

enum { SCORE_LOSS, SCORE_TOP1, SCORE_TOP5, SCORE_SAMPLES, N_SCORES };

/* Of the last forward pass: labels [n], -1 is no sample. scores: [N_SCORES]. A tie
 * goes to the class with the lower index, as PyTorch's argmax. */
void score_microbatch(const struct compiled *compiled, const int32_t *labels,
                      double *scores);

/* The same of n samples' logits [n, n_classes], whose losses are not known yet: the
 * cross-entropies. */
void score_logits(const float *logits, int n, int64_t n_classes, const int32_t *labels,
                  double *scores);

#endif
