/* step_tool IN.h5 OUT.h5 trains a model for a few steps on given data with the
 * library's own net and optimizer, one microbatch a step, and writes down what came of
 * it: for comparison with another framework.
 *
 * IN: /weights/<name> (parameters and running statistics, canonical), /images f32
 * [steps, n, c, h, w], /labels i32 [steps, n]; attributes network (the entries of a
 * recipe's; "": a model), model, variant ("": the model's own), classes,
 * pre_activation, blur_pool, label_smoothing, freeze (a prefix; "": none), precision
 * (f32 or bf16), lr, momentum, nesterov, weight_decay; gradients_only: nothing but
 * /logits, /losses and /grads is asked for. OUT: of the given weights and the first
 * batch /eval_logits (running statistics), /logits and /losses (training),
 * /grads/<name> of the mean loss, /statistics/<name> (running statistics after it); of
 * all steps /step_losses [steps], /after/<name> (parameters and running statistics). */
#include "base/bf16.h"
#include "base/memory.h"
#include "h5/h5.h"
#include "net/net.h"
#include "optim/optim.h"
#include "optim/sgd.h"
#include "setup/network.h"

#include <convoy/model.h>
#include <convoy/recipe.h>

#include <stdio.h>
#include <string.h>

struct tool {
    struct h5_file *in, *out;
    uint64_t steps, n, classes;
    int shape[3];
    size_t batch_floats;
    dnnl_data_type_t type;
    float *images, *leaf, *canonical;
    uint16_t *rounded; /* the images in bf16; NULL in f32 */
    int32_t *labels;
    double *step_losses;
    convoy_net *net;
    struct compiled *training, *evaluation;
    struct optimizer *optimizer;
    double lr, weight_decay;
    int64_t gradients_only;
};

static convoy_status read_mode(struct tool *t)
{
    convoy_status status = CONVOY_OK;
    char *precision = NULL;
    TRY(h5_read_text(t->in, "/", "precision", &precision));
    TRY(h5_read_i64(t->in, "/", "gradients_only", &t->gradients_only));
    t->type = strcmp(precision, "bf16") == 0 ? dnnl_bf16 : dnnl_f32;
cleanup:
    mem_free(precision);
    return status;
}

static convoy_status round_images(struct tool *t, size_t n)
{
    convoy_status status = CONVOY_OK;
    if (t->type == dnnl_f32)
        return CONVOY_OK;
    TRY(mem_alloc_array(n, sizeof *t->rounded, (void **)&t->rounded));
    bf16_from_floats(t->rounded, t->images, n);
cleanup:
    return status;
}

static const void *batch(const struct tool *t, uint64_t step)
{
    const size_t at = step * t->batch_floats;
    return t->rounded ? (const void *)(t->rounded + at)
                      : (const void *)(t->images + at);
}

static convoy_status read_data(struct tool *t)
{
    convoy_status status = CONVOY_OK;
    struct h5_shape images;
    TRY(h5_describe(t->in, "images", &images));
    if (images.n_dims != 5)
        return FAIL(CONVOY_ERROR_FORMAT, "images has %d dimensions, not 5",
                    images.n_dims);
    t->steps = images.dims[0];
    t->n = images.dims[1];
    for (int d = 0; d < 3; d++)
        t->shape[d] = (int)images.dims[2 + d];
    t->batch_floats = images.n_values / t->steps;
    TRY(mem_alloc_array(images.n_values, sizeof(float), (void **)&t->images));
    TRY(mem_alloc_array(t->steps * t->n, sizeof *t->labels, (void **)&t->labels));
    TRY(mem_alloc_array(t->steps, sizeof *t->step_losses, (void **)&t->step_losses));
    TRY(h5_read(t->in, "images", H5_TYPE_F32, 5, images.dims, t->images));
    TRY(h5_read(t->in, "labels", H5_TYPE_I32, 2, images.dims, t->labels));
    TRY(round_images(t, images.n_values));
cleanup:
    return status;
}

/* entries: lines of YAML. */
static convoy_status build_network(struct tool *t, const char *entries,
                                   const convoy_model_options *options)
{
    convoy_status status = CONVOY_OK;
    convoy_recipe *recipe = NULL;
    char text[4096];
    const int n =
        snprintf(text, sizeof text, "data: {train: none.h5}\nnetwork:\n%s", entries);
    if (n < 0 || (size_t)n >= sizeof text)
        return FAIL(CONVOY_ERROR_FORMAT, "network is longer than %zu bytes",
                    sizeof text);
    TRY(convoy_recipe_load_text("network", text, NULL, 0, &recipe));
    TRY(network_build(recipe->network, t->shape, options->classes,
                      options->label_smoothing, &t->net));
cleanup:
    convoy_recipe_destroy(recipe);
    return status;
}

