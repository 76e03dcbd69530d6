/* Recipes: everything that decides what a training run computes, as one YAML file
 * (docs/recipe.md describes every key). Different threads may be at once in functions
 * on different recipes.
 */
#ifndef CONVOY_RECIPE_H
#define CONVOY_RECIPE_H

#include <convoy/net.h>
#include <convoy/status.h>

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct convoy_recipe convoy_recipe;

/* Reads and checks the recipe at path. Local.
 * overrides: n_overrides texts "key.path=value" that replace what the file says (the
 * last of several for one key holds); each value is a YAML scalar, a list in
 * brackets or, of a key that holds a map (optimizer.lr_scale), a map in braces. NULL
 * where n_overrides is 0. *recipe is new; free with convoy_recipe_destroy. Errors: IO
 * (cannot read), FORMAT (not YAML, an unknown, missing or repeated key, a value of the
 * wrong type or out of range, keys that contradict each other; the text names the file
 * and line or the override, and the key), ARGUMENT (an override that is none). */
convoy_status convoy_recipe_load(const char *path, const char *const *overrides,
                                 int n_overrides, convoy_recipe **recipe);

/* As convoy_recipe_load, from text; name stands for the file in messages. Local. */
convoy_status convoy_recipe_load_text(const char *name, const char *text,
                                      const char *const *overrides, int n_overrides,
                                      convoy_recipe **recipe);

/* As convoy_recipe_load_text, for a net that the program built (convoy/net.h). Local.
 * It takes the model's place: text has neither model.name nor network nor
 * loss.label_smoothing. The recipe's network is then the list of net's layers, so what
 * is trained with it can be resumed, evaluated and predicted with like any other, and
 * convoy_recipe_write gives a recipe for `convoy train`, to the same weights. Where
 * text leaves them open, model.classes and data.crop become net's. net is only read,
 * and need not outlive the call. Errors: as convoy_recipe_load_text (a file "net" is
 * this list), and ARGUMENT (net does not pass convoy_net_check; a layer's name has
 * other characters than letters, digits, '_', '-' and single dots; the last layer
 * before the loss is not what the loss takes). */
convoy_status convoy_recipe_load_net(const convoy_net *net, const char *name,
                                     const char *text, const char *const *overrides,
                                     int n_overrides, convoy_recipe **recipe);

/* Writes the recipe with all keys, defaults included, as YAML that loads to the same
 * recipe, numbers to the last bit. Local. Error: IO. */
convoy_status convoy_recipe_write(const convoy_recipe *recipe, FILE *stream);

/* Takes NULL. Local. */
void convoy_recipe_destroy(convoy_recipe *recipe);

/* Writes a table of all keys, one a line: its values, its default, what it does. Local.
 * Error: IO. */
convoy_status convoy_recipe_describe_keys(FILE *stream);

#ifdef __cplusplus
}
#endif
#endif
