/* The resolved recipe as YAML: every key of the table in its order, sections nested.
 * libyaml's emitter does the quoting.
 */
#include "base/memory.h"
#include "recipe/recipe_value.h"

#include <locale.h>
#include <stdlib.h>
#include <string.h>

static yaml_char_t *as_yaml(const char *text)
{
    return (yaml_char_t *)(uintptr_t)text; /* libyaml copies and never writes to it */
}

/* libyaml's emitter frees the event, whether it succeeds or not. */
static bool emit_scalar(yaml_emitter_t *emitter, const char *text,
                        yaml_scalar_style_t style)
{
    yaml_event_t event;
    return yaml_scalar_event_initialize(&event, NULL, NULL, as_yaml(text),
                                        (int)strlen(text), 1, 1, style) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_mapping_start(yaml_emitter_t *emitter)
{
    yaml_event_t event;
    return yaml_mapping_start_event_initialize(&event, NULL, NULL, 1,
                                               YAML_BLOCK_MAPPING_STYLE) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_mapping_end(yaml_emitter_t *emitter)
{
    yaml_event_t event;
    return yaml_mapping_end_event_initialize(&event) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_numbers(yaml_emitter_t *emitter, const struct recipe_numbers *numbers)
{
    yaml_event_t event;
    bool ok = yaml_sequence_start_event_initialize(&event, NULL, NULL, 1,
                                                   YAML_FLOW_SEQUENCE_STYLE) &&
              yaml_emitter_emit(emitter, &event);
    for (int i = 0; ok && i < numbers->n; i++) {
        char text[RECIPE_NUMBER_SIZE];
        recipe_number_text(numbers->values[i], text);
        ok = emit_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE);
    }
    return ok && yaml_sequence_end_event_initialize(&event) &&
           yaml_emitter_emit(emitter, &event);
}

static bool emit_value(yaml_emitter_t *emitter, const struct recipe_key *key,
                       const convoy_recipe *recipe)
{
    const void *field = recipe_field_const(key, recipe);
    if (key->type == RECIPE_NUMBERS)
        return emit_numbers(emitter, field);
    if (key->type == RECIPE_TEXT)
        return emit_scalar(emitter, *(char *const *)field,
                           YAML_DOUBLE_QUOTED_SCALAR_STYLE);
    char text[RECIPE_NUMBER_SIZE];
    recipe_value_text(key, recipe, text);
    return emit_scalar(emitter, text, YAML_PLAIN_SCALAR_STYLE);
}

/* Length of the part of path that both share, counting whole sections: 5 ("data.") for
 * "data.crop" and "data.augment.pad". */
static size_t common_section(const char *path, const char *before)
{
    size_t n = 0;
    for (size_t i = 0; path[i] && path[i] == before[i]; i++)
        if (path[i] == '.')
            n = i + 1;
    return n;
}

static int count_dots(const char *text)
{
    int n = 0;
    for (; *text; text++)
        n += *text == '.';
    return n;
}

/* Closes the sections of the key before that path is not in, opens those that are new,
 * and writes the name of the key. */
static bool emit_path(yaml_emitter_t *emitter, const char *path, const char *before)
{
    size_t common = common_section(path, before);
    bool ok = true;
    for (int open = count_dots(before + common); ok && open > 0; open--)
        ok = emit_mapping_end(emitter);
    const char *part = path + common;
    for (const char *dot = strchr(part, '.'); ok && dot; dot = strchr(part, '.')) {
        char section[RECIPE_PATH_SIZE];
        snprintf(section, sizeof section, "%.*s", (int)(dot - part), part);
        ok = emit_scalar(emitter, section, YAML_PLAIN_SCALAR_STYLE) &&
             emit_mapping_start(emitter);
        part = dot + 1;
    }
    return ok && emit_scalar(emitter, part, YAML_PLAIN_SCALAR_STYLE);
}

static bool emit_recipe(yaml_emitter_t *emitter, const convoy_recipe *recipe)
{
    const char *before = "";
    bool ok = emit_mapping_start(emitter);
    for (int i = 0; ok && i < recipe_n_keys(); i++) {
        const struct recipe_key *key = recipe_key_at(i);
        ok = emit_path(emitter, key->path, before) && emit_value(emitter, key, recipe);
        before = key->path;
    }
    for (int open = count_dots(before); ok && open >= 0; open--)
        ok = emit_mapping_end(emitter);
    return ok;
}

static bool emit_document(yaml_emitter_t *emitter, const convoy_recipe *recipe)
{
    yaml_event_t event;
    return yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING) &&
           yaml_emitter_emit(emitter, &event) &&
           yaml_document_start_event_initialize(&event, NULL, NULL, NULL, 1) &&
           yaml_emitter_emit(emitter, &event) && emit_recipe(emitter, recipe) &&
           yaml_document_end_event_initialize(&event, 1) &&
           yaml_emitter_emit(emitter, &event) &&
           yaml_stream_end_event_initialize(&event) &&
           yaml_emitter_emit(emitter, &event);
}

convoy_status convoy_recipe_write(const convoy_recipe *recipe, FILE *stream)
{
    yaml_emitter_t emitter;
    if (!yaml_emitter_initialize(&emitter))
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a YAML emitter");
    yaml_emitter_set_output_file(&emitter, stream);
    yaml_emitter_set_unicode(&emitter, 1);
    yaml_emitter_set_width(&emitter, -1); /* no line breaks within a value */
    locale_t plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    locale_t callers = uselocale(plain);
    bool ok = emit_document(&emitter, recipe);
    uselocale(callers);
    if (plain)
        freelocale(plain);
    const char *problem = emitter.problem ? emitter.problem : "write error";
    convoy_status status = CONVOY_OK;
    if (!ok || fflush(stream) != 0 || ferror(stream))
        status = FAIL(CONVOY_ERROR_IO, "cannot write the recipe: %s", problem);
    yaml_emitter_delete(&emitter);
    return status;
}

convoy_status recipe_text(const convoy_recipe *recipe, char **text)
{
    char *buffer = NULL;
    size_t n = 0;
    FILE *stream = open_memstream(&buffer, &n);
    if (!stream)
        return FAIL(CONVOY_ERROR_MEMORY, "cannot allocate a stream for the recipe");
    convoy_status status = convoy_recipe_write(recipe, stream);
    if (fclose(stream) != 0 && status == CONVOY_OK)
        status = FAIL(CONVOY_ERROR_MEMORY, "cannot allocate the recipe's text");
    if (status == CONVOY_OK)
        status = mem_copy_text(buffer, text);
    free(buffer);
    return status;
}