static convoy_status build_net(struct tool *t)
{
    convoy_status status = CONVOY_OK;
    char *model = NULL, *variant = NULL, *freeze = NULL, *network = NULL;
    int64_t classes, pre_activation, blur_pool;
    double smoothing;
    TRY(h5_read_text(t->in, "/", "network", &network));
    TRY(h5_read_text(t->in, "/", "model", &model));
    TRY(h5_read_text(t->in, "/", "variant", &variant));
    TRY(h5_read_text(t->in, "/", "freeze", &freeze));
    TRY(h5_read_i64(t->in, "/", "classes", &classes));
    TRY(h5_read_i64(t->in, "/", "pre_activation", &pre_activation));
    TRY(h5_read_i64(t->in, "/", "blur_pool", &blur_pool));
    TRY(h5_read_f64(t->in, "/", "label_smoothing", &smoothing));
    const convoy_model_options options = {.classes = (int)classes,
                                          .dropout = -1, /* none */
                                          .variant = *variant ? variant : NULL,
                                          .pre_activation = pre_activation != 0,
                                          .blur_pool = blur_pool != 0,
                                          .label_smoothing = (float)smoothing};
    const struct compile_options training = {
        .n = (int)t->n, .type = t->type, .training = true};
    const struct compile_options evaluation = {.n = (int)t->n, .type = t->type};
    TRY(*network ? build_network(t, network, &options)
                 : convoy_model_build(model, t->shape, &options, &t->net));
    t->classes = (uint64_t)classes;
    if (*freeze)
        TRY(net_freeze(t->net, freeze));
    TRY(net_compile(t->net, &training, &t->training));
    TRY(net_compile(t->net, &evaluation, &t->evaluation));
    TRY(mem_alloc_array(net_leaf_floats(t->net), sizeof *t->leaf, (void **)&t->leaf));
cleanup:
    mem_free(model);
    mem_free(variant);
    mem_free(freeze);
    mem_free(network);
    return status;
}

static convoy_status create_optimizer(struct tool *t)
{
    convoy_status status = CONVOY_OK;
    struct sgd_settings settings = {0};
    int64_t nesterov;
    TRY(h5_read_f64(t->in, "/", "momentum", &settings.momentum));
    TRY(h5_read_i64(t->in, "/", "nesterov", &nesterov));
    settings.nesterov = nesterov != 0;
    TRY(h5_read_f64(t->in, "/", "lr", &t->lr));
    TRY(h5_read_f64(t->in, "/", "weight_decay", &t->weight_decay));
    TRY(optimizer_create(optim_find("sgd"), &settings, net_param_floats(t->net),
                         &t->optimizer));
cleanup:
    return status;
}

/* Room for the largest parameter in canonical form. */
static convoy_status alloc_canonical(struct tool *t)
{
    const struct param_store *store = &t->net->store;
    size_t most = 0;
    for (int i = 0; i < store->n_params; i++) {
        const size_t n = (size_t)param_store_n_values(store, i);
        most = n > most ? n : most;
    }
    return mem_alloc_array(most, sizeof *t->canonical, (void **)&t->canonical);
}

static void canonical_dims(const struct param *param, uint64_t dims[DNN_MAX_DIMS])
{
    for (int d = 0; d < param->n_dims; d++)
        dims[d] = (uint64_t)param->dims[d];
}

static convoy_status load_weights(struct tool *t)
{
    convoy_status status = CONVOY_OK;
    struct param_store *store = &t->net->store;
    char name[512];
    uint64_t dims[DNN_MAX_DIMS];
    for (int i = 0; i < store->n_params; i++) {
        const struct stored_param *p = &store->params[i];
        canonical_dims(&p->param, dims);
        snprintf(name, sizeof name, "weights/%s", p->name);
        TRY(h5_read(t->in, name, H5_TYPE_F32, p->param.n_dims, dims, t->canonical));
        TRY(param_store_set(store, &t->net->dnn, i, t->canonical, store->param_data));
    }
    for (int i = 0; i < store->n_buffers; i++) {
        const struct stored_buffer *b = &store->buffers[i];
        dims[0] = (uint64_t)b->buffer.n;
        snprintf(name, sizeof name, "weights/%s", b->name);
        TRY(h5_read(t->in, name, H5_TYPE_F32, 1, dims, store->buffer_data + b->offset));
    }
cleanup:
    return status;
}

/* arena: of the store's layout; frozen: with the frozen parameters behind the others.
 */
static convoy_status write_params(struct tool *t, const char *group, const float *arena,
                                  bool frozen)
{
    convoy_status status = CONVOY_OK;
    const struct param_store *store = &t->net->store;
    char name[512];
    uint64_t dims[DNN_MAX_DIMS];
    for (int i = 0; i < store->n_params; i++) {
        const struct stored_param *p = &store->params[i];
        if (p->frozen && !frozen)
            continue;
        canonical_dims(&p->param, dims);
        snprintf(name, sizeof name, "%s/%s", group, p->name);
        TRY(param_store_get(store, &t->net->dnn, i, arena, t->canonical));
        TRY(h5_write(t->out, name, H5_TYPE_F32, p->param.n_dims, dims, t->canonical));
    }
cleanup:
    return status;
}

