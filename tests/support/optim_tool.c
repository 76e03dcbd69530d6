/* optim_tool NAME CLIP DECAY N_STEPS LENGTH:ADAPTS,… [OPTION=VALUE…] takes steps of an
 * optimizer with the library's own passes, for comparison with another implementation.
 *
 * In: the tensors' f32 values, one after another; then for each step, in doubles, the
 * learning rate and a schedule's momentum (negative: none), and the f32 gradients.
 * Out: after each step all values. LENGTH is a tensor's, ADAPTS 1 or 0: a weight, which
 * decays by DECAY, or a norm or bias. CLIP 0: no clipping. */
#include "base/memory.h"
#include "optim/update.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TENSORS = 16, MOST_BYTES = 256 };

struct tool {
    struct optimizer *optimizer;
    struct update *update;
    struct update_range ranges[MOST_TENSORS];
    int n_ranges;
    size_t n; /* of all tensors, padded */
    float *params, *grads;
};

static convoy_status read_tensors(struct tool *t, const char *text, double decay)
{
    for (char *end; *text; text = *end ? end + 1 : end) {
        if (t->n_ranges == MOST_TENSORS)
            return FAIL(CONVOY_ERROR_ARGUMENT, "too many tensors");
        const size_t length = strtoull(text, &end, 10);
        const bool adapts = strncmp(end, ":1", 2) == 0;
        end += 2;
        t->ranges[t->n_ranges++] =
            (struct update_range){.begin = t->n,
                                  .end = t->n + length,
                                  .lr_scale = 1,
                                  .weight_decay = adapts ? decay : 0,
                                  .adapts = adapts};
        t->n += mem_round_up_floats(length);
    }
    return CONVOY_OK;
}

static convoy_status create(struct tool *t, char **arguments, int n)
{
    convoy_status status = CONVOY_OK;
    _Alignas(max_align_t) unsigned char settings[MOST_BYTES] = {0};
    const struct optim_kind *kind = optim_find(arguments[0]);
    if (!kind || kind->about.size > sizeof settings)
        return FAIL(CONVOY_ERROR_ARGUMENT, "no optimizer %s", arguments[0]);
    for (int i = 0; i < kind->about.n_options; i++)
        option_set_default(&kind->about, i, settings);
    for (int i = 5; i < n; i++) {
        char *value = strchr(arguments[i], '=');
        *value++ = '\0';
        const int at =
            option_find(kind->about.options, kind->about.n_options, arguments[i]);
        if (at < 0 || !option_set(&kind->about.options[at], value, settings))
            return FAIL(CONVOY_ERROR_ARGUMENT, "no option %s", arguments[i]);
    }
    TRY(read_tensors(t, arguments[4], strtod(arguments[2], NULL)));
    TRY(mem_alloc_array(t->n, sizeof(float), (void **)&t->params));
    TRY(mem_alloc_array(t->n, sizeof(float), (void **)&t->grads));
    TRY(optimizer_create(kind, settings, t->n, &t->optimizer));
    const struct update_options options = {.optimizer = t->optimizer,
                                           .ranges = t->ranges,
                                           .n_ranges = t->n_ranges,
                                           .workers = 1,
                                           .clip_norm = strtod(arguments[1], NULL)};
    TRY(update_create(&options, &t->update));
cleanup:
    return status;
}

static convoy_status read_values(void *values, size_t size, size_t n)
{
    return fread(values, size, n, stdin) == n
               ? CONVOY_OK
               : FAIL(CONVOY_ERROR_IO, "the input is too short");
}

static convoy_status read_arena(const struct tool *t, float *arena)
{
    convoy_status status = CONVOY_OK;
    for (int i = 0; i < t->n_ranges; i++)
        TRY(read_values(arena + t->ranges[i].begin, sizeof *arena,
                        t->ranges[i].end - t->ranges[i].begin));
cleanup:
    return status;
}

static const float *gradients(const void *context, size_t begin, size_t end,
                              float *room)
{
    (void)end;
    (void)room;
    return (const float *)context + begin;
}

static convoy_status take_step(struct tool *t, int step)
{
    convoy_status status = CONVOY_OK;
    const struct update_source source = {gradients, t->grads};
    double rates[2];
    TRY(read_values(rates, sizeof *rates, 2));
    TRY(read_arena(t, t->grads));
    const struct update_step given = {.params = t->params,
                                      .step = (uint64_t)step,
                                      .lr = rates[0],
                                      .momentum = rates[1] < 0 ? NULL : &rates[1]};
    update_begin(t->update, &given);
    update_work(t->update, 0, &source, NULL, NULL);
    for (int i = 0; i < t->n_ranges; i++)
        fwrite(t->params + t->ranges[i].begin, sizeof *t->params,
               t->ranges[i].end - t->ranges[i].begin, stdout);
cleanup:
    return status;
}

int main(int argc, char **argv)
{
    convoy_status status = CONVOY_OK;
    struct tool t = {0};
    if (argc < 6) {
        fputs("usage: optim_tool NAME CLIP DECAY N_STEPS LENGTH:ADAPTS,... "
              "[OPTION=VALUE...]\n",
              stderr);
        return 2;
    }
    TRY(create(&t, argv + 1, argc - 1));
    TRY(read_arena(&t, t.params));
    for (int step = 0; step < atoi(argv[4]); step++)
        TRY(take_step(&t, step));
cleanup:
    if (status != CONVOY_OK)
        fprintf(stderr, "optim_tool: %s\n", convoy_status_text());
    update_destroy(t.update);
    optimizer_destroy(t.optimizer);
    mem_free(t.params);
    mem_free(t.grads);
    return status != CONVOY_OK;
}
