# CONVOY_HAS_TESTS: whether there are tests. Only they need CMocka and a Python; where one
# is missing, convoy is built without tests, unless CONVOY_TESTS is ON.
function(convoy_find_tests)
    set(missing "")
    find_package(Cmocka QUIET)
    if(NOT TARGET Cmocka::cmocka)
        list(APPEND missing "CMocka (Debian package libcmocka-dev)")
    endif()
    # Debian's Python has Debian's packages; another python3 in PATH may not.
    find_program(CONVOY_PYTHON NAMES python3 HINTS /usr/bin NO_DEFAULT_PATH
                 DOC "Python with NumPy, h5py, Pillow and more, for the tests")
    find_program(CONVOY_PYTHON NAMES python3)
    execute_process(COMMAND "${CONVOY_PYTHON}" --version RESULT_VARIABLE result
                    OUTPUT_QUIET ERROR_QUIET)
    if(NOT result EQUAL 0)
        list(APPEND missing "Python 3 (Debian package python3, or set CONVOY_PYTHON)")
    endif()
    list(JOIN missing " and " missing)
    if(missing AND NOT CONVOY_TESTS STREQUAL "AUTO")
        message(FATAL_ERROR "CONVOY_TESTS is ${CONVOY_TESTS}, but the tests need ${missing}. "
                "jobs/install-packages.sh test installs what they need; "
                "-DCONVOY_TESTS=OFF builds convoy without them.")
    elseif(missing)
        message(NOTICE "-- convoy is built without its tests: they need ${missing}")
    else()
        set(CONVOY_HAS_TESTS TRUE PARENT_SCOPE)
    endif()
endfunction()

set(CONVOY_HAS_TESTS FALSE)
if(CONVOY_TESTS AND (PROJECT_IS_TOP_LEVEL OR NOT CONVOY_TESTS STREQUAL "AUTO"))
    convoy_find_tests()
endif()

# convoy_test(FILE [LINK target...] [NP n...] [LABELS label...] [TIMEOUT s])
# One CMocka program from FILE (relative to tests/), linked with LINK. Without NP one serial
# CTest entry; with NP one entry a process count under mpiexec. Entries are named
# folder.file or folder.file.npN. Label "quick" unless LABELS says otherwise.
function(convoy_test file)
    cmake_parse_arguments(ARG "" "TIMEOUT" "LINK;NP;LABELS" ${ARGN})
    get_filename_component(stem ${file} NAME_WE)
    get_filename_component(folder ${file} DIRECTORY)
    string(REGEX REPLACE "^unit/" "" folder "${folder}")
    string(REPLACE "/" "." name "${folder}/${stem}")
    string(REPLACE "." "_" target "${name}")
    add_executable(${target} ${PROJECT_SOURCE_DIR}/tests/${file})
    target_link_libraries(${target} PRIVATE convoy_warnings Cmocka::cmocka OpenMP::OpenMP_C
                          ${ARG_LINK})
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
    if(NOT ARG_LABELS)
        set(ARG_LABELS quick)
    endif()
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    if(NOT ARG_NP)
        add_test(NAME ${name} COMMAND ${target})
        set(entries ${name})
    else()
        foreach(np IN LISTS ARG_NP)
            add_test(NAME ${name}.np${np} COMMAND ${PROJECT_SOURCE_DIR}/tests/support/mpirun.sh
                     ${np} $<TARGET_FILE:${target}>)
            list(APPEND entries ${name}.np${np})
        endforeach()
    endif()
    set_tests_properties(${entries} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
        ENVIRONMENT "OMP_NUM_THREADS=1")
endfunction()
