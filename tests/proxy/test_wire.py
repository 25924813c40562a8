"""The byte gate against a raw corpus, any split of the bytes, and both HTTP parsers behind it."""

from dataclasses import dataclass, field

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wicketd.proxy.wire import Action, Phase, Refuse, Wire, bare_response

MAX_BODY = 64
HOST = b"Host: localhost:8650\r\n"


def head(*fields: bytes, line: bytes = b"POST /mcp HTTP/1.1", host: bytes = HOST) -> bytes:
    return line + b"\r\n" + host + b"".join(one + b"\r\n" for one in fields) + b"\r\n"


def sized(body: bytes, *fields: bytes) -> bytes:
    return head(b"Content-Length: %d" % len(body), *fields) + body


def chunked(framing: bytes, *fields: bytes) -> bytes:
    return head(b"Transfer-Encoding: chunked", *fields) + framing


def path(target: bytes) -> bytes:
    return head(line=b"GET " + target + b" HTTP/1.1")


# -- the corpus: case -> bare status, None = passed on whole ----------------------------------

GOOD: dict[str, bytes] = {
    "typical post": sized(b'{"a":1}', b"Content-Type: application/json", b"Accept: */*"),
    "no body": head(line=b"GET /mcp HTTP/1.1"),
    "empty body": sized(b""),
    "delete": head(line=b"DELETE /mcp HTTP/1.1"),
    "http 1.0": head(b"Content-Length: 2", line=b"POST /mcp HTTP/1.0") + b"{}",
    "http 1.0 keep-alive is still one request": head(
        b"Connection: keep-alive", line=b"GET /mcp HTTP/1.0"
    ),
    "connection close": sized(b"{}", b"Connection: close"),
    "field without value": sized(b"{}", b"X-Empty:"),
    "field with tab": sized(b"{}", b"X-Tab:\ta\tb"),
    "obs-text value": sized(b"{}", b"X-Latin: caf\xe9"),
    "utf-8 value": sized(b"{}", "X-Utf: café".encode()),
    "no space after colon": sized(b"{}", b"X-A:1"),
    "odd token name": sized(b"{}", b"x!#$%&'*+-.^_`|~9: 1"),
    "upper-case names": head(b"CONTENT-LENGTH: 2", b"CONTENT-TYPE: application/json") + b"{}",
    "expect": sized(b"{}", b"Expect: 100-continue"),
    "expect in any case": sized(b"{}", b"Expect: 100-Continue"),
    "one chunk": chunked(b"2\r\n{}\r\n0\r\n\r\n"),
    "chunks": chunked(b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n"),
    "chunk with leading zeros": chunked(b"000002\r\n{}\r\n000000\r\n\r\n"),
    "chunk size in hex": chunked(b"a\r\n0123456789\r\n0\r\n\r\n"),
    "chunk size in upper-case hex": chunked(b"A\r\n0123456789\r\n0\r\n\r\n"),
    "no chunk": chunked(b"0\r\n\r\n"),
    "chunked in any case": head(b"transfer-encoding: Chunked") + b"0\r\n\r\n",
    "body at the cap": sized(b"x" * MAX_BODY),
    "chunks at the cap": chunked(
        b"20\r\n" + b"x" * 32 + b"\r\n20\r\n" + b"x" * 32 + b"\r\n0\r\n\r\n"
    ),
    "host name": head(host=b"Host: wicket.example.org\r\n", line=b"GET / HTTP/1.1"),
    "host ip": head(host=b"Host: 127.0.0.1:8650\r\n", line=b"GET / HTTP/1.1"),
    "host v6": head(host=b"Host: [::1]:8650\r\n", line=b"GET / HTTP/1.1"),
    "host v6 without port": head(host=b"Host: [::1]\r\n", line=b"GET / HTTP/1.1"),
    "host upper case": head(host=b"HOST: LOCALHOST\r\n", line=b"GET / HTTP/1.1"),
    "root": path(b"/"),
    "trailing slash": path(b"/mcp/"),
    "query": path(b"/mcp?a=b&c=%2e%2e//"),
    "query with backslash": path(b"/mcp?a=\\"),
    "empty query": path(b"/mcp?"),
    "dots in a segment": path(b"/.well-known/a..b/c."),
    "good escape": path(b"/a%20b%41"),
    "sub-delims": path(b"/a!$&'()*+,;=:@b-._~"),
    "two accept headers": sized(b"{}", b"Accept: a/b", b"Accept: c/d"),
    "two authorization headers are the route's business": sized(
        b"{}", b"Authorization: Bearer a", b"Authorization: Bearer b"
    ),
    "two mcp-name headers are the ladder's business": sized(b"{}", b"Mcp-Name: a", b"Mcp-Name: b"),
    "64 fields": head(*[b"X-%d: 1" % n for n in range(63)], line=b"GET /mcp HTTP/1.1"),
    "head of 16 KiB": head(
        b"X: " + b"a" * (16384 - len(head(b"X: ", line=b"GET / HTTP/1.1"))),
        line=b"GET / HTTP/1.1",
    ),
    "put": head(line=b"PUT /mcp HTTP/1.1"),
    "patch": head(line=b"PATCH /mcp HTTP/1.1"),
    "head": head(line=b"HEAD /mcp HTTP/1.1"),
    "options": head(line=b"OPTIONS /mcp HTTP/1.1"),
    "two requests": sized(b"{}") + sized(b"[]"),
    "request after chunks": chunked(b"2\r\n{}\r\n0\r\n\r\n") + sized(b"[]"),
}

BAD: dict[str, tuple[int, bytes]] = {
    "tls hello": (400, b"\x16\x03\x01\x02\x00\x01\x00"),
    "nul alone": (400, b"\x00"),
    "leading empty line": (400, b"\r\n" + sized(b"{}")),
    "leading space": (400, b" " + sized(b"{}")),
    "bare LF everywhere": (400, b"GET /mcp HTTP/1.1\nHost: a\n\n"),
    "bare LF in the request line": (400, b"GET /mcp HTTP/1.1\nHost: a\r\n\r\n"),
    "bare LF in a field": (400, head(b"X: a\nY: b")),
    "bare LF at the end": (400, b"GET /mcp HTTP/1.1\r\nHost: a\r\n\n"),
    "bare CR in a value": (400, head(b"X: a\rb")),
    "bare CR in the request line": (400, head(line=b"GET /mcp\r HTTP/1.1")),
    "CR CR LF": (400, head(b"X: a\r")),
    "obs-fold": (400, head(b"X: a", b" b")),
    "obs-fold with tab": (400, head(b"X: a", b"\tb")),
    "fold before the first field": (400, b"GET /mcp HTTP/1.1\r\n Host: a\r\n\r\n"),
    "space before colon": (400, head(b"X : a")),
    "tab before colon": (400, head(b"X\t: a")),
    "space in a name": (400, head(b"X Y: a")),
    "empty name": (400, head(b": a")),
    "no colon": (400, head(b"abc")),
    "no host": (400, head(host=b"", line=b"GET /mcp HTTP/1.1")),
    "no host in 1.0": (400, head(host=b"", line=b"GET /mcp HTTP/1.0")),
    "two hosts": (400, head(HOST[:-2])),
    "two equal hosts in other case": (400, head(b"HOST: localhost:8650")),
    "te in 1.0": (400, head(b"Transfer-Encoding: chunked", line=b"POST /mcp HTTP/1.0")),
    "cl and te": (400, head(b"Content-Length: 2", b"Transfer-Encoding: chunked")),
    "te and cl": (400, head(b"Transfer-Encoding: chunked", b"Content-Length: 2")),
    "cl and unknown te": (400, head(b"Transfer-Encoding: gzip", b"Content-Length: 2")),
    "two content-lengths": (400, head(b"Content-Length: 2", b"Content-Length: 3") + b"{}"),
    "two equal content-lengths": (400, head(b"Content-Length: 2", b"Content-Length: 2") + b"{}"),
    "two content-types": (400, sized(b"{}", b"Content-Type: a/b", b"Content-Type: a/b")),
    "two origins": (400, sized(b"{}", b"Origin: a", b"Origin: b")),
    "two cookies": (400, sized(b"{}", b"Cookie: a", b"Cookie: b")),
    "two session ids": (400, sized(b"{}", b"Mcp-Session-Id: a", b"mcp-session-id: b")),
    "expect other": (417, sized(b"{}", b"Expect: 200-ok")),
    "expect empty": (417, sized(b"{}", b"Expect:")),
    "expect twice": (417, sized(b"{}", b"Expect: 100-continue", b"Expect: 100-continue")),
    "body over the cap": (413, head(b"Content-Length: %d" % (MAX_BODY + 1))),
    "body of 10 digits": (413, head(b"Content-Length: 9999999999")),
    "chunk over the cap": (413, chunked(b"41\r\n")),
    "chunks over the cap": (413, chunked(b"20\r\n" + b"x" * 32 + b"\r\n21\r\n")),
    "chunk of ffffff": (413, chunked(b"ffffff\r\n")),
    "http 0.9": (505, b"GET /mcp\r\n"),
    "http 2 preface": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "version 1.2": (505, head(line=b"GET /mcp HTTP/1.2")),
    "version 2": (505, head(line=b"GET /mcp HTTP/2")),
    "version 1.10": (505, head(line=b"GET /mcp HTTP/1.10")),
    "version 01.1": (505, head(line=b"GET /mcp HTTP/01.1")),
    "version 1": (505, head(line=b"GET /mcp HTTP/1")),
    "version 9.9": (505, head(line=b"GET /mcp HTTP/9.9")),
    "version empty": (505, head(line=b"GET /mcp HTTP/")),
    "version in lower case": (400, head(line=b"GET /mcp http/1.1")),
    "other protocol": (400, head(line=b"GET /mcp ICY/1.1")),
    "two spaces": (400, head(line=b"GET  /mcp HTTP/1.1")),
    "two spaces before the version": (400, head(line=b"GET /mcp  HTTP/1.1")),
    "tab as space": (400, head(line=b"GET\t/mcp\tHTTP/1.1")),
    "space behind the version": (400, head(line=b"GET /mcp HTTP/1.1 ")),
    "method alone": (400, b"GET\r\n"),
    "method with colon": (400, head(line=b"GE:T /mcp HTTP/1.1")),
    "connect": (501, head(line=b"CONNECT /mcp HTTP/1.1")),
    "trace": (501, head(line=b"TRACE /mcp HTTP/1.1")),
    "lower-case method": (501, head(line=b"get /mcp HTTP/1.1")),
    "unknown method": (501, head(line=b"FOO /mcp HTTP/1.1")),
    "propfind": (501, head(line=b"PROPFIND /mcp HTTP/1.1")),
    "65 fields": (431, head(*[b"X-%d: 1" % n for n in range(64)])),
    "1,000 fields": (431, head(*[b"X-%d: 1" % n for n in range(1000)])),
    "head over 16 KiB": (431, head(b"X: " + b"a" * 16384)),
    "request line without end": (431, b"GET /" + b"a" * 16384),
    "field without end": (431, b"GET / HTTP/1.1\r\nX: " + b"a" * 16384),
    "1 MB of header": (431, head(b"X: " + b"a" * 1_000_000)),
}
BAD |= {
    f"target {target!r}": (400, path(target))
    for target in (
        b"//", b"//mcp", b"/a//b", b"/mcp//", b"/mcp\\", b"/\\mcp", b"/mcp#", b"/mcp#a",
        b"/mcp?a#b",
        b"/%2e", b"/%2E%2e/mcp", b"/a%2fb", b"/a%2Fb", b"/a%5cb", b"/a%5Cb", b"/a%00", b"/a%25",
        b"/%252e", b"/.", b"/..", b"/./mcp", b"/../mcp", b"/mcp/.", b"/mcp/..", b"/mcp/../x",
        b"/x/.well-known/../mcp", b"/mcp/..?a", b"/%", b"/%4", b"/%zz", b"/%u0041", b"/a%2",
        b"http://a/mcp", b"https://a/mcp", b"mcp", b"*", b"a:80", b"?a", b"",
        b"/caf\xc3\xa9", b"/\xff",
        b'/"', b"/<", b"/>", b"/^", b"/`", b"/{a}", b"/|", b"/[", b"/mcp?\xff", b"/mcp?a b",
    )
}  # fmt: skip
BAD |= {
    f"host {host!r}": (400, head(host=b"Host: " + host + b"\r\n", line=b"GET /mcp HTTP/1.1"))
    for host in (
        b"", b"a b", b"a/b", b"x/health?", b"x?", b"x#", b"a@b", b"user:pw@a", b"a,b",
        b"a_b", b"a:",
        b"a:b", b"a:123456", b":80", b"[::1", b"::1", b"[g::1]", b"[::1]x", b"[::1%25eth0]", b"[]x",
        b"caf\xe9", b"a\\b", b"http://a", b"a;b", b"a'b", b"a%00", b"(a)", b"*", b"a..b/",
        b"a:80:80",
    )
}  # fmt: skip
BAD |= {
    f"length {length!r}": (400, head(b"Content-Length: " + length) + b"{}")
    for length in (
        b"", b"+2", b"-2", b"2 2", b"2,2", b"2, 2", b"0x2", b"2.0", b"two", b"1e1", b"12345678901",
        b"\xb2", b"2;", b"00000000002",
    )
}  # fmt: skip
BAD |= {
    f"coding {coding!r}": (501, head(b"Transfer-Encoding: " + coding) + b"0\r\n\r\n")
    for coding in (
        b"", b"gzip", b"gzip, chunked", b"chunked, chunked", b"chunked, gzip", b"identity",
        b"xchunked",
        b"chunked;a", b"chunked\x0b"[:7], b'"chunked"', b"chunked,", b",chunked", b"ch unked",
    )
    if coding != b"chunked"
}  # fmt: skip
BAD |= {
    "two codings": (
        501,
        head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    )
}
BAD |= {
    f"framing {framing!r}": (400, chunked(framing))
    for framing in (
        b"2;a=b\r\n{}\r\n0\r\n\r\n", b"2 \r\n{}\r\n", b" 2\r\n{}\r\n", b"+2\r\n{}\r\n",
        b"-2\r\n", b"0x2\r\n",
        b"0000002\r\n", b"\r\n", b"g\r\n", b"2\n{}\n0\n\n", b"2\r{}\r\n", b"2\r\n{}0\r\n\r\n",
        b"2\r\n{}\n0\r\n\r\n", b"2\r\n{}\r0\r\n\r\n", b"2\r\n{}x\r\n",
        b"0\r\nX: a\r\n\r\n", b"0\r\nx\r\n",
        b"0\r\n\n", b"0;a\r\n\r\n", b"2\r\r\n", b"\xef\xbc\x92\r\n",
    )
}  # fmt: skip
BAD |= {
    f"control {byte:#04x} in a value": (400, head(b"X: a" + bytes([byte]) + b"b"))
    for byte in (*range(0x09), 0x0B, 0x0C, 0x0E, 0x1B, 0x1F, 0x7F)
}
BAD |= {
    f"name with {byte!r}": (400, head(b"X" + byte + b"Y: a"))
    for byte in (b"(", b")", b"/", b"[", b"]", b"{", b"}", b"<", b">", b"@", b",", b";",
    b"=", b"?", b'"',
                 b"\\", b"\x80", b"\xff")
}  # fmt: skip


@dataclass
class Verdict:
    passed: bytes = b""
    status: int | None = None
    pieces: list[bytes] = field(default_factory=list)


def run(*parts: bytes, wire: Wire | None = None) -> Verdict:
    wire = wire or Wire(MAX_BODY)
    verdict = Verdict()
    actions: list[Action] = [action for part in parts for action in wire.feed(part)]
    for position, action in enumerate(actions):
        if isinstance(action, Refuse):
            assert position == len(actions) - 1, "a refusal is the last action"
            verdict.status = action.status
        else:
            assert action, "an empty piece says nothing"
            verdict.passed += action
            verdict.pieces.append(action)
    return verdict


def test_the_corpus_has_200_cases() -> None:
    assert len(GOOD) + len(BAD) >= 200


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("case", BAD)
def test_a_malformed_request_is_refused_with_its_bare_status(case: str) -> None:
    status, raw = BAD[case]
    verdict = run(raw)
    assert verdict.status == status
    # What went on before the refusal is at most a verified prefix, never the whole request.
    assert raw.startswith(verdict.passed)
    assert len(verdict.passed) < len(raw)


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("case", BAD)
def test_nothing_follows_a_refusal(case: str) -> None:
    wire = Wire(MAX_BODY)
    wire.feed(BAD[case][1])
    assert wire.feed(sized(b"{}")) == []
    assert wire.phase is Phase.CLOSED


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("case", GOOD)
def test_a_good_request_passes_byte_for_byte(case: str) -> None:
    verdict = run(GOOD[case])
    assert verdict.status is None
    assert verdict.passed == GOOD[case]


@pytest.mark.parametrize("case", [*GOOD, *BAD])
def test_byte_by_byte_gives_the_verdict_of_one_piece(case: str) -> None:
    raw = GOOD[case] if case in GOOD else BAD[case][1]
    raw = raw[:20_000]
    whole, drip = run(raw), run(*(raw[at : at + 1] for at in range(len(raw))))
    assert (whole.passed, whole.status) == (drip.passed, drip.status)


_CORPUS = [*GOOD.values(), *(raw for _, raw in BAD.values() if len(raw) < 20_000)]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_any_split_gives_the_same_verdict(data: st.DataObject) -> None:
    raw = b"".join(data.draw(st.lists(st.sampled_from(_CORPUS), min_size=1, max_size=3)))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, max(0, len(raw) - 1)))
        raw = raw[:at] + data.draw(st.binary(min_size=0, max_size=2)) + raw[at + 1 :]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    parts = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    whole, split = run(raw), run(*parts)
    assert (whole.passed, whole.status) == (split.passed, split.status)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=6))
