# What is installed: extension module, libfarandole.so, launcher, headers, CMake package and .pc file.
# In a wheel all of it but the launcher lies inside the Python package; elsewhere it follows
# GNUInstallDirs. Both find each other by relative paths, so a tree may be moved.
include(CMakePackageConfigHelpers)

set(FARANDOLE_INSTALL_LIB ${CMAKE_INSTALL_LIBDIR})
set(FARANDOLE_INSTALL_INCLUDE ${CMAKE_INSTALL_INCLUDEDIR})
set(FARANDOLE_INSTALL_CMAKE ${FARANDOLE_INSTALL_LIB}/cmake/farandole)
set(FARANDOLE_INSTALL_PKGCONFIG ${FARANDOLE_INSTALL_LIB}/pkgconfig)

# A wheel holds no symbolic links: there the library has its plain name only.
if(SKBUILD)
  set_property(TARGET farandole PROPERTY VERSION)
  set_property(TARGET farandole PROPERTY SOVERSION)
endif()
set_target_properties(farandole PROPERTIES INSTALL_RPATH "$ORIGIN")
install(
  TARGETS farandole
  EXPORT farandole-targets
  LIBRARY DESTINATION ${FARANDOLE_INSTALL_LIB} COMPONENT python NAMELINK_COMPONENT python
  INCLUDES
  DESTINATION ${FARANDOLE_INSTALL_INCLUDE})
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

if(TARGET farandole_native)
  set_target_properties(farandole_native PROPERTIES INSTALL_RPATH "$ORIGIN/lib")
  install(TARGETS farandole_native LIBRARY DESTINATION farandole COMPONENT python)
endif()
