add_library(convoy_warnings INTERFACE)
target_compile_options(convoy_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Wvla -Wundef
    -Wcast-qual -Wstrict-prototypes $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
    $<$<BOOL:${CONVOY_WERROR}>:-Werror>)
