/* Values are positive and near 1, so that nothing overflows or becomes denormal however
 * they are combined; whole numbers, the places of pooling's maxima, are 0. The pattern
 * makes such values of f32 and bf16 alike. */
#include "onednn/alone.h"

#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

/* Whatever arguments the primitives of a net have. */
static const int arguments[] = {
    DNNL_ARG_SRC_0,     DNNL_ARG_SRC_1,        DNNL_ARG_DST,        DNNL_ARG_WEIGHTS,
    DNNL_ARG_BIAS,      DNNL_ARG_MEAN,         DNNL_ARG_VARIANCE,   DNNL_ARG_SCALE,
    DNNL_ARG_SHIFT,     DNNL_ARG_WORKSPACE,    DNNL_ARG_SCRATCHPAD, DNNL_ARG_DIFF_SRC,
    DNNL_ARG_DIFF_DST,  DNNL_ARG_DIFF_WEIGHTS, DNNL_ARG_DIFF_BIAS,  DNNL_ARG_DIFF_SCALE,
    DNNL_ARG_DIFF_SHIFT};

enum { N_ARGUMENTS = sizeof arguments / sizeof *arguments, MOST_SOURCES = 64 };

/* The nth argument, those of a concat after the others; 0: past the last. */
static int argument(int nth)
{
    if (nth < N_ARGUMENTS)
        return arguments[nth];
    return nth < N_ARGUMENTS + MOST_SOURCES ? DNNL_ARG_MULTIPLE_SRC + nth - N_ARGUMENTS
                                            : 0;
}

/* NULL or of no bytes: not an argument of pd. oneDNN 3 knows the layout of the shift in
 * batch normalization's backward pass, and refuses to be given it. */
static dnn_cmd layout_of(dnnl_primitive_desc_t pd, int arg)
{
#if DNNL_VERSION_MAJOR >= 3
    const struct dnn_work work = dnn_work_of(pd);
    if (arg == DNNL_ARG_SHIFT && work.kind == dnnl_batch_normalization &&
        work.prop_kind == dnnl_backward)
        return NULL;
#endif
    return dnn_chosen(pd, dnnl_query_exec_arg_md, arg);
}

/* Any layout of the dims and type of pd's argument; {0} where it has none. */
static convoy_status any_of(dnnl_primitive_desc_t pd, int arg, struct dnn_md *out)
{
    dnn_cmd md = layout_of(pd, arg);
    int64_t dims[DNN_MAX_DIMS];
    if (dnn_md_bytes(md) == 0)
        return CONVOY_OK;
    const int n_dims = dnn_md_dims(md, dims);
    return dnn_md_make(n_dims, dims, dnn_md_type(md), dnnl_format_tag_any, out);
}

static convoy_status make(const struct dnn *dnn, const struct dnn_work *work,
                          enum dnn_pass pass, const struct dnn_operands *operands,
                          dnnl_primitive_desc_t hint, dnnl_primitive_desc_t *pd)
{
    return work->kind == dnnl_convolution
               ? dnn_convolution(dnn, pass, operands, &work->window, hint, pd)
               : dnn_inner_product(dnn, pass, operands, hint, pd);
}

static enum dnn_pass pass_of(const struct dnn_work *work)
{
    return work->prop_kind == dnnl_backward_data      ? DNN_BACKWARD_DATA
           : work->prop_kind == dnnl_backward_weights ? DNN_BACKWARD_WEIGHTS
                                                      : DNN_FORWARD_TRAINING;
}

/* A convolution or inner product. A forward pass is described for the backward ones,
 * in layouts of its own: they need not be the same. */
