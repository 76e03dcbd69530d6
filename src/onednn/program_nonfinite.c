/* Looking for the op that makes the first value which is no finite number. After each
 * op all its tensors are read, through a copy in plain f32, whatever their layout is:
 * what lies between values is not looked at. The ops before have shown that what this
 * one reads was finite, unless it comes from outside. */
#include "onednn/program_parts.h"

#include "base/magnitude.h"
#include "base/memory.h"

#include <math.h>

/* Grows as needed. */
struct room {
    float *values;
    size_t n;
};

static convoy_status need_room(struct room *room, size_t n)
{
    if (n <= room->n)
        return CONVOY_OK;
    mem_free(room->values);
    room->values = NULL;
    room->n = 0;
    const convoy_status status =
        mem_alloc_array(n, sizeof *room->values, (void **)&room->values);
    room->n = status == CONVOY_OK ? n : 0;
    return status;
}

/* What has another type than these is no number, or an integer. */
static convoy_status check_tensor(const struct program *program, tensor t,
                                  struct room *room, bool *is_finite)
{
    convoy_status status = CONVOY_OK;
    const dnn_cmd md = program_md(program, t);
    const void *data = program_data(program, t);
    struct dnn_md plain = {0};
    int64_t dims[DNN_MAX_DIMS];
    size_t n = 1;
    *is_finite = true;
    const dnnl_data_type_t type = dnn_md_type(md);
    if (!data || (type != dnnl_f32 && type != dnnl_bf16) || dnn_md_bytes(md) == 0)
        return CONVOY_OK;
    const int n_dims = dnn_md_dims(md, dims);
    for (int d = 0; d < n_dims; d++)
        n *= (size_t)dims[d];
    TRY(need_room(room, n));
    TRY(dnn_md_make_plain(n_dims, dims, dnnl_f32, &plain));
    TRY(dnn_reorder_now(program->dnn, md, data, dnn_md_ref(&plain), room->values));
    *is_finite = magnitudes_below(room->values, n, INFINITY);
cleanup:
    dnn_md_free(&plain);
    return status;
}

convoy_status program_find_nonfinite(struct program *program, enum phase phase,
                                     const struct run_info *info, int *op)
{
    convoy_status status = CONVOY_OK;
    struct room room = {0};
    bool is_finite = true;
    int i = 0;
    for (; i < program->n_ops && is_finite; i++) {
        const struct op *o = &program->ops[i];
        if (o->phase != phase)
            continue;
        TRY(program_run_op(program, i, info));
        for (int a = 0; a < o->n_args && is_finite; a++)
            TRY(check_tensor(program, o->tensors[a], &room, &is_finite));
    }
    *op = is_finite ? NO_OP : i - 1;
cleanup:
    mem_free(room.values);
    return status;
}
