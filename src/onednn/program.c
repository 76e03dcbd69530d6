/* Building and running a program. Building appends; program_plan (with plan.c's
 * placing) turns it into a flat list of ready primitives; running walks that list. */
#include "onednn/program_parts.h"

#include "base/clock.h"
#include "base/memory.h"
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

void program_destroy(struct program *program)
{
    if (!program)
        return;
    for (int i = 0; i < program->n_ops; i++) {
        struct op *op = &program->ops[i];
        if (op->primitive)
            dnnl_primitive_destroy(op->primitive);
        mem_free(op->args);
        mem_free(op->tensors);
    }
    for (int i = 0; i < program->n_tensors; i++) {
        if (program->tensors[i]->memory)
            dnnl_memory_destroy(program->tensors[i]->memory);
        dnn_md_free(&program->tensors[i]->md);
        mem_free(program->tensors[i]);
    }
    for (int i = 0; i < program->n_pds; i++)
        dnnl_primitive_desc_destroy(program->pds[i]);
    mem_free(program->pds);
    mem_free(program->ops);
    mem_free(program->tensors);
    mem_free(program->wanted);
    if (!program->lender)
        mem_free(program->arena);
    mem_free(program);
}

const struct dnn *program_dnn(const struct program *program)
{
    return program->dnn;
}

convoy_status program_tensor(struct program *program, dnn_cmd md, enum home home,
                             size_t offset, tensor *out)
{
    convoy_status status = CONVOY_OK;
    struct tensor_entry *entry = NULL;
    assert(!program->planned);
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

/* A view has the memory of its root, whatever views lie between, and so lives as long
 * as anything of the root's is used: plan.c places roots only. */
convoy_status program_view(struct program *program, tensor t, dnn_cmd md, tensor *out)
{
    const struct tensor_entry *viewed = program->tensors[t];
    convoy_status status = program_tensor(program, md, viewed->home, 0, out);
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
    assert(!program->planned);
    TRY(grow((void **)&program->ops, program->n_ops, &program->ops_capacity,
             sizeof *program->ops));
    struct op *op = &program->ops[program->n_ops];
    memset(op, 0, sizeof *op);
    op->phase = phase;
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
    program->n_ops++;
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
        op->args[i].arg = args[i].arg;
        op->tensors[i] = args[i].tensor;
    }
    if (scratchpad > 0) {
        op->args[n_args].arg = DNNL_ARG_SCRATCHPAD;
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

convoy_status program_reorder(struct program *program, enum phase phase, tensor from,
                              tensor to)
{
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
 * (PHASE_WEIGHTS) and must stay over all passes until then: it is persistent. */
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
    enum home home = phase == PHASE_WEIGHTS ? HOME_PERSISTENT : HOME_ARENA;
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

/* One tensor serves as every primitive's scratchpad: they run one after another. */
static convoy_status add_scratchpad(struct program *program)
{
    convoy_status status = CONVOY_OK;
    struct dnn_md md = {0};
    if (program->scratchpad_bytes == 0)
        return CONVOY_OK;
    const int64_t dims[] = {(int64_t)program->scratchpad_bytes};
    TRY(dnn_md_make_plain(1, dims, dnnl_u8, &md));
    TRY(program_tensor(program, dnn_md_ref(&md), HOME_PERSISTENT, 0,
                       &program->scratchpad));
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

static void *base_of(const struct program *program, const struct tensor_entry *entry)
{
    bool planned = entry->home == HOME_ARENA || entry->home == HOME_PERSISTENT;
    char *base = planned ? program->arena : program->bases[entry->home];
    return base ? base + entry->offset : NULL;
}

/* One memory object a tensor, views too: they differ in layout, and oneDNN keeps layout
 * and pointer in one. What belongs to the caller has no pointer yet (program_bind). */
static convoy_status create_memories(struct program *program)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < program->n_tensors; i++) {
        struct tensor_entry *entry = program->tensors[i];
        void *data = base_of(program, entry);
        TRY_DNNL(dnnl_memory_create(&entry->memory, dnn_md_ref(&entry->md),
                                    program->dnn->engine,
                                    data ? data : DNNL_MEMORY_NONE));
    }
cleanup:
    return status;
}

static convoy_status create_primitives(struct program *program)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < program->n_ops; i++) {
        struct op *op = &program->ops[i];
        if (!op->pd)
            continue;
        TRY_DNNL(dnnl_primitive_create(&op->primitive, op->pd));
        for (int a = 0; a < op->n_args; a++)
            op->args[a].memory = program->tensors[op->tensors[a]]->memory;
    }
cleanup:
    return status;
}

