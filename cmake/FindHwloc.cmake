# Hwloc as Hwloc::hwloc. Hint: Hwloc_ROOT.
find_path(Hwloc_INCLUDE_DIR hwloc.h)
find_library(Hwloc_LIBRARY hwloc)
if(Hwloc_INCLUDE_DIR)
    # Of the interface, as a hexadecimal number: 0x00020800 is 2.8.0.
    file(STRINGS ${Hwloc_INCLUDE_DIR}/hwloc.h Hwloc_VERSION
         REGEX "#define HWLOC_API_VERSION +0x[0-9a-f]+")
    string(REGEX REPLACE ".*0x[0-9a-f]*([0-9a-f][0-9a-f])([0-9a-f][0-9a-f])([0-9a-f][0-9a-f])$"
           "0x\\1;0x\\2;0x\\3" _hwloc_parts "${Hwloc_VERSION}")
    set(Hwloc_VERSION "")
    foreach(_hwloc_part IN LISTS _hwloc_parts)
        math(EXPR _hwloc_part "${_hwloc_part}")
        list(APPEND Hwloc_VERSION ${_hwloc_part})
    endforeach()
    list(JOIN Hwloc_VERSION . Hwloc_VERSION)
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Hwloc REQUIRED_VARS Hwloc_LIBRARY Hwloc_INCLUDE_DIR
                                  VERSION_VAR Hwloc_VERSION)
if(Hwloc_FOUND AND NOT TARGET Hwloc::hwloc)
    add_library(Hwloc::hwloc UNKNOWN IMPORTED)
    set_target_properties(Hwloc::hwloc PROPERTIES
        IMPORTED_LOCATION ${Hwloc_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${Hwloc_INCLUDE_DIR})
endif()
mark_as_advanced(Hwloc_INCLUDE_DIR Hwloc_LIBRARY)
