/* Building a program: tensors and ops are appended until plan.c places them. What then
 * happens to it is in program_run.c. */
#include "onednn/program_parts.h"

#include "base/memory.h"
#include "base/pulse.h"
#include "onednn/reorder.h"
#include "onednn/primitive.h"

#include <assert.h>
#include <string.h>

/* Room for one more element in a growing array. */
static convoy_status grow(void **array, int n, int *capacity, size_t size)
{
    if (n < *capacity)
        return CONVOY_OK;
    int larger = *capacity ? 2 * *capacity : 64;
    void *memory = NULL;
    convoy_status status = mem_alloc_array((size_t)larger, size, &memory);
    if (status != CONVOY_OK)
        return status;
    if (n)
        memcpy(memory, *array, (size_t)n * size);
    mem_free(*array);
    *array = memory;
    *capacity = larger;
    return CONVOY_OK;
}

convoy_status program_create(const struct dnn *dnn, struct program **program)
{
    struct program *made = NULL;
    convoy_status status = mem_alloc(sizeof *made, (void **)&made);
    if (status != CONVOY_OK)
        return status;
    made->dnn = dnn;
    made->layer = made->kind = "";
    made->scratchpad = NO_TENSOR;
    *program = made;
    return CONVOY_OK;
}

const struct dnn *program_dnn(const struct program *program)
{
    return program->dnn;
}

/* A parameter that has been named before: then copies of it are shared. */
static tensor find_parameter(const struct program *program, dnn_cmd md, enum home home,
                             size_t offset)
{
    if (home != HOME_PARAMS && home != HOME_FROZEN)
        return NO_TENSOR;
    for (int i = 0; i < program->n_tensors; i++) {
        const struct tensor_entry *entry = program->tensors[i];
        if (entry->home == home && entry->root == i &&
            entry->offset == offset * sizeof(float) &&
            dnn_md_same(dnn_md_ref(&entry->md), md))
            return i;
    }
    return NO_TENSOR;
}

static convoy_status add_tensor(struct program *program, dnn_cmd md, enum home home,
                                size_t offset, tensor *out)
{
    convoy_status status = CONVOY_OK;
    struct tensor_entry *entry = NULL;
    assert(!program->placed);
    TRY(grow((void **)&program->tensors, program->n_tensors, &program->tensors_capacity,
             sizeof *program->tensors));
    TRY(mem_alloc(sizeof *entry, (void **)&entry));
    TRY(dnn_md_copy(md, &entry->md));
    entry->home = home;
    entry->offset = offset * sizeof(float);
    entry->bytes = dnn_md_bytes(md);
    entry->root = program->n_tensors;
    entry->first_op = entry->last_op = -1;
    program->tensors[program->n_tensors] = entry;
    entry = NULL;
    *out = program->n_tensors++;
cleanup:
    mem_free(entry);
    return status;
}

convoy_status program_tensor(struct program *program, dnn_cmd md, enum home home,
                             size_t offset, tensor *out)
{
    *out = find_parameter(program, md, home, offset);
    return *out != NO_TENSOR ? CONVOY_OK : add_tensor(program, md, home, offset, out);
}

/* A view has the memory of its root, whatever views lie between, and so lives as long
 * as anything of the root's is used: plan.c places roots only. */
convoy_status program_view(struct program *program, tensor t, dnn_cmd md, tensor *out)
{
    const struct tensor_entry *viewed = program->tensors[t];
    convoy_status status = add_tensor(program, md, viewed->home, 0, out);
    if (status != CONVOY_OK)
        return status;
    program->tensors[*out]->offset = viewed->offset;
    program->tensors[*out]->root = viewed->root;
    return CONVOY_OK;
}

tensor program_root(const struct program *program, tensor t)
{
    return program->tensors[t]->root;
}

dnn_cmd program_md(const struct program *program, tensor t)
{
    return dnn_md_ref(&program->tensors[t]->md);
}

void program_label(struct program *program, const char *layer, const char *kind)
{
    program->layer = layer;
    program->kind = kind;
}

