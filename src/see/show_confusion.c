/* What a net takes for what. The whole pack goes through it in order, in microbatches
 * as in evaluation; of all samples only their loss and the net's answer are kept, which
 * is enough to find the worst and the best. Those are then read once more, for their
 * pictures. */
#include <convoy/show.h>

#include "base/memory.h"
#include "draw/html.h"
#include "infer/inference.h"
#include "load/sample.h"
#include "see/see_output.h"
#include "see/see_picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_SHOWN = 24, MAX_SHOWN = 1024, N_PAIRS = 10, MAX_TABLE = 20 };
enum { TILE_SIDE = 96 };

/* What became of a sample. */
struct answer {
    uint32_t record;
    int32_t label, answer;
    float loss;
};

struct confusion {
    struct inference inference;
    struct compiled *compiled;
    struct loader *loader;
    convoy_pack *pack;
    struct see_output out;
    int n_classes, n_shown;
    uint64_t n;             /* samples */
    struct answer *answers; /* [n] */
    int32_t *matrix;        /* [classes, classes] */
};

static const char *class_name(const struct confusion *m, int c, char text[16])
{
    const struct checkpoint_facts *facts = checkpoint_describe(m->inference.checkpoint);
    if ((size_t)c < facts->n_class_names)
        return facts->class_names[c];
    snprintf(text, 16, "%d", c);
    return text;
}

/* What it is called in a text. */
static const char *class_text(const struct confusion *m, int c,
                              char out[SEE_CLASS_SIZE])
{
    char number[16];
    return see_output_class(class_name(m, c, number), c, out);
}

static convoy_status open_all(struct confusion *m, const char *weights,
                              const char *data)
{
    convoy_status status = CONVOY_OK;
    struct loader_options *loading = &m->inference.loading;
    TRY(inference_open(NULL, weights, &m->inference));
    TRY(inference_build(&m->inference));
    const convoy_net *net = m->inference.net;
    m->n_classes = (int)net->nodes[net->logits].shape.c;
    TRY(convoy_pack_open(data, &m->pack));
    TRY(inference_check_pack(&m->inference, m->pack, weights, data));
    m->n = convoy_pack_describe(m->pack)->n_records;
    const uint64_t microbatch = (uint64_t)loading->microbatch;
    loading->evaluate = true;
    loading->shuffle = false;
    loading->bf16 = false;
    loading->n_microbatches = (int)((m->n + microbatch - 1) / microbatch);
    loading->first = 0;
    loading->count = loading->n_microbatches;
    TRY(loader_create(m->pack, loading, &m->loader));
    const struct compile_options options = {.n = loading->microbatch, .type = dnnl_f32};
    TRY(net_compile(m->inference.net, &options, &m->compiled));
    TRY(inference_load(&m->inference));
    TRY(compiled_refresh(m->compiled));
cleanup:
    return status;
}

static convoy_status allocate(struct confusion *m)
{
    convoy_status status = CONVOY_OK;
    const size_t n = (size_t)m->n_classes;
    TRY(mem_alloc_array((size_t)m->n, sizeof *m->answers, (void **)&m->answers));
    TRY(mem_alloc_array(n, n * sizeof *m->matrix, (void **)&m->matrix));
    memset(m->matrix, 0, n * n * sizeof *m->matrix);
cleanup:
    return status;
}

static struct answer answer_of(const struct confusion *m, const float *logits,
                               int32_t label, uint32_t record)
{
    struct answer a = {.record = record, .label = label};
    double sum = 0;
    for (int c = 1; c < m->n_classes; c++)
        if (logits[c] > logits[a.answer])
            a.answer = c;
    for (int c = 0; c < m->n_classes; c++)
        sum += exp((double)logits[c] - (double)logits[a.answer]);
    a.loss = (float)(log(sum) + (double)logits[a.answer] - (double)logits[label]);
    return a;
}

