/* What the fuzz targets share. A target is one file, fuzz_<what>.c, with one function
 * that libFuzzer calls with input after input; run.sh builds and runs them all. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <convoy/status.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder that is there until the process ends. */
const char *fuzz_folder(void);

/* Writes the file name in it. The path lives until the 16th next call. By path and not
 * in memory, since HDF5 asks for a file's real path. */
const char *fuzz_file(const char *name, const uint8_t *data, size_t size);

/* The path of a seed, below the folder that FUZZ_SEEDS names; lives as long. */
const char *fuzz_seed(const char *name);

/* New text of the bytes, with a 0 behind them; free with free(). */
char *fuzz_text(const uint8_t *data, size_t size);

/* Stops with this text, which libFuzzer takes for a crash: for what must never be
 * false, whatever the input. */
void fuzz_expect(bool truth, const char *text);

/* Looks at every byte, so that the sanitizers do. */
void fuzz_look(const void *bytes, size_t n);

#endif