static convoy_status free_layouts(const struct dnn *dnn, const struct dnn_work *work,
                                  dnnl_primitive_desc_t pd, dnnl_primitive_desc_t *best)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md src = {0}, weights = {0}, bias = {0}, dst = {0}, factor = {0};
    dnnl_primitive_desc_t hint = NULL;
    int64_t dims[DNN_MAX_DIMS];
    const enum dnn_pass pass = pass_of(work);
    const bool to_src = pass == DNN_BACKWARD_DATA;
    const bool to_weights = pass == DNN_BACKWARD_WEIGHTS;
    const bool forward = !to_src && !to_weights;
    TRY(any_of(pd, to_src ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, &src));
    TRY(any_of(pd, to_weights ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, &weights));
    if (!to_src)
        TRY(any_of(pd, to_weights ? DNNL_ARG_DIFF_BIAS : DNNL_ARG_BIAS, &bias));
    TRY(any_of(pd, forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, &dst));
    const struct dnn_operands operands = {dnn_md_ref(&src), dnn_md_ref(&weights),
                                          dnn_md_ref(&bias), dnn_md_ref(&dst)};
    if (to_weights) { /* their gradient's type may be wider than theirs */
        const int n_dims = dnn_md_dims(dnn_md_ref(&weights), dims);
        TRY(dnn_md_make(n_dims, dims, dnn_md_type(dnn_md_ref(&src)),
                        dnnl_format_tag_any, &factor));
    }
    const struct dnn_operands of_hint = {
        operands.src, to_weights ? dnn_md_ref(&factor) : operands.weights,
        operands.bias, operands.dst};
    if (!forward)
        TRY(make(dnn, work, DNN_FORWARD_TRAINING, &of_hint, NULL, &hint));
    TRY(make(dnn, work, pass, &operands, hint, best));
cleanup:
    if (hint)
        dnnl_primitive_desc_destroy(hint);
    dnn_md_free(&src);
    dnn_md_free(&weights);
    dnn_md_free(&bias);
    dnn_md_free(&dst);
    dnn_md_free(&factor);
    return status;
}

convoy_status alone_best(const struct dnn *dnn, dnnl_primitive_desc_t pd,
                         dnnl_primitive_desc_t *best)
{
    convoy_status status = CONVOY_OK;
    const struct dnn_work work = dnn_work_of(pd);
    if (work.kind == dnnl_convolution || work.kind == dnnl_inner_product)
        return free_layouts(dnn, &work, pd, best);
    TRY_DNNL(dnnl_primitive_desc_clone(best, pd));
cleanup:
    return status;
}

bool alone_same(dnnl_primitive_desc_t a, dnnl_primitive_desc_t b)
{
    const struct dnn_work of_a = dnn_work_of(a), of_b = dnn_work_of(b);
    if (of_a.kind != of_b.kind || of_a.prop_kind != of_b.prop_kind ||
        of_a.alg != of_b.alg || of_a.lrn_size != of_b.lrn_size ||
        memcmp(&of_a.window, &of_b.window, sizeof of_a.window) != 0)
        return false;
    for (int i = 0; argument(i); i++)
        if (!dnn_md_same(layout_of(a, argument(i)), layout_of(b, argument(i))))
            return false;
    return dnn_same_kernels(a, b);
}

/* Tensors of a power of two's bytes would all begin at the same place of a page, which
 * makes processors take a load for one of what was just stored. */
static size_t room_of(dnn_cmd md)
{
    enum { SKEW = 9 * MEM_ALIGNMENT };
    const size_t bytes = dnn_md_bytes(md);
    return bytes > 0 ? mem_round_up(bytes) + SKEW : 0;
}

size_t alone_bytes(dnnl_primitive_desc_t pd)
{
    size_t bytes = 0;
    for (int i = 0; argument(i); i++)
        bytes += room_of(layout_of(pd, argument(i)));
    return bytes;
}

/* From 2^-4 to 1, in a random order: in bf16, and so in f32, of which it is the upper
 * half. */
