/* MATLAB files of version 5 with the struct array that ImageNet's kit has. */
#include "fuzz/fuzz.h"

#include "packing/matlab.h"

static convoy_status visit(void *context, uint64_t element, const char *field,
                           const struct matlab_value *value)
{
    (void)context;
    (void)element;
    fuzz_expect(!(value->is_number && value->is_text), "a number that is a text");
    fuzz_look(field, 1);
    if (value->is_text)
        fuzz_look(value->text, sizeof value->text);
    return CONVOY_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)matlab_visit("meta.mat", data, size, "synsets", visit, NULL);
    return 0;
}