/* Appends an op with room for n_args; its arguments are for the caller to fill. */
static convoy_status append(struct program *program, enum phase phase, int n_args,
                            struct op **out)
{
    convoy_status status = CONVOY_OK;
    assert(!program->placed);
    TRY(grow((void **)&program->ops, program->n_ops, &program->ops_capacity,
             sizeof *program->ops));
    struct op *op = &program->ops[program->n_ops];
    memset(op, 0, sizeof *op);
    op->phase = phase;
    op->first_arg = program->n_args;
    op->layer = program->layer;
    op->kind = program->kind;
    TRY(mem_alloc_array((size_t)n_args, sizeof *op->args, (void **)&op->args));
    status =
        mem_alloc_array((size_t)n_args, sizeof *op->tensors, (void **)&op->tensors);
    if (status != CONVOY_OK) {
        mem_free(op->args);
        goto cleanup;
    }
    op->n_args = n_args;
    program->n_args += n_args;
    program->n_ops++;
    pulse(); /* choosing kernels takes a while */
    *out = op;
cleanup:
    return status;
}

convoy_status program_adopt(struct program *program, dnnl_primitive_desc_t pd)
{
    convoy_status status = grow((void **)&program->pds, program->n_pds,
                                &program->pds_capacity, sizeof *program->pds);
    if (status == CONVOY_OK)
        program->pds[program->n_pds++] = pd;
    else
        dnnl_primitive_desc_destroy(pd);
    return status;
}

convoy_status program_emit(struct program *program, enum phase phase,
                           dnnl_primitive_desc_t pd, int n_args,
                           const struct program_arg *args)
{
    struct op *op = NULL;
    size_t scratchpad = dnn_md_bytes(dnn_chosen(pd, dnnl_query_scratchpad_md, 0));
    convoy_status status = append(program, phase, n_args + (scratchpad > 0), &op);
    if (status != CONVOY_OK)
        return status;
    op->pd = pd;
    for (int i = 0; i < n_args; i++) {
        assert(args[i].tensor != NO_TENSOR);
        op->args[i] = args[i].arg;
        op->tensors[i] = args[i].tensor;
    }
    if (scratchpad > 0) {
        op->args[n_args] = DNNL_ARG_SCRATCHPAD;
        op->tensors[n_args] = NO_TENSOR; /* replaced when its size is known */
        if (scratchpad > program->scratchpad_bytes)
            program->scratchpad_bytes = scratchpad;
    }
    return CONVOY_OK;
}

convoy_status program_call(struct program *program, enum phase phase,
                           program_function *function, const void *context,
                           size_t context_size, int n_tensors, const tensor *tensors)
{
    struct op *op = NULL;
    assert(n_tensors <= PROGRAM_MAX_CALL_TENSORS &&
           context_size <= PROGRAM_CONTEXT_SIZE);
    convoy_status status = append(program, phase, n_tensors, &op);
    if (status != CONVOY_OK)
        return status;
    op->function = function;
    if (context_size)
        memcpy(op->context, context, context_size);
    for (int i = 0; i < n_tensors; i++)
        op->tensors[i] = tensors[i];
    return CONVOY_OK;
}

convoy_status program_rival(struct program *program, dnnl_primitive_desc_t pd)
{
    const convoy_status status = program_adopt(program, pd);
    assert(program->n_ops > 0 && !program->ops[program->n_ops - 1].pd);
    if (status == CONVOY_OK)
        program->ops[program->n_ops - 1].rival = pd;
    return status;
}

struct copy {
    dnn_cmd from, to; /* the program's, as long as it lives */
};

static void run_copy(const void *context, const struct run_info *info,
                     void *const *data)
{
    const struct copy *copy = context;
    (void)info;
    reorder_copy(copy->from, data[0], copy->to, data[1]);
}

static convoy_status emit_copy(struct program *program, enum phase phase, tensor from,
                               tensor to)
{
    const struct copy copy = {program_md(program, from), program_md(program, to)};
    const tensor tensors[] = {from, to};
    const char *kind = program->kind;
    program->kind = "reorder";
    const convoy_status status =
        program_call(program, phase, run_copy, &copy, sizeof copy, 2, tensors);
    program->kind = kind;
    return status;
}