static void fill(void *memory, size_t bytes, dnnl_data_type_t type)
{
    uint16_t values[2048];
    const bool whole = type != dnnl_f32 && type != dnnl_bf16;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (uint16_t)(whole ? 0 : 0x3d80 + ((i * 2654435761U) >> 16 & 0x1ff));
    for (size_t done = 0; done < bytes; done += sizeof values) {
        const size_t left = bytes - done;
        memcpy((char *)memory + done, values,
               left < sizeof values ? left : sizeof values);
    }
}

/* The argument in whose place the primitive of this work may write arg: less memory to
 * walk through. 0: none. */
static int in_place_of(const struct dnn_work *work, int arg)
{
    if (work->kind != dnnl_binary && work->kind != dnnl_eltwise)
        return 0;
    if (arg == DNNL_ARG_DIFF_SRC)
        return DNNL_ARG_DIFF_DST;
    return arg == DNNL_ARG_DST && work->prop_kind != dnnl_backward_data ? DNNL_ARG_SRC_0
                                                                        : 0;
}

static dnnl_memory_t find(const dnnl_exec_arg_t *args, int n, int arg)
{
    for (int i = 0; i < n; i++)
        if (args[i].arg == arg)
            return args[i].memory;
    return NULL;
}

/* Lets outputs have their inputs' memory where the primitive can work in place. */
static convoy_status share_memory(dnnl_primitive_desc_t pd, const dnnl_exec_arg_t *args,
                                  int n)
{
    convoy_status status = CONVOY_OK;
    const struct dnn_work work = dnn_work_of(pd);
    for (int i = 0; i < n; i++) {
        void *data = NULL;
        dnnl_memory_t input = find(args, n, in_place_of(&work, args[i].arg));
        if (!input)
            continue;
        TRY_DNNL(dnnl_memory_get_data_handle(input, &data));
        TRY_DNNL(dnnl_memory_set_data_handle(args[i].memory, data));
    }
cleanup:
    return status;
}

/* Fills memory with pd's tensors and writes args [N_ARGUMENTS + MOST_SOURCES]; adds to
 * *n each memory object that is made. */
static convoy_status prepare(const struct dnn *dnn, dnnl_primitive_desc_t pd,
                             void *memory, dnnl_exec_arg_t *args, int *n)
{
    convoy_status status = CONVOY_OK;
    char *at = memory;
    for (int i = 0; argument(i); i++) {
        dnn_cmd md = layout_of(pd, argument(i));
        const size_t bytes = dnn_md_bytes(md);
        if (bytes == 0)
            continue;
        if (argument(i) != DNNL_ARG_SCRATCHPAD)
            fill(at, bytes, dnn_md_type(md));
        args[*n].arg = argument(i);
        TRY_DNNL(dnnl_memory_create(&args[*n].memory, md, dnn->engine, at));
        ++*n;
        at += room_of(md);
    }
cleanup:
    return status;
}

convoy_status alone_run(const struct dnn *dnn, dnnl_primitive_desc_t pd,
                        dnnl_primitive_t primitive, void *memory,
                        struct alone_time *time)
{
    convoy_status status = CONVOY_OK;
    dnnl_exec_arg_t args[N_ARGUMENTS + MOST_SOURCES];
    dnnl_stream_t stream = NULL;
    int n = 0;
    TRY(prepare(dnn, pd, memory, args, &n));
    TRY(share_memory(pd, args, n));
    TRY_DNNL(dnnl_stream_create(&stream, dnn->engine, dnnl_stream_in_order));
    TRY_DNNL(dnnl_primitive_execute(primitive, stream, n, args));
    const double start = clock_now_s(), cpu_start = clock_thread_s();
    TRY_DNNL(dnnl_primitive_execute(primitive, stream, n, args));
    const double cpu_end = clock_thread_s();
    *time = (struct alone_time){clock_now_s() - start, cpu_end - cpu_start};
cleanup:
    if (stream)
        dnnl_stream_destroy(stream);
    for (int i = 0; i < n; i++)
        dnnl_memory_destroy(args[i].memory);
    return status;
}
