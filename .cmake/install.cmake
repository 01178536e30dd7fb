# Everything is text that no architecture changes, so it goes to share/.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir ${CMAKE_INSTALL_DATADIR}/cmake/solens)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME solens_library)
set(pkgconfig_dir ${CMAKE_INSTALL_DATADIR}/pkgconfig)

target_include_directories(solens INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
install(DIRECTORY include/solens DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING REGEX "\\.(hpp|cuh)$")
install(TARGETS solens EXPORT solens)
install(EXPORT solens FILE solensTargets.cmake NAMESPACE solens:: DESTINATION ${package_dir})

configure_package_config_file(.cmake/solensConfig.cmake.in ${PROJECT_BINARY_DIR}/solensConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/solensConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/solensConfig.cmake
              ${PROJECT_BINARY_DIR}/solensConfigVersion.cmake
              .cmake/solensComponents.cmake
        DESTINATION ${package_dir})

# Relative to the .pc file itself, so that the prefix may move.
file(RELATIVE_PATH SOLENS_PC_TO_PREFIX /prefix/${pkgconfig_dir} /prefix)
string(REGEX REPLACE "/$" "" SOLENS_PC_TO_PREFIX "${SOLENS_PC_TO_PREFIX}")
configure_file(.cmake/solens.pc.in solens.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/solens.pc DESTINATION ${pkgconfig_dir})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/solens)