convoy_status program_reorder(struct program *program, enum phase phase, tensor from,
                              tensor to)
{
    if (reorder_is_ours(program_md(program, from), program_md(program, to)))
        return emit_copy(program, phase, from, to);
    dnnl_primitive_desc_t pd = NULL;
    convoy_status status = dnn_reorder(program->dnn, program_md(program, from),
                                       program_md(program, to), &pd);
    if (status == CONVOY_OK)
        status = program_adopt(program, pd);
    if (status != CONVOY_OK)
        return status;
    const char *kind = program->kind;
    program->kind = "reorder";
    const struct program_arg args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    status = program_emit(program, phase, pd, 2, args);
    program->kind = kind;
    return status;
}

/* Copies are shared: the same tensor in the same layout is copied once. A copy of an
 * earlier phase still holds, since phases run in order and a tensor, once written, is
 * not written again until the next pass, except in place, which the net allows only
 * where nothing reads the value later. A copy of parameters is made when they change
 * (PHASE_WEIGHTS) and must stay over all passes until then: it has a home of its own.
 */
convoy_status program_want(struct program *program, enum phase phase, tensor t,
                           dnn_cmd md, tensor *out)
{
    convoy_status status = CONVOY_OK;
    if (dnn_md_same(program_md(program, t), md)) {
        *out = t;
        return CONVOY_OK;
    }
    for (int i = 0; i < program->n_wanted; i++) {
        const struct wanted *w = &program->wanted[i];
        bool usable = w->phase <= phase; /* a copy of an earlier phase still holds */
        if (usable && w->from == t && dnn_md_same(program_md(program, w->to), md)) {
            *out = w->to;
            return CONVOY_OK;
        }
    }
    tensor made = NO_TENSOR;
    enum home home = phase == PHASE_WEIGHTS ? HOME_PREPARED : HOME_ARENA;
    TRY(grow((void **)&program->wanted, program->n_wanted, &program->wanted_capacity,
             sizeof *program->wanted));
    TRY(program_tensor(program, md, home, 0, &made));
    TRY(program_reorder(program, phase, t, made));
    program->wanted[program->n_wanted++] = (struct wanted){phase, t, made};
    *out = made;
cleanup:
    return status;
}

void program_keep(struct program *program, tensor t)
{
    program->tensors[program->tensors[t]->root]->keep = true;
}

void program_keep_all(struct program *program)
{
    for (int i = 0; i < program->n_tensors; i++)
        program_keep(program, i);
}

/* One tensor serves as every primitive's scratchpad: they run one after another. */
static convoy_status add_scratchpad(struct program *program)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md md = {0};
    if (program->scratchpad_bytes == 0)
        return CONVOY_OK;
    const int64_t dims[] = {(int64_t)program->scratchpad_bytes};
    TRY(dnn_md_make_plain(1, dims, dnnl_u8, &md));
    TRY(program_tensor(program, dnn_md_ref(&md), HOME_ARENA, 0, &program->scratchpad));
cleanup:
    dnn_md_free(&md);
    return status;
}

/* The scratchpad's memory with the descriptor that this primitive asks for. */
static convoy_status scratchpad_view(struct program *program, struct op *op)
{
    dnn_cmd md = dnn_chosen(op->pd, dnnl_query_scratchpad_md, 0);
    return program_view(program, program->scratchpad, md, &op->tensors[op->n_args - 1]);
}

/* The scratchpad first, for it is a tensor to be placed. From here on nothing is added,
 * so pointers to what has been built stay. */
convoy_status program_place(struct program *program)
{
    convoy_status status = CONVOY_OK;
    TRY(add_scratchpad(program));
    for (int i = 0; i < program->n_ops; i++) {
        struct op *op = &program->ops[i];
        if (op->pd && op->n_args && op->tensors[op->n_args - 1] == NO_TENSOR)
            TRY(scratchpad_view(program, op));
    }
    TRY(plan_place(program));
    program->placed = true;
cleanup:
    return status;
}

size_t program_arena_bytes(const struct program *program)
{
    return program->arena_bytes;
}

size_t program_prepared_bytes(const struct program *program)
{
    return program->prepared_bytes;
}

size_t program_tensor_bytes(const struct program *program)
{
    return program->tensor_bytes;
}

int program_n_ops(const struct program *program)
{
    return program->n_ops;
}
