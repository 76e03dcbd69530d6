# Clang warns of a loop that is marked as simd and not made so, which without optimisation
# is none.
add_library(convoy_warnings INTERFACE)
target_compile_options(convoy_warnings INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Wvla -Wundef
    -Wcast-qual -Wstrict-prototypes $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
    $<$<C_COMPILER_ID:Clang>:-Wno-pass-failed>
    $<$<BOOL:${CONVOY_WERROR}>:-Werror>)
