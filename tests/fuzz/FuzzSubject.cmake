# What the targets try: these sources and no others, because under clang with all sanitizers each
# costs seconds.
set(root ${PROJECT_SOURCE_DIR})
set(generated ${CMAKE_CURRENT_BINARY_DIR}/messages_generated.h)
add_custom_command(
  OUTPUT ${generated}
  COMMAND ${FLATC} --cpp --cpp-std c++17 --scoped-enums --gen-mutable -o ${CMAKE_CURRENT_BINARY_DIR}
          ${root}/controller/protocol/messages.fbs
  DEPENDS ${root}/controller/protocol/messages.fbs
  VERBATIM)
farandole_library(
  fuzz_subject
  SOURCES ${root}/collectives/gloo/transport/frame.cc
          ${root}/collectives/gloo/transport/link.cc
          ${root}/collectives/gloo/transport/link_io.cc
          ${root}/collectives/gloo/transport/socket.cc
          ${root}/collectives/shm/handover.cc
          ${root}/collectives/shm/published.cc
          ${root}/collectives/shm/segment.cc
          ${root}/controller/launch/channel.cc
          ${root}/controller/launch/environment.cc
          ${root}/controller/launch/fd.cc
          ${root}/controller/launch/hosts.cc
          ${root}/controller/launch/line_assembler.cc
          ${root}/controller/launch/options.cc
          ${root}/controller/launch/output.cc
          ${root}/controller/launch/output_queue.cc
          ${root}/controller/launch/rank_environment.cc
          ${root}/controller/launch/supervisor.cc
          ${root}/controller/protocol/coordinator.cc
          ${root}/controller/protocol/limits.cc
          ${root}/controller/protocol/link.cc
          ${root}/controller/protocol/membership.cc
          ${root}/controller/protocol/messages.cc
          ${root}/controller/protocol/messages_decode.cc
          ${root}/controller/protocol/ranks.cc
          ${root}/controller/protocol/readiness.cc
          ${root}/controller/protocol/store_table.cc
          ${root}/controller/protocol/validation.cc
          ${root}/controller/protocol/worker.cc
          ${root}/controller/protocol/worker_store.cc
          ${root}/core/base/cgroup.cc
          ${root}/core/base/config.cc
          ${root}/core/base/config_table.cc
          ${root}/core/base/format.cc
          ${root}/core/base/name_lookup.cc
          ${root}/core/base/nearest.cc
          ${root}/core/base/secret.cc
          ${root}/core/base/secret_memory.cc
          ${root}/core/base/status.cc
          ${root}/core/base/types.cc
          ${root}/core/interrupt.cc
          ${root}/core/layout.cc
          ${root}/core/net/auth.cc
          ${root}/core/net/endpoint.cc
          ${root}/core/net/fd_io.cc
          ${root}/core/net/frame_tags.cc
          ${root}/core/net/framing.cc
          ${root}/core/net/mac.cc
          ${root}/core/net/process_card.cc
          ${root}/core/request.cc
          ${root}/tests/protocol/cluster.cc
          ${root}/tests/protocol/samples.cc
          ${generated}
  LINKS fmt::fmt Threads::Threads OpenSSL::Crypto CLI11::CLI11)
target_include_directories(fuzz_subject SYSTEM PRIVATE ${FLATBUFFERS_INCLUDE_DIR} ${CMAKE_CURRENT_BINARY_DIR})
set_source_files_properties(
  ${root}/controller/launch/options.cc PROPERTIES COMPILE_DEFINITIONS FARANDOLE_VERSION="${PROJECT_VERSION}")
