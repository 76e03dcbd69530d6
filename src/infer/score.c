/* Counting what the net got right. */
#include "infer/score.h"

#include <math.h>

/* How many classes come before label in descending order of logits. */
static int64_t rank_of(const float *logits, int64_t n_classes, int32_t label)
{
    int64_t rank = 0;
    if (!isfinite(logits[label]))
        return n_classes;
    for (int64_t k = 0; k < n_classes; k++)
        if (logits[k] > logits[label] || (logits[k] == logits[label] && k < label))
            rank++;
    return rank;
}

void score_microbatch(const struct compiled *compiled, const int32_t *labels,
                      double *scores)
{
    const convoy_net *net = compiled->net;
    const int64_t n_classes = net->nodes[net->logits].shape.c;
    const float *logits = compiled_logits(compiled);
    const float *losses = compiled_losses(compiled);
    for (int s = 0; s < N_SCORES; s++)
        scores[s] = 0;
    for (int i = 0; i < compiled->n; i++) {
        if (labels[i] < 0)
            continue;
        int64_t rank = rank_of(logits + i * n_classes, n_classes, labels[i]);
        scores[SCORE_LOSS] += (double)losses[i];
        scores[SCORE_TOP1] += rank < 1;
        scores[SCORE_TOP5] += rank < 5;
        scores[SCORE_SAMPLES]++;
    }
}
