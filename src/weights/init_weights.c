/* Weights of another training as the start of this one.
 *
 * File and net must hold the same tensors, by name and shape, but for those that the
 * recipe says to skip. All that do not match are listed together: that tells a new head
 * from a wrong file. Names compare without "params/" and "buffers/" before them.
 */
#include "weights/init_weights.h"

#include "checkpoint/checkpoint_share.h"
#include "weights/weights_checkpoint.h"
#include "weights/weights_exchange.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    HINTED = 4,     /* layers in the hint; where more differ, it is another model */
    LAYER_SIZE = 64 /* of a layer's name */
};

/* What of file and net does not match. */
struct misfits {
    struct weights_misfits list;
    char layers[HINTED][LAYER_SIZE]; /* "fc." */
    int n_layers;                    /* HINTED + 1: more */
};

struct transfer {
    const convoy_recipe *recipe;
    convoy_net *net;
    struct checkpoint *file;
    struct net_tensors set; /* the net's tensors */
    struct weights_skip skip;
};

/* The layer of a tensor, "fc." of "fc.weight", for the hint. */
static void note_layer(struct misfits *m, const char *name)
{
    char layer[LAYER_SIZE];
    const char *dot = strrchr(name, '.');
    snprintf(layer, sizeof layer, "%.*s", dot ? (int)(dot - name) + 1 : LAYER_SIZE,
             name);
    for (int i = 0; i < m->n_layers && i < HINTED; i++)
        if (strcmp(m->layers[i], layer) == 0)
            return;
    if (m->n_layers < HINTED)
        memcpy(m->layers[m->n_layers], layer, sizeof layer);
    m->n_layers += m->n_layers <= HINTED;
}

__attribute__((format(printf, 3, 4))) static void
add_misfit(struct misfits *m, const char *name, const char *format, ...)
{
    char what[2 * CHECKPOINT_SHAPE_SIZE + 64];
    va_list arguments;
    note_layer(m, name);
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    weights_misfits_add(&m->list, "%.200s: %s", name, what);
}

static const char *group_of(const struct net_tensors *set, size_t i)
{
    return i < set->n_params ? "params/" : "buffers/";
}

/* Whether path is that of the net's tensor i. */
static bool is_tensor(const struct net_tensors *set, size_t i, const char *path)
{
    const char *name = weights_name(path), *group = group_of(set, i);
    return name && strncmp(path, group, strlen(group)) == 0 &&
           strcmp(name, set->views[i].name) == 0;
}

/* The number of the net's tensor i in the file; n_tensors where it is not there. */
static size_t find_in_file(const struct transfer *t, size_t i)
{
    size_t n = 0, at = 0;
    const struct tensor_view *tensors = checkpoint_tensors(t->file, &n);
    while (at < n && !is_tensor(&t->set, i, tensors[at].name))
        at++;
    return at;
}

static bool find_in_net(const struct transfer *t, const char *path)
{
    for (size_t i = 0; i < t->set.n_params + t->set.n_buffers; i++)
        if (is_tensor(&t->set, i, path))
            return true;
    return false;
}

static void compare(const struct transfer *t, size_t i, struct misfits *misfits)
{
    size_t n = 0;
    const struct tensor_view *tensors = checkpoint_tensors(t->file, &n);
    const struct tensor_view *view = &t->set.views[i];
    const size_t found = find_in_file(t, i);
    char is[CHECKPOINT_SHAPE_SIZE], expected[CHECKPOINT_SHAPE_SIZE];
    checkpoint_shape_text(view, expected);
    if (found == n) {
        add_misfit(misfits, view->name, "not in the file, the model has it as %s",
                   expected);
        return;
    }
    checkpoint_shape_text(&tensors[found], is);
    if (strcmp(is, expected) != 0)
        add_misfit(misfits, view->name, "%s in the file, %s in the model", is,
                   expected);
}

static void compare_all(const struct transfer *t, struct misfits *misfits)
{
    size_t n = 0;
    const struct tensor_view *tensors = checkpoint_tensors(t->file, &n);
    for (size_t i = 0; i < t->set.n_params + t->set.n_buffers; i++)
        if (!weights_skips(&t->skip, t->set.views[i].name))
            compare(t, i, misfits);
    for (size_t i = 0; i < n; i++) {
        const char *name = weights_name(tensors[i].name);
        char shape[CHECKPOINT_SHAPE_SIZE];
        if (!name || weights_skips(&t->skip, name) || find_in_net(t, tensors[i].name))
            continue;
        checkpoint_shape_text(&tensors[i], shape);
        add_misfit(misfits, name, "%s in the file, not in the model", shape);
    }
}

