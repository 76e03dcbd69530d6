/* The facts that must be the same on all ranks of a training. Paths of packs may differ
 * from host to host: their ids count. */
#include "train/same_run.h"

#include "base/memory.h"
#include "comm/world.h"
#include "recipe/recipe.h"
#include "setup/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 8, INDENT = 2, PATH_BYTES = 256 };

/* A text that grows; NULL once memory was short. */
struct facts {
    FILE *stream;
    char *text;
    size_t n;
};

static convoy_status facts_begin(struct facts *facts)
{
    facts->stream = open_memstream(&facts->text, &facts->n);
    if (!facts->stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a list of facts");
    return CONVOY_OK;
}

static convoy_status facts_end(struct facts *facts)
{
    FILE *stream = facts->stream;
    facts->stream = NULL;
    if (fclose(stream) != 0)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a list of facts");
    return CONVOY_OK;
}

static void facts_free(struct facts *facts)
{
    if (facts->stream)
        fclose(facts->stream);
    free(facts->text);
}

/* The file is rank 0's alone. */
static void list_trace(const convoy_trace_options *trace, FILE *stream)
{
    fprintf(stream, "\n--trace\t%s\n", trace ? "yes" : "no");
    if (!trace)
        return;
    fprintf(stream, "--trace-steps\t%llu-%llu\n--trace-ranks\t",
            (unsigned long long)trace->steps.first,
            (unsigned long long)trace->steps.last);
    for (int i = 0; i < trace->n_ranks; i++)
        fprintf(stream, "%s%llu-%llu", i > 0 ? "," : "",
                (unsigned long long)trace->ranks[i].first,
                (unsigned long long)trace->ranks[i].last);
    fputc('\n', stream);
}

static convoy_status list_options(const convoy_train_options *options,
                                  struct facts *facts)
{
    convoy_status status = CONVOY_OK;
    char machine[MACHINE_FACTS_SIZE];
    machine_facts(machine);
    TRY(facts_begin(facts));
    fprintf(facts->stream, "%s--resume\t%s\n--resume-anyway\t%s\n--stop-after-steps\t",
            machine, options->resume ? options->resume : "auto",
            options->resume_anyway ? "yes" : "no");
    if (options->stop_after_steps)
        fprintf(facts->stream, "%llu", (unsigned long long)*options->stop_after_steps);
    list_trace(options->trace, facts->stream);
    TRY(facts_end(facts));
cleanup:
    return status;
}

convoy_status same_run_options(convoy_world *world, const convoy_train_options *options)
{
    convoy_status status = CONVOY_OK;
    struct facts facts = {0};
    TRY(convoy_world_agree(world, list_options(options, &facts)));
    TRY(convoy_world_same(world, facts.text));
cleanup:
    facts_free(&facts);
    return status;
}

/* Whether each host may have a value of its own. */
static bool is_free(const char *path)
{
    return strcmp(path, "data.train") == 0 || strcmp(path, "data.val") == 0 ||
           strcmp(path, "lanes") == 0;
}

/* The recipe's text has a key a line, indented under its sections: prints each with its
 * whole path. */
static void print_recipe(const char *text, FILE *stream)
{
    char sections[MAX_DEPTH][64] = {""}, path[PATH_BYTES];
    for (const char *line = text; *line;
         line += strcspn(line, "\n"), line += *line > 0) {
        const int length = (int)strcspn(line, "\n"), indent = (int)strspn(line, " ");
        const int depth = indent / INDENT < MAX_DEPTH ? indent / INDENT : MAX_DEPTH - 1;
        const int key = (int)strcspn(line + indent, ":\n");
        size_t used = 0;
        snprintf(sections[depth], sizeof sections[depth], "%.*s", key, line + indent);
        path[0] = '\0';
        for (int i = 0; i <= depth && used < sizeof path; i++)
            used += (size_t)snprintf(path + used, sizeof path - used, "%s%s",
                                     i ? "." : "", sections[i]);
        const int value = indent + key + 2;
        if (value < length && !is_free(path))
            fprintf(stream, "%s\t%.*s\n", path, length - value, line + value);
        else if (line[indent] == '-')
            fprintf(stream, "network\t%.*s\n", length - indent, line + indent);
    }
}

static convoy_status list_trainer(const convoy_recipe *recipe,
                                  const convoy_pack *train_pack,
                                  const convoy_pack *val_pack, struct facts *facts)
{
    convoy_status status = CONVOY_OK;
    char *text = NULL, machine[MACHINE_FACTS_SIZE];
    machine_facts(machine);
    TRY(recipe_text(recipe, &text));
    TRY(facts_begin(facts));
    fputs(machine, facts->stream);
    print_recipe(text, facts->stream);
    fprintf(facts->stream, "a train pack with id\t%s\n",
            convoy_pack_describe(train_pack)->id);
    fprintf(facts->stream, "a validation pack with id\t%s\n",
            val_pack ? convoy_pack_describe(val_pack)->id : "");
    TRY(facts_end(facts));
cleanup:
    mem_free(text);
    return status;
}

convoy_status same_run_trainer(convoy_world *world, const convoy_recipe *recipe,
                               const convoy_pack *train_pack,
                               const convoy_pack *val_pack)
{
    convoy_status status = CONVOY_OK;
    struct facts facts = {0};
    TRY(convoy_world_agree(world, list_trainer(recipe, train_pack, val_pack, &facts)));
    TRY(convoy_world_same(world, facts.text));
cleanup:
    facts_free(&facts);
    return status;
}
