# farandole_library(NAME SOURCES … LINKS …): an internal static library.
function(farandole_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC farandole_flags ${arg_LINKS})
endfunction()

# farandole_replaceable(FILE …): tests/sim has files of its own that are taken in place of these when they
# are linked, so each must be an object of its own, also where others are compiled several at a time.
function(farandole_replaceable)
  if(FARANDOLE_BUILD_TESTS)
    set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

# farandole_discover_tests(NAME TIMEOUT seconds [SERIAL] [FILTER …]): each test of a GoogleTest binary is
# one ctest. Under a sanitizer it may take longer, and may belong to the subset that `make test` runs.
function(farandole_discover_tests name)
  cmake_parse_arguments(arg "SERIAL" "TIMEOUT;FILTER" "" ${ARGN})
  set(properties RUN_SERIAL ${arg_SERIAL})
  if(FARANDOLE_SANITIZE)
    math(EXPR arg_TIMEOUT "5 * ${arg_TIMEOUT}")
    if(name IN_LIST FARANDOLE_SANITIZER_SUBSET_${FARANDOLE_SANITIZE})
      list(APPEND properties LABELS sanitizer_subset)
      add_dependencies(sanitizer_subset ${name})
    endif()
  endif()
  set(filter "")
  if(arg_FILTER)
    set(filter TEST_FILTER ${arg_FILTER})
  endif()
  gtest_discover_tests(${name} ${filter} PROPERTIES TIMEOUT ${arg_TIMEOUT} ${properties} DISCOVERY_TIMEOUT 60)
endfunction()

# farandole_test(NAME SOURCES … LINKS … [TIMEOUT seconds] [SERIAL]): a GoogleTest binary; each of its tests
# is one ctest, with a deadline. SERIAL: it measures time, so that no other test may run beside it. Its
# files are compiled several at a time (most of the work is gmock's headers), so none may name a helper
# as another does: what two need stands in a header.
function(farandole_test name)
  cmake_parse_arguments(arg "SERIAL" "TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  set_target_properties(${name} PROPERTIES UNITY_BUILD ON)
  target_link_libraries(${name} PRIVATE farandole_flags ${arg_LINKS} GTest::gmock GTest::gtest GTest::gtest_main)
  set(serial "")
  if(arg_SERIAL)
    set(serial SERIAL)
  endif()
  farandole_discover_tests(${name} TIMEOUT ${arg_TIMEOUT} ${serial})
endfunction()
if(FARANDOLE_BUILD_TESTS)
  include(GoogleTest)
endif()