/* n: answers so far; a damaged record has none. */
static convoy_status ask(struct confusion *m, const struct batch *batch, uint64_t *n)
{
    const struct run_info none = {0};
    const convoy_status status =
        compiled_forward(m->compiled, batch->images, batch->labels, NULL, &none);
    const float *logits = compiled_logits(m->compiled);
    for (int i = 0; status == CONVOY_OK && i < batch->n_samples; i++) {
        if (batch->labels[i] < 0)
            continue;
        for (int c = 0; c < m->n_classes; c++)
            if (!isfinite(logits[(int64_t)i * m->n_classes + c]))
                return FAIL(CONVOY_ERROR_FORMAT,
                            "record %u: the net's output for class %d is not finite",
                            batch->records[i], c);
        const struct answer a = answer_of(m, logits + (int64_t)i * m->n_classes,
                                          batch->labels[i], batch->records[i]);
        m->matrix[(int64_t)a.label * m->n_classes + a.answer]++;
        m->answers[(*n)++] = a;
    }
    return status;
}

static convoy_status ask_all(struct confusion *m)
{
    convoy_status status = CONVOY_OK;
    struct batch batch;
    uint64_t n = 0, done = 0;
    TRY(loader_start(m->loader, 0));
    for (;;) {
        TRY(loader_next(m->loader, &batch));
        if (batch.n_samples == 0)
            break;
        status = ask(m, &batch, &n);
        loader_release(m->loader, &batch);
        TRY(status);
        see_output_progress(&m->out, ++done,
                            (uint64_t)m->inference.loading.n_microbatches);
    }
    m->n = n;
    if (n == 0)
        status =
            FAIL(CONVOY_ERROR_FORMAT, "%s: no sample can be used", pack_path(m->pack));
cleanup:
    return status;
}

static uint64_t count_right(const struct confusion *m)
{
    uint64_t n = 0;
    for (int c = 0; c < m->n_classes; c++)
        n += (uint64_t)m->matrix[(int64_t)c * m->n_classes + c];
    return n;
}

static int32_t count_of(const struct confusion *m, int label)
{
    int32_t n = 0;
    for (int c = 0; c < m->n_classes; c++)
        n += m->matrix[(int64_t)label * m->n_classes + c];
    return n;
}

/* How strong the colour of a share is: a few per cent are to be seen, too. */
static double strength_of(double share)
{
    return sqrt(share);
}

/* The matrix in colour, each row by its own number of samples. */
static convoy_status draw_matrix(struct confusion *m)
{
    convoy_status status = CONVOY_OK;
    const int n = m->n_classes;
    static const char text[] = "Rows: the true class. Columns: the net's answer. "
                               "The brighter, the larger its share of the row.";
    float *shares = NULL;
    struct image picture = {0};
    TRY(mem_alloc_array((size_t)n, (size_t)n * sizeof *shares, (void **)&shares));
    for (int i = 0; i < n; i++) {
        const int32_t all = count_of(m, i);
        for (int j = 0; j < n; j++)
            shares[i * n + j] =
                all ? (float)strength_of((double)m->matrix[i * n + j] / all) : 0;
    }
    const struct heat heat = {shares, n, n, 0, 1};
    TRY(heat_draw(&heat, n > 200 ? 2 : 400 / n, &picture));
    TRY(see_output_file(&m->out, "confusion", &picture));
    if (n > MAX_TABLE)
        TRY(see_output_figure(&m->out, &picture, text, text));
cleanup:
    mem_free(shares);
    image_free(&picture);
    return status;
}

static void write_row(const struct confusion *m, FILE *page, int label)
{
    char number[16], name[SEE_CLASS_SIZE], other[SEE_CLASS_SIZE];
    const int32_t all = count_of(m, label);
    fputs("<tr><th class=\"row\">", page);
    html_text(page, class_name(m, label, number));
    fputs("</th>", page);
    for (int c = 0; c < m->n_classes; c++) {
        const int32_t count = m->matrix[label * m->n_classes + c];
        const double share = all ? (double)count / all : 0;
        fprintf(page, "<td style=\"background:rgba(%s,%.3f)\" title=\"",
                c == label ? "0,114,178" : "213,94,0", 0.75 * strength_of(share));
        html_print(page, "%s taken for %s: %d of %d (%.1f %%)",
                   class_text(m, label, name), class_text(m, c, other), count, all,
                   100 * share);
        fprintf(page, "\">%d</td>", count);
    }
    fputs("</tr>\n", page);
}

