# What is installed: extension module, libfarandole.so, launcher, headers, CMake package and .pc file.
# In a wheel all of it but the launcher lies inside the Python package; elsewhere it follows
# GNUInstallDirs. Both find each other by relative paths, so a tree may be moved.
include(CMakePackageConfigHelpers)

if(SKBUILD)
  set(FARANDOLE_INSTALL_LIB farandole/lib)
  set(FARANDOLE_INSTALL_INCLUDE farandole/include)
  set(FARANDOLE_INSTALL_BIN ${SKBUILD_SCRIPTS_DIR})
else()
  set(FARANDOLE_INSTALL_LIB ${CMAKE_INSTALL_LIBDIR})
  set(FARANDOLE_INSTALL_INCLUDE ${CMAKE_INSTALL_INCLUDEDIR})
  set(FARANDOLE_INSTALL_BIN ${CMAKE_INSTALL_BINDIR})
endif()
set(FARANDOLE_INSTALL_CMAKE ${FARANDOLE_INSTALL_LIB}/cmake/farandole)
set(FARANDOLE_INSTALL_PKGCONFIG ${FARANDOLE_INSTALL_LIB}/pkgconfig)

set_target_properties(farandole PROPERTIES INSTALL_RPATH "$ORIGIN")
install(
  TARGETS farandole
  EXPORT farandole-targets
  LIBRARY DESTINATION ${FARANDOLE_INSTALL_LIB} COMPONENT python
  INCLUDES
  DESTINATION ${FARANDOLE_INSTALL_INCLUDE})
install(TARGETS farandolerun RUNTIME DESTINATION ${FARANDOLE_INSTALL_BIN} COMPONENT python)
install(
  DIRECTORY ${PROJECT_SOURCE_DIR}/bindings/c/include/
  DESTINATION ${FARANDOLE_INSTALL_INCLUDE}
  COMPONENT python)
install(
  EXPORT farandole-targets
  NAMESPACE farandole::
  DESTINATION ${FARANDOLE_INSTALL_CMAKE}
  COMPONENT python)
configure_package_config_file(
  ${CMAKE_CURRENT_LIST_DIR}/farandole-config.cmake.in ${PROJECT_BINARY_DIR}/farandole-config.cmake
  INSTALL_DESTINATION ${FARANDOLE_INSTALL_CMAKE})
write_basic_package_version_file(
  ${PROJECT_BINARY_DIR}/farandole-config-version.cmake COMPATIBILITY SameMinorVersion)
install(
  FILES ${PROJECT_BINARY_DIR}/farandole-config.cmake ${PROJECT_BINARY_DIR}/farandole-config-version.cmake
  DESTINATION ${FARANDOLE_INSTALL_CMAKE}
  COMPONENT python)

file(RELATIVE_PATH FARANDOLE_PC_LIB /x/${FARANDOLE_INSTALL_PKGCONFIG} /x/${FARANDOLE_INSTALL_LIB})
file(RELATIVE_PATH FARANDOLE_PC_INCLUDE /x/${FARANDOLE_INSTALL_PKGCONFIG} /x/${FARANDOLE_INSTALL_INCLUDE})
configure_file(${CMAKE_CURRENT_LIST_DIR}/farandole.pc.in ${PROJECT_BINARY_DIR}/farandole.pc @ONLY)
install(
  FILES ${PROJECT_BINARY_DIR}/farandole.pc
  DESTINATION ${FARANDOLE_INSTALL_PKGCONFIG}
  COMPONENT python)

add_custom_target(farandole_wheel DEPENDS farandole farandolerun)
if(TARGET farandole_native)
  set_target_properties(farandole_native PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
  install(TARGETS farandole_native LIBRARY DESTINATION farandole COMPONENT python)
  add_dependencies(farandole_wheel farandole_native)
endif()