def test_no_bytes_make_the_gate_raise(parts: list[bytes]) -> None:
    run(*parts)


# -- the parsers behind the gate ---------------------------------------------------------------


@dataclass
class Seen:
    """One request as a parser reads it."""

    method: bytes = b""
    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    is_complete: bool = False


class _Llhttp:
    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self.seen.append(Seen())

    def on_url(self, url: bytes) -> None:
        self.seen[-1].target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name, value = name.lower(), value.strip(b" \t")
        # h11 shows these two in one spelling.
        is_respelled = name in (b"transfer-encoding", b"expect")
        self.seen[-1].headers.append((name, value.lower() if is_respelled else value))

    def on_headers_complete(self) -> None:
        self.seen[-1].method = self.parser.get_method()
        httptools.parse_url(self.seen[-1].target)

    def on_body(self, body: bytes) -> None:
        self.seen[-1].body += body

    def on_message_complete(self) -> None:
        self.seen[-1].is_complete = True


def read_by_httptools(pieces: list[bytes]) -> list[Seen]:
    protocol = _Llhttp()
    for piece in pieces:
        protocol.parser.feed_data(piece)
    return protocol.seen


def read_by_h11(pieces: list[bytes]) -> list[Seen]:
    seen: list[Seen] = []
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    for piece in pieces:
        connection.receive_data(piece)
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                headers = [
                    (bytes(n), bytes(v).lower() if n == b"expect" else bytes(v))
                    for n, v in event.headers
                ]
                seen.append(Seen(bytes(event.method), bytes(event.target), headers))
            elif isinstance(event, h11.Data):
                seen[-1].body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                seen[-1].is_complete = True
                connection.send(h11.Response(status_code=200, headers=[(b"content-length", b"0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is h11.DONE and connection.their_state is h11.DONE:
                    connection.start_next_cycle()
                break
            else:
                break
    return seen


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("case", GOOD)
def test_both_parsers_read_what_passes_alike(case: str) -> None:
    pieces = run(GOOD[case]).pieces
    by_httptools, by_h11 = read_by_httptools(pieces), read_by_h11(pieces)
    assert by_httptools == by_h11
    assert [seen.is_complete for seen in by_httptools] == [True] * len(pieces)


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_both_parsers_agree_on_mutants_that_pass(data: st.DataObject) -> None:
    raw = data.draw(st.sampled_from(list(GOOD.values())))[:2000]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(raw) - 1)))
        raw = raw[:at] + data.draw(st.binary(min_size=0, max_size=2)) + raw[at + 1 :]
    verdict = run(raw)
    if verdict.status is None and verdict.pieces:
        assert read_by_httptools(verdict.pieces) == read_by_h11(verdict.pieces)


# -- a connection over time --------------------------------------------------------------------


def test_no_piece_spans_two_requests() -> None:
    first, second = sized(b"{}"), chunked(b"2\r\n[]\r\n0\r\n\r\n")
    assert run(first + second).pieces == [first, second]


def test_the_second_request_of_a_connection_is_checked_too() -> None:
    verdict = run(sized(b"{}") + head(b"X : a"))
    assert (verdict.passed, verdict.status) == (sized(b"{}"), 400)


def test_each_chunked_request_gets_the_whole_body_allowance() -> None:
    raw = GOOD["chunks at the cap"]
    assert run(raw + raw).passed == raw + raw


def test_each_request_gets_the_whole_head_allowance() -> None:
    wire = Wire()
    for _ in range(3):
        raw = head(b"X: " + b"a" * 10_000, line=b"GET /mcp HTTP/1.1")
        assert run(raw[:5_000], raw[5_000:], wire=wire).passed == raw


@pytest.mark.parametrize(
    "raw",
    [GOOD["http 1.0"], GOOD["connection close"], GOOD["http 1.0 keep-alive is still one request"]],
)
def test_bytes_behind_the_last_request_of_a_connection_are_swallowed(raw: bytes) -> None:
    wire = Wire(MAX_BODY)
    assert run(raw + sized(b"{}"), wire=wire).passed == raw
    assert wire.feed(b"\x00") == []


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("name", [b"Upgrade", b"UPGRADE", b"upgrade"])
def test_an_upgrade_offer_does_not_turn_the_body_into_a_request(name: bytes) -> None:
    hidden = head(line=b"GET /hidden HTTP/1.1")
    offer = name + b": h2c\r\n"
    raw = sized(hidden, b"Connection: Upgrade", offer[:-2], b"X-Upgrade: 1")
    verdict = run(raw)
    assert verdict.passed == raw.replace(offer, b"")
    assert [seen.body for seen in read_by_httptools(verdict.pieces)] == [hidden]
    assert read_by_httptools(verdict.pieces) == read_by_h11(verdict.pieces)


def test_the_phase_tells_which_deadline_runs() -> None:
    wire = Wire(MAX_BODY)
    assert (wire.phase, wire.heads) == (Phase.IDLE, 0)
    wire.feed(b"POST /mcp HTTP/1.1\r\n")
    assert (wire.phase, wire.heads) == (Phase.HEAD, 0)
    wire.feed(b"Host: a\r\nContent-Length: 2\r\n\r\n")
    assert (wire.phase, wire.heads) == (Phase.BODY, 1)
    wire.feed(b"{")
    assert wire.phase is Phase.BODY
    wire.feed(b"}")
    assert (wire.phase, wire.heads) == (Phase.IDLE, 1)


def test_a_body_is_passed_on_as_it_arrives() -> None:
    wire = Wire(MAX_BODY)
    wire.feed(head(b"Content-Length: 4"))
    assert wire.feed(b"ab") == [b"ab"]
    assert wire.feed(b"cd") == [b"cd"]


def test_a_refusal_is_a_bare_closing_answer() -> None:
    assert Refuse(431).response == bare_response(431)
    assert bare_response(400) == (
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
