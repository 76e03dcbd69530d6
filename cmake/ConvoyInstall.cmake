# Installs the library, its public headers, the program and what find_package(convoy) needs.
include(CMakePackageConfigHelpers)
set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/convoy)

install(TARGETS convoy EXPORT convoyTargets)
install(TARGETS convoy_cli)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ ${PROJECT_BINARY_DIR}/include/
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT convoyTargets NAMESPACE convoy:: DESTINATION ${config_folder})

set(convoy_is_static ON)
if(BUILD_SHARED_LIBS)
    set(convoy_is_static OFF)
    file(RELATIVE_PATH to_library /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
    set_target_properties(convoy_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${to_library}")
else()
    install(FILES cmake/FindDnnl.cmake cmake/FindHwloc.cmake cmake/FindJansson.cmake
                  cmake/FindLibYaml.cmake cmake/FindXxhash.cmake
            DESTINATION ${config_folder})
endif()
configure_package_config_file(cmake/convoyConfig.cmake.in
    ${PROJECT_BINARY_DIR}/convoyConfig.cmake INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/convoyConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/convoyConfig.cmake
        ${PROJECT_BINARY_DIR}/convoyConfigVersion.cmake DESTINATION ${config_folder})