static convoy_status write_buffers(struct tool *t, const char *group)
{
    convoy_status status = CONVOY_OK;
    const struct param_store *store = &t->net->store;
    char name[512];
    for (int i = 0; i < store->n_buffers; i++) {
        const struct stored_buffer *b = &store->buffers[i];
        const uint64_t n = (uint64_t)b->buffer.n;
        snprintf(name, sizeof name, "%s/%s", group, b->name);
        TRY(h5_write(t->out, name, H5_TYPE_F32, 1, &n, store->buffer_data + b->offset));
    }
cleanup:
    return status;
}

static convoy_status evaluate(struct tool *t)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {0};
    const uint64_t dims[] = {t->n, t->classes};
    TRY(compiled_refresh(t->evaluation));
    TRY(compiled_forward(t->evaluation, batch(t, 0), t->labels, NULL, &info));
    TRY(h5_write(t->out, "eval_logits", H5_TYPE_F32, 2, dims,
                 compiled_logits(t->evaluation)));
cleanup:
    return status;
}

/* What only the first step writes, before it changes the weights. */
static convoy_status write_first(struct tool *t)
{
    convoy_status status = CONVOY_OK;
    const uint64_t dims[] = {t->n, t->classes};
    TRY(h5_write(t->out, "logits", H5_TYPE_F32, 2, dims, compiled_logits(t->training)));
    TRY(h5_write(t->out, "losses", H5_TYPE_F32, 1, dims, compiled_losses(t->training)));
    TRY(write_params(t, "grads", t->leaf, false));
    TRY(write_buffers(t, "statistics"));
cleanup:
    return status;
}

/* As src/train/step.c with one rank and one microbatch. */
static convoy_status train_step(struct tool *t, uint64_t step)
{
    convoy_status status = CONVOY_OK;
    const struct run_info info = {.step = step};
    const struct param_store *store = &t->net->store;
    TRY(compiled_refresh(t->training));
    TRY(compiled_forward(t->training, batch(t, step), t->labels + step * t->n, t->leaf,
                         &info));
    for (uint64_t i = 0; i < t->n; i++)
        t->step_losses[step] += (double)compiled_losses(t->training)[i] / (double)t->n;
    TRY(compiled_backward(t->training, (float)(1.0 / (double)t->n), &info));
    compiled_update_buffers(t->training, t->leaf + net_param_floats(t->net), 1);
    if (step == 0)
        TRY(write_first(t));
    if (t->gradients_only)
        goto cleanup;
    optimizer_step(t->optimizer,
                   &(struct optim_piece){.params = store->param_data,
                                         .grads = t->leaf,
                                         .end = net_param_floats(t->net),
                                         .lr = t->lr,
                                         .weight_decay = t->weight_decay});
cleanup:
    return status;
}

/* What takes more than one forward and backward pass. */
static convoy_status write_after(struct tool *t)
{
    convoy_status status = CONVOY_OK;
    TRY(h5_write(t->out, "step_losses", H5_TYPE_F64, 1, &t->steps, t->step_losses));
    TRY(write_params(t, "after", t->net->store.param_data, true));
    TRY(write_buffers(t, "after"));
cleanup:
    return status;
}

static convoy_status run(struct tool *t, const char *in, const char *out)
{
    convoy_status status = CONVOY_OK;
    TRY(h5_open(in, &t->in));
    TRY(h5_create(out, &t->out));
    TRY(read_mode(t));
    TRY(read_data(t));
    TRY(build_net(t));
    TRY(create_optimizer(t));
    TRY(alloc_canonical(t));
    TRY(load_weights(t));
    if (!t->gradients_only)
        TRY(evaluate(t));
    for (uint64_t step = 0; step < t->steps; step++)
        TRY(train_step(t, step));
    if (!t->gradients_only)
        TRY(write_after(t));
    TRY(h5_finish(t->out));
cleanup:
    return status;
}

int main(int argc, char **argv)
{
    struct tool t = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: step_tool IN.h5 OUT.h5\n");
        return 2;
    }
    convoy_status status = run(&t, argv[1], argv[2]);
    if (status != CONVOY_OK)
        fprintf(stderr, "step_tool: %s\n", convoy_status_text());
    optimizer_destroy(t.optimizer);
    compiled_destroy(t.training);
    compiled_destroy(t.evaluation);
    convoy_net_destroy(t.net);
    h5_close(t.in);
    h5_close(t.out);
    mem_free(t.images);
    mem_free(t.rounded);
    mem_free(t.labels);
    mem_free(t.step_losses);
    mem_free(t.leaf);
    mem_free(t.canonical);
    return status != CONVOY_OK;
}
