# convoy_folder(NAME SOURCES file... [DEPS folder...] [LIBS target...])
# One folder of src/ as a static library convoy_NAME that sees include/, its own folder's
# headers as "NAME/file.h", and links only what the layer table allows: the folders in DEPS
# and the third-party targets in LIBS. All folders together become libconvoy.
function(convoy_folder name)
    cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;LIBS" ${ARGN})
    set(target convoy_${name})
    add_library(${target} STATIC ${ARG_SOURCES})
    target_include_directories(${target} PUBLIC
        ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src
        ${PROJECT_BINARY_DIR}/include)
    target_compile_definitions(${target} PUBLIC _GNU_SOURCE)
    target_link_libraries(${target} PRIVATE convoy_warnings OpenMP::OpenMP_C)
    # Floating point as written: a contracted or reassociated sum is another sum.
    target_compile_options(${target} PRIVATE -ffp-contract=off
        $<$<NOT:$<CONFIG:Debug>>:-O3>
        $<$<BOOL:${CONVOY_NATIVE}>:-march=native>)
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    target_link_libraries(${target} PUBLIC Threads::Threads m)
    foreach(dep IN LISTS ARG_DEPS)
        target_link_libraries(${target} PUBLIC convoy_${dep})
    endforeach()
    target_link_libraries(${target} PUBLIC ${ARG_LIBS})
    set_property(GLOBAL APPEND PROPERTY CONVOY_FOLDERS ${name})
endfunction()
