/* A report as JSON: rows have the names that they have in the CSV. */
#include "report/report_table.h"

#include "report/report_pop.h"
#include "report/report_sentence.h"

#include <convoy/json.h>

static const char *const kind_words[] = {
    [REPORT_STRONG] = "strong", [REPORT_WEAK] = "weak", [REPORT_SINGLE] = "single"};

static void write_ranks(convoy_json *json, const struct report_ranks *r)
{
    if (r->steps == 0)
        return;
    convoy_json_number(json, "compute_s", r->compute_s);
    convoy_json_number(json, "compute_s_least", r->compute_s_least);
    convoy_json_number(json, "compute_s_most", r->compute_s_most);
    convoy_json_number(json, "exchange_s", r->exchange_s);
    convoy_json_number(json, "hidden_s", r->hidden_s);
    convoy_json_number(json, "hidden_share", report_ranks_hidden_share(r));
    convoy_json_number(json, "input_s", r->input_s);
    convoy_json_number(json, "optimizer_s", r->optimizer_s);
    convoy_json_number(json, "balance", report_ranks_balance(r));
    convoy_json_text(json, "slowest_host", r->slowest_host);
}

/* As the CSV's columns; a value that is not known is null. */
static void write_pop(convoy_json *json, const struct report_row *base,
                      const struct report_row *row)
{
    struct report_pop p;
    if (!report_pop(base, row, &p))
        return;
    convoy_json_number(json, "working_s", row->ranks.pop.working_s);
    convoy_json_number(json, "ideal_s", row->ranks.pop.ideal_s);
    convoy_json_number(json, "pop_parallel", p.pop.parallel);
    convoy_json_number(json, "pop_balance", p.pop.balance);
    convoy_json_number(json, "pop_communication", p.pop.communication);
    convoy_json_number(json, "pop_serialisation", p.pop.serialisation);
    convoy_json_number(json, "pop_transfer", p.pop.transfer);
    convoy_json_number(json, "pop_scaling", p.scaling);
    convoy_json_number(json, "pop_global", p.global);
    convoy_json_number(json, "pop_threads", p.pop.threads);
    convoy_json_number(json, "pop_threads_balance", p.pop.threads_balance);
    convoy_json_number(json, "pop_threads_communication", p.pop.threads_communication);
    convoy_json_number(json, "pop_hybrid", p.pop.hybrid);
}

static void write_row(convoy_json *json, const struct report_row *base,
                      const struct report_row *row)
{
    const struct metric_start *p = &row->place;
    const struct report_scaling scaling = report_scale(base, row);
    convoy_json_begin_object(json, NULL);
    convoy_json_count(json, "nodes", p->nodes);
    convoy_json_count(json, "cores", p->cores);
    convoy_json_count(json, "ranks", p->ranks);
    convoy_json_count(json, "lanes", p->lanes);
    convoy_json_count(json, "threads", p->threads);
    convoy_json_count(json, "batch", p->batch);
    convoy_json_count(json, "microbatch", p->microbatch);
    convoy_json_integer(json, "runs", row->n_runs);
    convoy_json_count(json, "steps", row->steps.weight);
    convoy_json_count(json, "dropped", row->n_dropped);
    convoy_json_number(json, "step_s", row->step_s);
    convoy_json_number(json, "step_s_q1", row->step_s_q1);
    convoy_json_number(json, "step_s_q3", row->step_s_q3);
    convoy_json_number(json, "step_s_least", row->least_s);
    convoy_json_number(json, "step_s_most", row->most_s);
    convoy_json_number(json, "images_per_s", row->images_per_s);
    convoy_json_number(json, "speedup", scaling.speedup);
    convoy_json_number(json, "ideal", scaling.ideal);
    convoy_json_number(json, "efficiency", scaling.efficiency);
    write_ranks(json, &row->ranks);
    write_pop(json, base, row);
    convoy_json_end(json);
}

static void write_table(convoy_json *json, const convoy_report *report,
                        const struct report_table *table)
{
    char sentence[REPORT_SENTENCE_SIZE];
    report_sentence(report, table, sentence);
    convoy_json_begin_object(json, NULL);
    convoy_json_text(json, "table", kind_words[table->kind]);
    convoy_json_integer(json, "group", table->group + 1);
    convoy_json_text(json, "model", report->groups[table->group].model);
    convoy_json_text(json, "sentence", sentence);
    convoy_json_begin_list(json, "rows");
    for (int i = 0; i < table->n_rows; i++)
        write_row(json, &report->rows[table->rows[0]], &report->rows[table->rows[i]]);
    convoy_json_end(json);
    convoy_json_end(json);
}

static void write_view(convoy_json *json, const struct run_view *view)
{
    const struct metric_epoch *e = &view->last_epoch;
    convoy_json_begin_object(json, NULL);
    convoy_json_text(json, "path", view->path);
    convoy_json_text(json, "model", view->model);
    convoy_json_count(json, "step", view->last.step);
    if (view->last.step > 0) {
        convoy_json_number(json, "epoch", view->last.epoch);
        convoy_json_number(json, "loss", view->last.loss);
        convoy_json_number(json, "top1", view->last.top1);
    }
    if (e->step > 0 && e->val_samples > 0) {
        convoy_json_number(json, "val_loss", e->val_loss);
        convoy_json_number(json, "val_top1", e->val_top1);
        convoy_json_number(json, "val_top5", e->val_top5);
    }
    if (view->best.step > 0)
        convoy_json_number(json, "best_val_top1", view->best.val_top1);
    convoy_json_number(json, "training_s", view->training_s);
    convoy_json_count(json, "peak_memory_bytes", e->peak_memory_bytes);
    convoy_json_text(json, "how", run_view_text(run_view_life(view), "how"));
    convoy_json_begin_list(json, "problems");
    for (int i = 0; i < view->n_problems; i++)
        convoy_json_text(json, NULL, view->problems[i]);
    convoy_json_end(json);
    convoy_json_end(json);
}

convoy_status convoy_report_write_json(const convoy_report *report, FILE *stream)
{
    convoy_json json = {.stream = stream, .style = CONVOY_JSON_LINES};
    convoy_json_begin_object(&json, NULL);
    convoy_json_begin_list(&json, "runs");
    for (int i = 0; i < report->n_views; i++)
        write_view(&json, &report->views[i]);
    convoy_json_end(&json);
    convoy_json_begin_list(&json, "tables");
    for (int t = 0; t < report->n_tables; t++)
        write_table(&json, report, &report->tables[t]);
    convoy_json_end(&json);
    convoy_json_begin_list(&json, "passed_over");
    for (int i = 0; i < report->n_passed; i++)
        convoy_json_text(&json, NULL, report->passed[i]);
    convoy_json_end(&json);
    convoy_json_end(&json);
    if (ferror(stream))
        return FAIL(CONVOY_ERROR_IO, "cannot write the report");
    return CONVOY_OK;
}
