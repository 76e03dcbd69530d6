# oneDNN as Dnnl::dnnl. oneDNN's own package config demands OpenCL on Debian 12,
# which the CPU engine never uses. Hint: Dnnl_ROOT or DNNLROOT.
find_path(Dnnl_INCLUDE_DIR oneapi/dnnl/dnnl.h HINTS ENV DNNLROOT PATH_SUFFIXES include)
find_library(Dnnl_LIBRARY dnnl HINTS ENV DNNLROOT PATH_SUFFIXES lib lib64)
if(Dnnl_INCLUDE_DIR)
    file(STRINGS ${Dnnl_INCLUDE_DIR}/oneapi/dnnl/dnnl_version.h _dnnl_lines
         REGEX "#define DNNL_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
    string(REGEX REPLACE ".*MAJOR +([0-9]+).*MINOR +([0-9]+).*PATCH +([0-9]+).*"
           "\\1.\\2.\\3" Dnnl_VERSION "${_dnnl_lines}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(Dnnl REQUIRED_VARS Dnnl_LIBRARY Dnnl_INCLUDE_DIR
                                  VERSION_VAR Dnnl_VERSION)
if(Dnnl_FOUND AND NOT TARGET Dnnl::dnnl)
    add_library(Dnnl::dnnl UNKNOWN IMPORTED)
    set_target_properties(Dnnl::dnnl PROPERTIES
        IMPORTED_LOCATION ${Dnnl_LIBRARY}
        INTERFACE_INCLUDE_DIRECTORIES ${Dnnl_INCLUDE_DIR})
endif()
mark_as_advanced(Dnnl_INCLUDE_DIR Dnnl_LIBRARY)
