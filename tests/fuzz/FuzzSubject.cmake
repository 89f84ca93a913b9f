# What the targets try: what their sources include, directly or not, and where that is written; and
# nothing else, because under clang with all sanitizers each source costs seconds.
set(root ${PROJECT_SOURCE_DIR})
set(generated ${CMAKE_CURRENT_BINARY_DIR}/messages_generated.h)
add_custom_command(
  OUTPUT ${generated}
  COMMAND ${FLATC} --cpp --cpp-std c++17 --scoped-enums --gen-mutable -o ${CMAKE_CURRENT_BINARY_DIR}
          ${root}/controller/protocol/messages.fbs
  DEPENDS ${root}/controller/protocol/messages.fbs
  VERBATIM)

# Not followed: files that include one of these libraries. Boost.Asio takes most of a minute to
# compile under the sanitizers, Gloo and spdlog are linked by nothing here, and no target may open
# sockets or write a log. Where a target needs such a file all the same, it brings a replacement, as
# silent_log.cc is one of core/base/log.cc; without one the linker says what is missing.
set(left_out_libraries "<(boost|gloo|spdlog)/")

# find_subject(OUT SOURCES): the sources that SOURCES need. x.h is written in x.cc and in each x_*.cc
# that has no header of its own. Whatever was looked at is looked at again when it changes. Globs
# only say which files there are; that each of them is built is decided where its folder lists it.
function(find_subject out)
  file(GLOB_RECURSE written CONFIGURE_DEPENDS RELATIVE ${root} ${root}/core/*.cc ${root}/collectives/*.cc
       ${root}/controller/*.cc ${root}/tests/protocol/*.cc)
  set(waiting ${ARGN})
  set(seen "")
  set(found "")
  set(left_out "")
  while(waiting)
    list(POP_FRONT waiting file)
    if(file IN_LIST seen OR NOT EXISTS ${root}/${file}) # the latter: generated
      continue()
    endif()
    list(APPEND seen ${file})
    file(STRINGS ${root}/${file} includes REGEX "^#include ")
    if(includes MATCHES "${left_out_libraries}")
      list(APPEND left_out ${file})
      continue()
    endif()
    string(REGEX MATCHALL "\"[^\"]+\"" included "${includes}")
    list(TRANSFORM included REPLACE "\"" "")
    list(APPEND waiting ${included})
    if(file MATCHES "^(.+)\\.h$")
      set(parts ${written})
      list(FILTER parts INCLUDE REGEX "^${CMAKE_MATCH_1}(_.+)?\\.cc$")
      foreach(part IN LISTS parts)
        string(REGEX REPLACE "\\.cc$" ".h" own_header ${part})
        if(own_header STREQUAL file OR NOT EXISTS ${root}/${own_header})
          list(APPEND waiting ${part})
        endif()
      endforeach()
    elseif(NOT file IN_LIST ARGN)
      list(APPEND found ${file})
    endif()
  endwhile()
  list(TRANSFORM seen PREPEND ${root}/ OUTPUT_VARIABLE looked_at)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${looked_at})
  list(SORT found)
  list(LENGTH found count)
  message(STATUS "Fuzzing ${count} sources; left out: ${left_out}")
  set(${out} ${found} PARENT_SCOPE)
endfunction()

list(TRANSFORM target_sources PREPEND tests/fuzz/ OUTPUT_VARIABLE start)
find_subject(subject_sources ${start})
list(TRANSFORM subject_sources PREPEND ${root}/)
farandole_library(
  fuzz_subject
  SOURCES ${subject_sources} ${generated}
  LINKS fmt::fmt Threads::Threads OpenSSL::Crypto CLI11::CLI11 farandole_yaml)
target_include_directories(fuzz_subject SYSTEM PRIVATE ${FLATBUFFERS_INCLUDE_DIR} ${CMAKE_CURRENT_BINARY_DIR})
set_source_files_properties(
  ${root}/controller/launch/help.cc PROPERTIES COMPILE_DEFINITIONS FARANDOLE_VERSION="${PROJECT_VERSION}")