void program_borrow(struct program *program, const struct program *lender)
{
    assert(lender->planned && !program->planned);
    program->lender = lender;
}

/* The lender's memory where it is large enough, else memory of its own. */
static convoy_status find_arena(struct program *program)
{
    if (program->lender && program->lender->arena_bytes >= program->arena_bytes) {
        program->arena = program->lender->arena;
        return CONVOY_OK;
    }
    program->lender = NULL;
    return mem_alloc(program->arena_bytes, (void **)&program->arena);
}

/* The scratchpad first, for it is a tensor to be placed; then places, memory, objects,
 * primitives. From here on nothing is added, so pointers into the arena stay, and a
 * run allocates nothing: it only walks the list. */
convoy_status program_plan(struct program *program)
{
    convoy_status status = CONVOY_OK;
    TRY(add_scratchpad(program));
    for (int i = 0; i < program->n_ops; i++) {
        struct op *op = &program->ops[i];
        if (op->pd && op->n_args && op->tensors[op->n_args - 1] == NO_TENSOR)
            TRY(scratchpad_view(program, op));
    }
    TRY(plan_place(program));
    TRY(find_arena(program));
    program->planned = true;
    TRY(create_memories(program));
    TRY(create_primitives(program));
cleanup:
    return status;
}

size_t program_planned_bytes(const struct program *program)
{
    return program->arena_bytes;
}

size_t program_tensor_bytes(const struct program *program)
{
    return program->tensor_bytes;
}

/* Sets new pointers in memory objects that exist: no primitive is created again. The
 * same base again costs nothing, which is the usual case but for images and leaves. */
convoy_status program_bind(struct program *program, enum home home, void *base)
{
    convoy_status status = CONVOY_OK;
    assert(program->planned && home != HOME_ARENA && home != HOME_PERSISTENT);
    if (program->bases[home] == base)
        return CONVOY_OK;
    program->bases[home] = base;
    for (int i = 0; i < program->n_tensors; i++) {
        struct tensor_entry *entry = program->tensors[i];
        if (entry->home == home)
            TRY_DNNL(
                dnnl_memory_set_data_handle(entry->memory, base_of(program, entry)));
    }
cleanup:
    return status;
}

static convoy_status run_op(const struct program *program, struct op *op,
                            const struct run_info *info)
{
    convoy_status status = CONVOY_OK;
    if (op->primitive) {
        TRY_DNNL(dnnl_primitive_execute(op->primitive, program->dnn->stream, op->n_args,
                                        op->args));
    } else {
        void *data[PROGRAM_MAX_CALL_TENSORS];
        for (int i = 0; i < op->n_args; i++)
            data[i] = program_data(program, op->tensors[i]);
        op->function(op->context, info, data);
    }
cleanup:
    return status;
}

convoy_status program_run(struct program *program, enum phase phase,
                          const struct run_info *info)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < program->n_ops; i++) {
        struct op *op = &program->ops[i];
        if (op->phase != phase)
            continue;
        double start = program->timing ? clock_now_s() : 0;
        TRY(run_op(program, op, info));
        if (program->timing) {
            op->seconds += clock_now_s() - start;
            op->runs++;
        }
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
    for (int i = 0; i < program->n_ops; i++) {
        program->ops[i].seconds = 0;
        program->ops[i].runs = 0;
    }
}

int program_n_ops(const struct program *program)
{
    return program->n_ops;
}

struct program_cost program_cost(const struct program *program, int op)
{
    const struct op *o = &program->ops[op];
    return (struct program_cost){.layer = o->layer,
                                 .kind = o->kind,
                                 .phase = o->phase,
                                 .primitive = o->primitive != NULL,
                                 .seconds = o->seconds,
                                 .runs = o->runs};
}
