/* Copies between layouts that oneDNN cannot be trusted with. */
#ifndef ONEDNN_REORDER_H
#define ONEDNN_REORDER_H

#include "onednn/engine.h"

/* Whether a copy between these layouts, from f32 to f32 or bf16, is to be made by
 * reorder_copy: oneDNN 3.7 loses values where a dimension is padded and there are
 * blocks of two (reorder.c). */
bool reorder_is_ours(dnn_cmd from, dnn_cmd to);

/* dst = src, padding of dst 0. Layouts of equal dims. OpenMP inside. */
void reorder_copy(dnn_cmd from, const float *src, dnn_cmd to, void *dst);

#endif
