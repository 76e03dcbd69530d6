/* Where each planned tensor lives. Ops are numbered in execution order, FORWARD then
 * BACKWARD; a tensor is alive from the first op that names it to the last. Tensors are
 * placed largest first, each at the lowest offset where no tensor alive at the same
 * time lies: the greedy-by-size rule of Pisarchyk and Lee, "Efficient memory management
 * for deep neural net inference", MLSys 2020 workshop, section 5. */
#include "onednn/program_parts.h"

#include "base/memory.h"

#include <limits.h>
#include <stdlib.h>

/* Sets first_op and last_op of each root tensor. */
static void find_lives(struct program *program)
{
    int position = 0;
    for (int phase = PHASE_FORWARD; phase <= PHASE_BACKWARD; phase++) {
        for (int i = 0; i < program->n_ops; i++) {
            const struct op *op = &program->ops[i];
            if ((int)op->phase != phase)
                continue;
            for (int a = 0; a < op->n_args; a++) {
                tensor root = program->tensors[op->tensors[a]]->root;
                struct tensor_entry *entry = program->tensors[root];
                if (entry->first_op < 0)
                    entry->first_op = position;
                entry->last_op = position;
            }
            position++;
        }
    }
    for (int i = 0; i < program->n_tensors; i++) {
        struct tensor_entry *entry = program->tensors[i];
        if (i == program->scratchpad) { /* PHASE_WEIGHTS uses it, too */
            entry->first_op = 0;
            entry->last_op = INT_MAX;
        } else if (entry->keep) {
            entry->last_op = INT_MAX;
        }
    }
}

/* Sets final_from of each op of the backward pass, from the last one on. */
static void find_final(struct program *program)
{
    size_t from = 0;
    for (int i = program->n_ops - 1; i >= 0; i--) {
        struct op *op = &program->ops[i];
        if (op->phase != PHASE_BACKWARD)
            continue;
        op->final_from = from;
        for (int a = 0; a < op->n_args; a++) {
            const struct tensor_entry *entry = program->tensors[op->tensors[a]];
            const size_t end = (entry->offset + entry->bytes) / sizeof(float);
            if (entry->home == HOME_GRADS && end > from)
                from = end;
        }
    }
}

static int by_size(const void *a, const void *b)
{
    const struct tensor_entry *x = *(struct tensor_entry *const *)a;
    const struct tensor_entry *y = *(struct tensor_entry *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->root < y->root ? -1 : x->root > y->root;
}

/* Inserts entry into placed[n], which is sorted by offset. */
static void insert(struct tensor_entry *entry, struct tensor_entry **placed, int n)
{
    while (n > 0 && placed[n - 1]->offset > entry->offset) {
        placed[n] = placed[n - 1];
        n--;
    }
    placed[n] = entry;
}

static bool overlap(const struct tensor_entry *a, const struct tensor_entry *b)
{
    return a->first_op <= b->last_op && b->first_op <= a->last_op;
}

/* The lowest gap among the placed tensors (sorted by offset) that are alive with entry.
 */
static size_t lowest_gap(const struct tensor_entry *entry, struct tensor_entry **placed,
                         int n_placed)
{
    size_t offset = 0;
    for (int i = 0; i < n_placed; i++) {
        const struct tensor_entry *other = placed[i];
        if (!overlap(entry, other))
            continue;
        if (other->offset >= offset + mem_round_up(entry->bytes))
            break;
        size_t end = other->offset + mem_round_up(other->bytes);
        if (end > offset)
            offset = end;
    }
    return offset;
}

static bool is_placed(const struct program *program, int i)
{
    const struct tensor_entry *entry = program->tensors[i];
    return entry->home == HOME_ARENA && entry->root == i && entry->first_op >= 0;
}

/* One after another: all are alive all the time. */
static void place_prepared(struct program *program)
{
    program->prepared_bytes = 0;
    for (int i = 0; i < program->n_tensors; i++) {
        struct tensor_entry *entry = program->tensors[i];
        if (entry->home != HOME_PREPARED || entry->root != i)
            continue;
        entry->offset = program->prepared_bytes;
        program->prepared_bytes += mem_round_up(entry->bytes);
    }
}

convoy_status plan_place(struct program *program)
{
    convoy_status status = CONVOY_OK;
    struct tensor_entry **order = NULL, **placed = NULL;
    int n = 0;
    size_t max_tensors = (size_t)program->n_tensors;
    TRY(mem_alloc_array(max_tensors, sizeof *order, (void **)&order));
    TRY(mem_alloc_array(max_tensors, sizeof *placed, (void **)&placed));
    find_lives(program);
    program->arena_bytes = program->tensor_bytes = 0;
    for (int i = 0; i < program->n_tensors; i++)
        if (is_placed(program, i))
            order[n++] = program->tensors[i];
    qsort(order, (size_t)n, sizeof *order, by_size);
    for (int i = 0; i < n; i++) {
        order[i]->offset = lowest_gap(order[i], placed, i);
        size_t end = order[i]->offset + mem_round_up(order[i]->bytes);
        if (end > program->arena_bytes)
            program->arena_bytes = end;
        program->tensor_bytes += mem_round_up(order[i]->bytes);
        insert(order[i], placed, i);
    }
    place_prepared(program);
    for (int i = 0; i < program->n_tensors; i++)
        program->tensors[i]->offset =
            program->tensors[program->tensors[i]->root]->offset;
    find_final(program);
cleanup:
    mem_free(order);
    mem_free(placed);
    return status;
}
