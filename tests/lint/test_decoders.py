"""Everything that reads what others have written is fuzzed, or says here why it is not.

What reads is known by its signs: a name (parse, decode, ...), a call that takes bytes in, or one
that makes values of them. tests/fuzz/decoder_coverage.py must name its file, and its function where
it names only some of the file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest
from test_tools import ROOT, tracked

COVERAGE = ROOT / "tests/fuzz/decoder_coverage.py"

READER = re.compile(r"(?:^|::)_?(?:parse\w*|decode\w*|from_(?:text|string|bytes)|check_header)$")
# Calls of the system are known by the names of their failpoints.
SIGN = re.compile(
    r"\"[\w.]+\.(?:p?readv?|recv\w*|readlink\w*)\"|\basync_(?:read|receive)\w*\(|\bgetenv\("
    r"|\b(?:from_chars|strto\w+|sto(?:[dfil]|u?l?l)|ato[fil]+|sscanf|fgets|getline)\("
    r"|\b(?:ByteReader|Verifier|[io]?stringstream|ifstream)\b"
    r"|\bint\.from_bytes\(|\.loads\(|\bUnpickler\(|\bstruct\.unpack"
)
# What begins in the first column is a definition (.clang-format), of a function or a type.
DEFINITION = re.compile(
    r"^(?!namespace|using|static_assert|return|#|//|\}|extern|if|for|from|import)"
    r"(?:def (?P<python>\w+)\(|(?:class|struct) (?P<type>\w+)|\S.*?\b(?P<function>[\w:~]+)\()"
)

# File:function -> why no fuzzer tries it.
NOT_FUZZED = {
    "bindings/python/farandole/_rank_of_run.py:_call": "what the caller of run() has pickled",
    "bindings/python/farandole/_rank_of_run.py:_failure": "this rank's own pickle",
    "bindings/python/farandole/_rank_of_run.py:_receive": "the length of what the caller sends",
    "bindings/python/farandole/_rank_of_run.py:main": "what the caller of run() says",
    "bindings/python/farandole/timeline.py:_list": "as for _parse",
    "bindings/python/farandole/timeline.py:_parse": "files that the user names; what is no "
    "timeline is refused",
    "core/session_timeline.cc:clock_name": "a line of the kernel's",
    "bindings/python/farandole/running.py:_Job": "pickle of its own ranks, whole by its sum",
    "bindings/python/farandole/running.py:_cause": "the same",
    "bindings/python/farandole/running.py:_result": "the same",
    "bindings/python/farandole/objects.py:_size_in": "a number, of which any is right: there is no "
    "memory for one too large (tests/multiprocess/programs/mismatch.py)",
    "bindings/python/farandole/objects.py:_unpack": "pickle, of ranks of the job alone",
    "bindings/python/farandole/objects.py:share_object": "likewise",
    "collectives/gloo/transport/link_io.cc:Link::read": "bytes for Link::parse",
    "collectives/gloo/transport/link_io.cc:Link::discard": "bytes that nobody looks at",
    "collectives/gloo/transport/mesh.cc:Mesh::turn": "the number of an eventfd of its own",
    "collectives/gloo/transport/peer_handshake.cc:PeerHandshake::read_in": "bytes for auth.cc",
    "collectives/shm/handover.cc:take_parcel": "a descriptor, and one byte that nobody looks at",
    "collectives/shm/handover.cc:HandoverServer::serve_one": "compared with the token, no more",
    "collectives/shm/segment.cc:available_bytes": "the kernel's /proc/meminfo",
    "controller/launch/addresses.cc:parse_endpoint": "an address and a port, of a launcher that "
    "has proved itself to sshd (Addresses.AHeldPortIsReachedWhileItListens)",
    "controller/launch/channel.cc:Channel::receive": "a datagram for decode_message",
    "controller/launch/fd.cc:close_one_by_one": "the kernel's names of its own descriptors",
    "controller/launch/job_loop.cc:JobLoop::read_input": "bytes for line_assembler.cc",
    "controller/launch/process_tree.cc:number_at": "of parse_stat",
    "controller/launch/process_tree.cc:read_stat": "bytes for parse_stat",
    "controller/launch/process_tree.cc:parse_stat": "the kernel's numbers behind a program's name, "
    "which may be anything (ParseStat.TakesAnyProgramName)",
    "controller/launch/signals.cc:SignalReader::next": "a struct of the kernel's",
    "controller/launch/spawn.cc:read_exec_result": "the number of an error, of its own child",
    "controller/launch/outpost.cc:Outpost::read_output": "bytes of ranks, for FrameReader",
    "controller/launch/outpost_link.cc:OutpostLink::read_some": "bytes for FrameReader",
    "controller/launch/remote_host.cc:RemoteHost::read_errors": "text for ssh_failure",
    "controller/launch/remote_hosts.cc:RemoteHosts::pass_input": "bytes of the user's, for rank 0",
    "controller/launch/text_file.cc:read_text_file": "text for hostfile.cc and config_file.cc",
    "core/base/cgroup.cc:read_file": "text for parse_cpu_max and its like",
    "core/base/config.cc:environment_value": "text for Config::from",
    "core/base/config.cc:foreign_launcher": "whether a variable is a number above 1",
    "core/base/failpoint.cc:Order": "the order of a test; in no release",
    "core/base/failpoint.cc:error_at": "likewise",
    "core/base/secret.cc:Secret::from_file": "32 bytes, of which any are right",
    "core/net/connection.cc:Connection::Impl::read": "bytes for framing.cc",
    "core/net/endpoint.cc:SocketAddress::endpoint": "what getnameinfo wrote",
    "core/net/fd_io.cc:receive_some": "bytes for auth.cc",
    "core/net/heartbeat.cc:Heartbeat::Impl::read": "bytes for framing.cc",
    "core/net/heartbeat.cc:Heartbeat::Impl::on_body": "one byte that says whether a process card "
    "follows (process_card.cc)",
    "core/net/listener.cc:Listener::Impl::shake": "bytes for auth.cc",
    "core/net/process_card.cc:boot_id": "36 bytes of the kernel's",
}


def decoders() -> dict[str, tuple[str, ...]]:
    """DECODERS of decoder_coverage.py, which runs where only the fuzzers are built."""
    for statement in ast.parse(COVERAGE.read_text()).body:
        if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.target) == "DECODERS":
            assert statement.value is not None
            found: dict[str, tuple[str, ...]] = ast.literal_eval(statement.value)
            return found
    raise AssertionError("no DECODERS")


def plain(mangled: str) -> str:
    """ "Link5parse" as it is written: Link::parse."""
    name = re.match(r"([A-Za-z_]+)(\d+)(\w+)$", mangled)
    return f"{name[1]}::{name[3]}" if name and int(name[2]) == len(name[3]) else mangled


def readers(text: str) -> Iterator[str]:
    """The functions, or the types with code of their own, that have a sign."""
    where = ""
    for line in text.splitlines():
        defined = DEFINITION.match(line)
        if defined:
            where = next(name for name in defined.groups() if name)
        code = re.sub(r"(?://|(?<!\S)#).*", "", line)
        if SIGN.search(code) or (defined and READER.search(where)):
            yield where


def strangers(file: str, text: str, fuzzed: dict[str, tuple[str, ...]]) -> set[str]:
    """What reads in a file and is neither fuzzed nor excused."""
    names = {plain(name) for name in fuzzed.get(file, ())}
    if file in fuzzed and not names:
        return set()
    found = {f"{file}:{where}" for where in readers(text) if not names & {where}}
    return found - NOT_FUZZED.keys()


def sources() -> list[str]:
    tops = ("bindings", "collectives", "controller", "core")
    return tracked(*(f"{top}/*{end}" for top in tops for end in (".cc", ".py")))


def test_every_reader_is_fuzzed_or_excused() -> None:
    fuzzed = decoders()
    found = {s for file in sources() for s in strangers(file, (ROOT / file).read_text(), fuzzed)}
    assert found == set()


def test_every_excuse_is_needed() -> None:
    there = {
        f"{file}:{where}" for file in sources() for where in readers((ROOT / file).read_text())
    }
    assert NOT_FUZZED.keys() - there == set()


def test_every_decoder_is_a_file_with_such_functions() -> None:
    for file, names in decoders().items():
        text = (ROOT / file).read_text()
        for name in map(plain, names):
            assert re.search(rf"\b{name}\(", text), f"{file} has no {name}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Result<Host> parse_host(std::string_view text) {\n", "parse_host"),
        ("bool Peer::decode(ByteSpan from) {\n", "Peer::decode"),
        ("int slots_of(const std::string& text) {\n  return std::stoi(text);\n", "slots_of"),
        ('void Peer::hear() {\n  FARANDOLE_FAIL_CALL(\n      "peer.recv", x);\n', "Peer::hear"),
        ("asio::awaitable<void> Peer::run() {\n  async_read_some(\n", "Peer::run"),
        ("struct Order {\n  static Order of() {\n    std::getenv(x);\n", "Order"),
        ("def told(field):\n    return int.from_bytes(field)\n", "told"),
        ("void write_all(int fd) {\n  // from_chars( is not for this\n  readable(fd);\n", ""),
    ],
)
def test_the_check_notices(text: str, found: str) -> None:
    wanted = {f"core/a.cc:{found}"} if found else set()
    assert strangers("core/a.cc", text, {}) == wanted
    assert strangers("core/a.cc", text, {"core/a.cc": ()}) == set()
    assert strangers("core/a.cc", text, {"core/a.cc": ("another",)}) == wanted


def test_names_of_functions_are_read_as_the_compiler_writes_them() -> None:
    assert [plain(n) for n in ("Link5parse", "utf8_length", "parse_endpoint")] == [
        "Link::parse",
        "utf8_length",
        "parse_endpoint",
    ]


def test_docs_say_where_files_of_users_are_read() -> None:
    text = (ROOT / "docs/launcher.md").read_text()
    for file in ("hosts.cc", "hostfile.cc", "config_file.cc"):
        assert f"controller/launch/{file}" in text
        assert f"controller/launch/{file}" in decoders()
