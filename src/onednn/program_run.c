/* A program at work: its memory, primitives and memory objects, and the walk over its
 * ops, which allocates nothing.
 *
 * Primitives are shared by all copies: with the scratchpad an argument, oneDNN's have
 * no state, and any number of threads may execute one. Memory objects hold pointers, so
 * each copy has its own, and a stream of its own. */
#include "onednn/program_parts.h"

#include "base/clock.h"
#include "base/memory.h"
#include "base/pulse.h"
#include "onednn/primitive.h"

#include <assert.h>
#include <string.h>

/* What copies share. */
static void destroy_built(struct program *program)
{
    for (int i = 0; i < program->n_ops; i++) {
        struct op *op = &program->ops[i];
        if (op->primitive)
            dnnl_primitive_destroy(op->primitive);
        mem_free(op->args);
        mem_free(op->tensors);
    }
    for (int i = 0; i < program->n_tensors; i++) {
        dnn_md_free(&program->tensors[i]->md);
        mem_free(program->tensors[i]);
    }
    for (int i = 0; i < program->n_pds; i++)
        dnnl_primitive_desc_destroy(program->pds[i]);
    mem_free(program->pds);
    mem_free(program->ops);
    mem_free(program->tensors);
    mem_free(program->wanted);
}

void program_destroy(struct program *program)
{
    if (!program)
        return;
    for (int i = 0; i < program->n_tensors && program->memories; i++)
        if (program->memories[i])
            dnnl_memory_destroy(program->memories[i]);
    mem_free(program->memories);
    mem_free(program->args);
    mem_free(program->times);
    mem_free(program->arena);
    mem_free(program->prepared);
    if (program->stream)
        dnnl_stream_destroy(program->stream);
    if (!program->is_copy)
        destroy_built(program);
    mem_free(program);
}

static void *base_of(const struct program *program, const struct tensor_entry *entry)
{
    char *base = program->bases[entry->home];
    return base ? base + entry->offset : NULL;
}

/* One memory object a tensor, views too: they differ in layout, and oneDNN keeps layout
 * and pointer in one. What belongs to the caller has no pointer yet (program_bind). */
static convoy_status create_memories(struct program *program)
{
    convoy_status status = CONVOY_OK;
    TRY(mem_alloc_array((size_t)program->n_tensors, sizeof *program->memories,
                        (void **)&program->memories));
    TRY(mem_alloc_array((size_t)program->n_args, sizeof *program->args,
                        (void **)&program->args));
    TRY(mem_alloc_array((size_t)program->n_ops, sizeof *program->times,
                        (void **)&program->times));
    TRY_DNNL(dnnl_stream_create(&program->stream, program->dnn->engine,
                                dnnl_stream_in_order));
    for (int i = 0; i < program->n_tensors; i++) {
        const struct tensor_entry *entry = program->tensors[i];
        void *data = base_of(program, entry);
        TRY_DNNL(dnnl_memory_create(&program->memories[i], dnn_md_ref(&entry->md),
                                    program->dnn->engine,
                                    data ? data : DNNL_MEMORY_NONE));
    }
    for (int i = 0; i < program->n_ops; i++) {
        const struct op *op = &program->ops[i];
        for (int a = 0; a < op->n_args && op->pd; a++)
            program->args[op->first_arg + a] =
                (dnnl_exec_arg_t){op->args[a], program->memories[op->tensors[a]]};
    }
cleanup:
    return status;
}

/* The lender's memory where it is large enough, else memory of its own. */
static convoy_status find_memory(size_t bytes, size_t lent_bytes, void *lent,
                                 void **own, void **base)
{
    if (lent && lent_bytes >= bytes) {
        *base = lent;
        return CONVOY_OK;
    }
    const convoy_status status = mem_alloc(bytes, own);
    *base = *own;
    return status;
}

static convoy_status find_arena(struct program *program, const struct program *lender)
{
    return find_memory(program->arena_bytes, lender ? lender->arena_bytes : 0,
                       lender ? lender->bases[HOME_ARENA] : NULL, &program->arena,
                       &program->bases[HOME_ARENA]);
}

convoy_status program_allocate(struct program *program, const struct program *lender)
{
    convoy_status status = CONVOY_OK;
    assert(program->placed && !program->memories);
    TRY(find_arena(program, lender));
    TRY(find_memory(program->prepared_bytes, lender ? lender->prepared_bytes : 0,
                    lender ? lender->bases[HOME_PREPARED] : NULL, &program->prepared,
                    &program->bases[HOME_PREPARED]));
    TRY(create_memories(program));
cleanup:
    return status;
}

convoy_status program_create_primitives(struct program *program, int part, int parts)
{
    convoy_status status = CONVOY_OK;
    for (int i = part; i < program->n_ops; i += parts) {
        struct op *op = &program->ops[i];
        if (op->pd)
            TRY_DNNL(dnnl_primitive_create(&op->primitive, op->pd));
        pulse();
    }
cleanup:
    return status;
}

