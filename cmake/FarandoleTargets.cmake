# farandole_library(NAME SOURCES … LINKS …): an internal static library.
function(farandole_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC farandole_flags ${arg_LINKS})
endfunction()

# farandole_test(NAME SOURCES … LINKS … [TIMEOUT seconds] [SERIAL]): a GoogleTest binary; each of its
# tests is one ctest, with a deadline. SERIAL: it measures time, so that no other test may run beside it.
function(farandole_test name)
  cmake_parse_arguments(arg "SERIAL" "TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE farandole_flags ${arg_LINKS} GTest::gmock GTest::gtest GTest::gtest_main)
  gtest_discover_tests(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${arg_SERIAL} DISCOVERY_TIMEOUT 30)
endfunction()
if(FARANDOLE_BUILD_TESTS)
  include(GoogleTest)
endif()