/* Larger ones are a picture only. */
static void write_table(struct confusion *m)
{
    char number[16];
    FILE *page = m->out.page;
    if (!page || m->n_classes > MAX_TABLE)
        return;
    see_output_paragraph(&m->out, "Rows: the true class. Columns: the net's answer. "
                                  "The stronger a colour, the larger its share of "
                                  "the row; blue is right.");
    fputs("<div class=\"scroll\"><table><thead><tr><th></th>", page);
    for (int c = 0; c < m->n_classes; c++) {
        fputs("<th>", page);
        html_text(page, class_name(m, c, number));
        fputs("</th>", page);
    }
    fputs("</tr></thead><tbody>\n", page);
    for (int c = 0; c < m->n_classes; c++)
        write_row(m, page, c);
    fputs("</tbody></table></div>\n", page);
}

struct pair {
    int label, answer;
    int32_t n;
};

/* The largest counts beside the diagonal, the most first; of equals the first in the
 * matrix. Returns their number. */
static int find_pairs(const struct confusion *m, struct pair pairs[N_PAIRS])
{
    int n = 0;
    for (int i = 0; i < m->n_classes; i++)
        for (int j = 0; j < m->n_classes; j++) {
            const int32_t count = m->matrix[(int64_t)i * m->n_classes + j];
            int at = n;
            while (at > 0 && pairs[at - 1].n < count)
                at--;
            if (i == j || count == 0 || at == N_PAIRS)
                continue;
            n += n < N_PAIRS;
            memmove(pairs + at + 1, pairs + at, (size_t)(n - at - 1) * sizeof *pairs);
            pairs[at] = (struct pair){i, j, count};
        }
    return n;
}

static void write_pairs(struct confusion *m)
{
    struct pair pairs[N_PAIRS];
    char name[SEE_CLASS_SIZE], other[SEE_CLASS_SIZE], text[2 * SEE_CLASS_SIZE + 64];
    FILE *page = m->out.page;
    const int n = find_pairs(m, pairs);
    see_output_heading(&m->out, "Most confused");
    if (n == 0)
        see_output_paragraph(&m->out, "Nothing: every answer is right.");
    if (page && n > 0)
        fputs("<ol>\n", page);
    for (int i = 0; i < n; i++) {
        const struct pair *p = &pairs[i];
        const int32_t all = count_of(m, p->label);
        snprintf(text, sizeof text, "%s taken for %s: %d of %d (%.1f %%)",
                 class_text(m, p->label, name), class_text(m, p->answer, other), p->n,
                 all, 100.0 * p->n / all);
        see_output_say(&m->out, "%s", text);
        if (page) {
            fputs("<li>", page);
            html_text(page, text);
            fputs("</li>\n", page);
        }
    }
    if (page && n > 0)
        fputs("</ol>\n", page);
}

static int by_loss(const void *a, const void *b)
{
    const struct answer *x = a, *y = b;
    if (x->loss != y->loss)
        return x->loss > y->loss ? -1 : 1;
    return (x->record > y->record) - (x->record < y->record);
}

/* What it takes to draw samples. */
struct sampling {
    struct sample_rules rules;
    struct sample_buffers buffers;
    float *values; /* [c, h, w] */
    struct image picture, large;
    struct sheet sheet;
};

/* What stands below, and what is read where the mouse rests: the probability of its own
 * class is what a loss means. */
static void describe(const struct confusion *m, const struct answer *a,
                     char caption[2 * SEE_CLASS_SIZE + 64],
                     char text[3 * SEE_CLASS_SIZE + 128])
{
    char name[SEE_CLASS_SIZE], other[SEE_CLASS_SIZE];
    const double probability = 100 * exp(-(double)a->loss);
    class_text(m, a->label, name);
    class_text(m, a->answer, other);
    if (a->label == a->answer)
        snprintf(caption, 2 * SEE_CLASS_SIZE + 64, "%s, %.3g\u00a0%%", name,
                 probability);
    else
        snprintf(caption, 2 * SEE_CLASS_SIZE + 64, "%s, taken for %s", name, other);
    snprintf(text, 3 * SEE_CLASS_SIZE + 128,
             "record %u: %s, taken for %s; probability of %s %.3g %%, loss %.3g",
             a->record, name, other, name, probability, (double)a->loss);
}