convoy_status program_plan(struct program *program)
{
    convoy_status status = CONVOY_OK;
    TRY(program_place(program));
    TRY(program_allocate(program, NULL));
    TRY(program_create_primitives(program, 0, 1));
cleanup:
    return status;
}

convoy_status program_copy(const struct program *original, const struct program *lender,
                           struct program **copy)
{
    convoy_status status = CONVOY_OK;
    struct program *made = NULL;
    TRY(mem_alloc(sizeof *made, (void **)&made));
    *made = *original;
    made->is_copy = true;
    made->stream = NULL;
    made->memories = NULL;
    made->args = NULL;
    made->times = NULL;
    made->arena = made->prepared = NULL;
    TRY(find_arena(made, lender));
    TRY(create_memories(made));
    *copy = made;
    made = NULL;
cleanup:
    program_destroy(made);
    return status;
}

/* Sets new pointers in memory objects that exist: no primitive is created again. The
 * same base again costs nothing, which is the usual case but for images and leaves. */
convoy_status program_bind(struct program *program, enum home home, void *base)
{
    convoy_status status = CONVOY_OK;
    assert(program->memories && home != HOME_ARENA && home != HOME_PREPARED);
    if (program->bases[home] == base)
        return CONVOY_OK;
    program->bases[home] = base;
    for (int i = 0; i < program->n_tensors; i++) {
        const struct tensor_entry *entry = program->tensors[i];
        if (entry->home == home)
            TRY_DNNL(dnnl_memory_set_data_handle(program->memories[i],
                                                 base_of(program, entry)));
    }
cleanup:
    return status;
}

static convoy_status execute(struct program *program, const struct op *op,
                             const struct run_info *info)
{
    convoy_status status = CONVOY_OK;
    if (op->pd) {
        TRY_DNNL(dnnl_primitive_execute(op->primitive, program->stream, op->n_args,
                                        program->args + op->first_arg));
    } else {
        void *data[PROGRAM_MAX_CALL_TENSORS];
        for (int i = 0; i < op->n_args; i++)
            data[i] = program_data(program, op->tensors[i]);
        op->function(op->context, info, data);
    }
cleanup:
    return status;
}

convoy_status program_run_op(struct program *program, int i,
                             const struct run_info *info)
{
    struct op_time *time = &program->times[i];
    pulse();
    if (!program->timing)
        return execute(program, &program->ops[i], info);
    const double start = clock_now_s(), cpu_start = clock_thread_s();
    const convoy_status status = execute(program, &program->ops[i], info);
    time->cpu_seconds += clock_thread_s() - cpu_start;
    time->seconds += clock_now_s() - start;
    time->runs++;
    return status;
}

convoy_status program_run(struct program *program, enum phase phase,
                          const struct run_info *info)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < program->n_ops; i++)
        if (program->ops[i].phase == phase)
            TRY(program_run_op(program, i, info));
cleanup:
    return status;
}

convoy_status program_run_backward(struct program *program, const struct run_info *info,
                                   program_final *final, void *context)
{
    convoy_status status = CONVOY_OK;
    size_t from = SIZE_MAX;
    for (int i = 0; i < program->n_ops; i++) {
        const struct op *op = &program->ops[i];
        if (op->phase != PHASE_BACKWARD)
            continue;
        TRY(program_run_op(program, i, info));
        if (op->final_from < from)
            final(context, from = op->final_from);
    }
cleanup:
    return status;
}

convoy_status program_prepare(struct program *program, atomic_int *next)
{
    convoy_status status = CONVOY_OK;
    const struct run_info none = {0};
    for (;;) {
        const int i = atomic_fetch_add(next, 1);
        if (i >= program->n_ops)
            break;
        if (program->ops[i].phase == PHASE_WEIGHTS)
            TRY(program_run_op(program, i, &none));
    }
cleanup:
    return status;
}

void *program_data(const struct program *program, tensor t)
{
    return base_of(program, program->tensors[t]);
}

void program_time(struct program *program, bool on)
{
    program->timing = on;
    memset(program->times, 0, (size_t)program->n_ops * sizeof *program->times);
}

static bool has_arg(const struct op *op, int arg)
{
    for (int i = 0; i < op->n_args; i++)
        if (op->args[i] == arg)
            return true;
    return false;
}

struct program_cost program_cost(const struct program *program, int op)
{
    const struct op *o = &program->ops[op];
    const struct op_time time =
        program->times ? program->times[op] : (struct op_time){0};
    return (struct program_cost){.layer = o->layer,
                                 .kind = o->kind,
                                 .phase = o->phase,
                                 .primitive = o->pd != NULL,
                                 .of_weights = has_arg(o, DNNL_ARG_DIFF_WEIGHTS),
                                 .reference = o->pd && dnn_is_reference(o->pd),
                                 .kernels = o->pd ? dnn_kernels(o->pd) : "",
                                 .seconds = time.seconds,
                                 .cpu_seconds = time.cpu_seconds,
                                 .runs = time.runs};
}

dnnl_primitive_desc_t program_primitive(const struct program *program, int op)
{
    const struct op *o = &program->ops[op];
    return o->pd ? o->pd : o->rival;
}
