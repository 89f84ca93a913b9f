# farandole_flags: standard, warnings, include root, visibility and hardening, for every target.
add_library(farandole_flags INTERFACE)
target_compile_features(farandole_flags INTERFACE cxx_std_20 c_std_11)
target_include_directories(farandole_flags INTERFACE $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
target_compile_definitions(
  farandole_flags
  INTERFACE SPDLOG_FMT_EXTERNAL=1 _GNU_SOURCE=1 $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS=1>
            $<$<AND:$<CONFIG:Debug>,$<NOT:$<BOOL:${FARANDOLE_FUZZ}>>>:FARANDOLE_FAILPOINTS=1>
            $<$<CONFIG:Release>:_FORTIFY_SOURCE=3>)
target_compile_options(
  farandole_flags INTERFACE -Wall -Wextra -Wno-missing-field-initializers $<$<BOOL:${FARANDOLE_WERROR}>:-Werror> -fvisibility=hidden
                            -fstack-protector-strong $<$<COMPILE_LANG_AND_ID:CXX,Clang>:-Wthread-safety>
                            $<$<COMPILE_LANGUAGE:CXX>:-fvisibility-inlines-hidden>)
# Two warnings that GCC 12 gives without cause when it optimises: "a" + std::string(...) as an
# overlapping copy (PR 105651), and the inactive members of a std::variant as uninitialised.
target_compile_options(
  farandole_flags INTERFACE $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<CONFIG:Release>>:-Wno-restrict;-Wno-maybe-uninitialized>)
# A unit of several files has, to GCC, no main file whose unnamed namespaces are nobody else's.
if(CMAKE_UNITY_BUILD)
  target_compile_options(farandole_flags INTERFACE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>)
endif()
target_link_options(farandole_flags INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack)

include(CheckPIESupported)
check_pie_supported()
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# farandole_sanitizer: what all needs that runs in one process with instrumented code, also what is compiled
# with none of the project's own flags.
add_library(farandole_sanitizer INTERFACE)
target_link_libraries(farandole_flags INTERFACE farandole_sanitizer)
if(FARANDOLE_SANITIZE)
  target_compile_definitions(farandole_sanitizer INTERFACE FARANDOLE_SANITIZED=1)
endif()
if(FARANDOLE_SANITIZE STREQUAL "address")
  target_compile_definitions(farandole_sanitizer INTERFACE FARANDOLE_LEAK_CHECK=1)
  target_compile_options(farandole_sanitizer INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(farandole_sanitizer INTERFACE -fsanitize=address,undefined)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Clang 14 does not compile coroutines with the first; the second opens a pipe for each type that
    # it has not seen yet, and takes it for wrong in tests that lack descriptors.
    target_compile_options(farandole_sanitizer INTERFACE -fno-sanitize=function,vptr)
    # A shared runtime, as GCC has it, is one that an interpreter can load first.
    execute_process(
      COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=libclang_rt.asan-${CMAKE_SYSTEM_PROCESSOR}.so
      OUTPUT_VARIABLE runtime
      OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
    get_filename_component(runtime ${runtime} DIRECTORY)
    target_link_options(farandole_sanitizer INTERFACE -shared-libasan -Wl,-rpath,${runtime})
  endif()
elseif(FARANDOLE_SANITIZE STREQUAL "thread")
  target_compile_options(
    farandole_sanitizer INTERFACE -fsanitize=thread -fno-omit-frame-pointer
                              $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-tsan>)
  target_link_options(farandole_sanitizer INTERFACE -fsanitize=thread)
  # Threads are the same whatever the instructions: one set of the kernels' is enough.
  target_compile_definitions(farandole_sanitizer INTERFACE HWY_COMPILE_ONLY_STATIC=1)
elseif(NOT FARANDOLE_SANITIZE STREQUAL "")
  message(FATAL_ERROR "FARANDOLE_SANITIZE=${FARANDOLE_SANITIZE}: address, thread or nothing is wanted")
endif()

if(FARANDOLE_FUZZ STREQUAL "fuzzer")
  set(ignored ${PROJECT_SOURCE_DIR}/tests/fuzz/ignored.txt)
  set(fuzz_flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize=function,vptr -fno-sanitize-recover=all
                 -fno-omit-frame-pointer -fsanitize-ignorelist=${ignored} -fsanitize-coverage-ignorelist=${ignored})
elseif(FARANDOLE_FUZZ STREQUAL "coverage")
  set(fuzz_flags -fprofile-instr-generate -fcoverage-mapping)
elseif(NOT FARANDOLE_FUZZ STREQUAL "")
  message(FATAL_ERROR "FARANDOLE_FUZZ=${FARANDOLE_FUZZ}: fuzzer, coverage or nothing is wanted")
endif()
if(FARANDOLE_FUZZ)
  target_compile_options(farandole_flags INTERFACE ${fuzz_flags})
  target_link_options(farandole_flags INTERFACE ${fuzz_flags})
endif()