static convoy_status add_sample(struct confusion *m, struct sampling *s,
                                const struct answer *a)
{
    convoy_status status = CONVOY_OK;
    const struct loader_options *loading = &m->inference.loading;
    char text[3 * SEE_CLASS_SIZE + 128], caption[2 * SEE_CLASS_SIZE + 64];
    int32_t label;
    const int factor = (TILE_SIDE + loading->shape[1] - 1) / loading->shape[1];
    TRY(sample_make(&s->rules, &s->buffers, 0, a->record, s->values, &label));
    TRY(see_picture_sample(s->values, loading->shape, loading->mean, loading->std,
                           &s->picture));
    TRY(see_picture_enlarge(&s->picture, factor, &s->large));
    if (s->sheet.image.width == 0)
        TRY(sheet_begin(&s->sheet, m->n_shown, s->large.width, s->large.height));
    sheet_add(&s->sheet, &s->large);
    describe(m, a, caption, text);
    TRY(see_output_figure(&m->out, &s->large, text, caption));
cleanup:
    return status;
}

/* Of the samples sorted by loss, the first or the last. */
static convoy_status write_samples(struct confusion *m, const char *name,
                                   const char *heading, bool best)
{
    convoy_status status = CONVOY_OK;
    struct sampling s = {.values = NULL};
    see_output_heading(&m->out, heading);
    see_output_begin_columns(&m->out);
    TRY(sample_buffers_init(&s.buffers));
    TRY(sample_rules_init(m->pack, &m->inference.loading, &s.rules));
    TRY(mem_alloc_array(sample_values(&s.rules), sizeof *s.values, (void **)&s.values));
    for (int i = 0; i < m->n_shown; i++)
        TRY(add_sample(m, &s,
                       &m->answers[best ? m->n - 1 - (uint64_t)i : (uint64_t)i]));
    TRY(see_output_file(&m->out, name, &s.sheet.image));
cleanup:
    see_output_end_sheet(&m->out);
    image_free(&s.picture);
    image_free(&s.large);
    image_free(&s.sheet.image);
    mem_free(s.values);
    sample_buffers_fini(&s.buffers);
    return status;
}

static convoy_status write_all(struct confusion *m)
{
    convoy_status status = CONVOY_OK;
    const int64_t dims[] = {m->n_classes, m->n_classes};
    const uint64_t right = count_right(m);
    see_output_paragraph(&m->out, "%llu of %llu samples are right: %.2f %%.",
                         (unsigned long long)right, (unsigned long long)m->n,
                         100.0 * (double)right / (double)m->n);
    see_output_say(&m->out, "%llu of %llu right: %.2f %%", (unsigned long long)right,
                   (unsigned long long)m->n, 100.0 * (double)right / (double)m->n);
    TRY(draw_matrix(m));
    write_table(m);
    write_pairs(m);
    qsort(m->answers, (size_t)m->n, sizeof *m->answers, by_loss);
    TRY(write_samples(m, "worst", "Most wrong", false));
    TRY(write_samples(m, "best", "Most right", true));
    TRY(see_output_values(&m->out, "confusion", H5_TYPE_I32, 2, dims, m->matrix));
cleanup:
    return status;
}

convoy_status convoy_show_confusion(const char *weights, const char *data,
                                    const convoy_show_options *options)
{
    convoy_status status = CONVOY_OK;
    struct confusion m = {.inference = {.ema = options->ema}};
    TRY(open_all(&m, weights, data));
    TRY(allocate(&m));
    TRY(see_output_open(options, weights, NULL, &m.out));
    if (m.out.single)
        TRY(FAIL(CONVOY_ERROR_ARGUMENT,
                 "%s: there is more than one picture: give a folder", options->output));
    TRY(ask_all(&m));
    const int wanted = options->n > 0 ? options->n : DEFAULT_SHOWN;
    m.n_shown = wanted < MAX_SHOWN ? wanted : MAX_SHOWN;
    if (m.n < (uint64_t)m.n_shown)
        m.n_shown = (int)m.n;
    TRY(write_all(&m));
    TRY(see_output_finish(&m.out, "What the net takes for what"));
cleanup:
    see_output_close(&m.out);
    loader_destroy(m.loader);
    compiled_destroy(m.compiled);
    convoy_pack_close(m.pack);
    inference_close(&m.inference);
    mem_free(m.answers);
    mem_free(m.matrix);
    return status;
}