/* A prefix that no name begins with was meant to be another one. */
static convoy_status check_skip(const struct transfer *t)
{
    size_t n = 0;
    const struct tensor_view *tensors = checkpoint_tensors(t->file, &n);
    for (int p = 0; p < t->skip.n; p++) {
        const struct weights_skip one = {.prefixes = &t->skip.prefixes[p], .n = 1};
        bool fits = false;
        for (size_t i = 0; !fits && i < n; i++) {
            const char *name = weights_name(tensors[i].name);
            fits = name && weights_skips(&one, name);
        }
        for (size_t i = 0; !fits && i < t->set.n_params + t->set.n_buffers; i++)
            fits = weights_skips(&one, t->set.views[i].name);
        if (!fits)
            return recipe_reject(t->recipe, "init.skip",
                                 "has '%s', but no tensor of the model or of %s begins "
                                 "so; the model's first is '%s'",
                                 t->skip.prefixes[p], t->recipe->init.weights,
                                 t->set.views[0].name);
    }
    return CONVOY_OK;
}

/* How to go on: what to skip, or that this may be the wrong file. */
static void write_hint(const struct misfits *m, char *out, size_t size)
{
    if (m->n_layers > HINTED) {
        snprintf(out, size,
                 "are these weights of another model? A layer that is to start at "
                 "random goes into init.skip, as [\"fc.\"]");
        return;
    }
    int n = snprintf(out, size, "to start at random there: init.skip: [");
    for (int i = 0; i < m->n_layers; i++)
        n += snprintf(out + n, size - (size_t)n, "%s\"%s\"", i ? ", " : "",
                      m->layers[i]);
    snprintf(out + n, size - (size_t)n, "]");
}

static convoy_status check_fit(const struct transfer *t)
{
    struct misfits misfits = {.n_layers = 0};
    const struct checkpoint_facts *facts = checkpoint_describe(t->file);
    char hint[512];
    compare_all(t, &misfits);
    if (misfits.list.n == 0)
        return CONVOY_OK;
    weights_misfits_end(&misfits.list);
    write_hint(&misfits, hint, sizeof hint);
    return recipe_reject(t->recipe, "init.weights",
                         "is %s, of %s with %d classes, which does not fit the "
                         "recipe's %s with %d:%s\n  %s",
                         t->recipe->init.weights, facts->model, facts->classes,
                         t->recipe->model.name, t->recipe->model.classes,
                         misfits.list.text, hint);
}

static convoy_status put_all(struct transfer *t)
{
    convoy_status status = CONVOY_OK;
    const struct net_arenas own = net_arenas_own(t->net);
    for (size_t i = 0; i < t->set.n_params + t->set.n_buffers; i++)
        if (!weights_skips(&t->skip, t->set.views[i].name))
            TRY(net_tensors_put(t->net, &t->set, i, t->set.views[i].data, &own));
cleanup:
    return status;
}

/* All values come before one is put in place: what may fail on one rank alone must not
 * keep it from receiving what the others do. */
static convoy_status take_all(struct transfer *t)
{
    convoy_status status = CONVOY_OK;
    const size_t n = t->set.n_params + t->set.n_buffers;
    for (size_t i = 0; i < n; i++)
        if (!weights_skips(&t->skip, t->set.views[i].name))
            TRY(checkpoint_read_values(t->file, find_in_file(t, i),
                                       t->set.views[i].data));
    TRY(checkpoint_agree(t->file, put_all(t)));
cleanup:
    return status;
}

/* A training that starts from a value that is no number never leaves it. Where the file
 * was read; there everything fits. */
static convoy_status check_finite(const struct transfer *t)
{
    size_t n_tensors = 0;
    const struct tensor_view *tensors = checkpoint_tensors(t->file, &n_tensors);
    for (size_t i = 0; i < t->set.n_params + t->set.n_buffers; i++) {
        const char *name = t->set.views[i].name;
        const size_t n = weights_skips(&t->skip, name)
                             ? 0
                             : checkpoint_not_finite(&tensors[find_in_file(t, i)]);
        if (n > 0)
            return recipe_reject(t->recipe, "init.weights",
                                 "is %s, in which %zu of the values of %s are not "
                                 "finite",
                                 t->recipe->init.weights, n, name);
    }
    return CONVOY_OK;
}

/* Everything that can be found out before values move. Local. */
static convoy_status prepare(struct transfer *t)
{
    convoy_status status = CONVOY_OK;
    TRY(net_tensors_list(t->net, &t->set));
    TRY(check_skip(t));
    TRY(check_fit(t));
    TRY(check_finite(t));
    TRY(net_tensors_allocate(&t->set));
cleanup:
    return status;
}

convoy_status init_weights(convoy_world *world, convoy_net *net,
                           const convoy_recipe *recipe)
{
    convoy_status status = CONVOY_OK;
    const struct recipe_texts *skip = &recipe->init.skip;
    struct transfer t = {
        .recipe = recipe,
        .net = net,
        .skip = {.prefixes = (const char *const *)skip->values, .n = skip->n}};
    if (!*recipe->init.weights)
        return CONVOY_OK;
    status = weights_checkpoint_open(world, recipe->init.weights, &t.file);
    if (status != CONVOY_OK)
        TRY(status_prefix(status, "init.weights"));
    TRY(checkpoint_agree(t.file, prepare(&t)));
    TRY(take_all(&t));
cleanup:
    net_tensors_free(&t.set);
    checkpoint_close(t.file);
    return status;
}
