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

static double cross_entropy(const float *logits, int64_t n_classes, int32_t label)
{
    double largest = (double)logits[0], sum = 0;
    for (int64_t k = 1; k < n_classes; k++)
        largest = fmax(largest, (double)logits[k]);
    for (int64_t k = 0; k < n_classes; k++)
        sum += exp((double)logits[k] - largest);
    return largest + log(sum) - (double)logits[label];
}

/* losses: NULL, or [n] that are known. */
static void score(const float *logits, const float *losses, int n, int64_t n_classes,
                  const int32_t *labels, double *scores)
{
    for (int s = 0; s < N_SCORES; s++)
        scores[s] = 0;
    for (int i = 0; i < n; i++) {
        if (labels[i] < 0)
            continue;
        const float *own = logits + i * n_classes;
        const int64_t rank = rank_of(own, n_classes, labels[i]);
        scores[SCORE_LOSS] +=
            losses ? (double)losses[i] : cross_entropy(own, n_classes, labels[i]);
        scores[SCORE_TOP1] += rank < 1;
        scores[SCORE_TOP5] += rank < 5;
        scores[SCORE_SAMPLES]++;
    }
}

void score_microbatch(const struct compiled *compiled, const int32_t *labels,
                      double *scores)
{
    const convoy_net *net = compiled->net;
    score(compiled_logits(compiled), compiled_losses(compiled), compiled->n,
          net->nodes[net->logits].shape.c, labels, scores);
}

void score_logits(const float *logits, int n, int64_t n_classes, const int32_t *labels,
                  double *scores)
{
    score(logits, NULL, n, n_classes, labels, scores);
}
