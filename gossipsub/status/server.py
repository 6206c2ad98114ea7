"""A small HTTP server for one host's status: GET alone, one request per connection.

h11 reads and writes HTTP, without I/O of its own, so the server runs in the host's event loop
under asyncio and trio, and every wait and every buffer has a bound. (`http.server` would need
threads, which a slow client holds for as long as it likes.)
"""

from __future__ import annotations

import hmac
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import anyio
from anyio.abc import SocketAttribute, SocketListener, SocketStream, TaskGroup

from gossipsub.status.answers import Answer, Answers, Conversation, error
from gossipsub.status.place import Place, is_own_name
from gossipsub.wire.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import h11

    from gossipsub.host import Host

logger = logging.getLogger("gossipsub.status")

REQUEST_TIMEOUT = 5.0
"""Seconds until the head of a request must be complete."""
WRITE_TIMEOUT = 10.0
"""Seconds until the system must take a piece of an answer."""
REQUEST_BYTES = 8192
"""Of a request's head."""
READ_BYTES = 4096
MAX_CONNECTIONS = 16
"""More at one time are closed at once."""
ACCEPT_PAUSE = 0.1

_ALWAYS = (
    ("Connection", "close"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


class StatusServer:
    """`async with StatusServer(host, "127.0.0.1:8080") as server: print(server.url)`.

    Serves a page for people at `/`, `host.snapshot()` at `/snapshot.json` and, where
    prometheus_client is installed, Prometheus metrics at `/metrics`; with `conversation` what
    agents say, at `/conversation` and, for programs, `/conversation.json`. Whoever can connect
    can read all of it, so it listens on the loopback interface unless told otherwise, and warns
    then. With `token` all but the pages is only for those who send it as a bearer token; a page,
    which itself holds nothing, takes it from behind the `#` of its address. Requests by another
    name than an IP address, `localhost` or one of `allowed_hosts` are refused, for the sake of
    browsers that strangers' pages lead here.

    Needs `pip install gossipsub[status]`. On opening: OSError where it cannot listen, ImportError
    without h11; LocalProtocolError for a wrong place or token, or a host that is not open.
    """

    def __init__(
        self,
        host: Host,
        listen: str = "127.0.0.1:0",
        *,
        token: str | None = None,
        allowed_hosts: Iterable[str] = (),
        conversation: Conversation | None = None,
    ) -> None:
        self._place = Place.parse(listen)
        if token is not None and not (isinstance(token, str) and token and token.isascii()):
            raise LocalProtocolError("a token is a non-empty ASCII text")
        self._token = None if token is None else token.encode()
        self._allowed = frozenset(name.lower() for name in allowed_hosts)
        self._host = host
        self._answers = Answers(host, conversation)
        self._exit: AsyncExitStack | None = None
        self._was_opened = False
        self._open_now = 0
        self._bound: Place | None = None

    @property
    def url(self) -> str:
        """Where it listens: `http://HOST:PORT/`. LocalProtocolError until it does."""
        if self._bound is None:
            raise LocalProtocolError("open the status server first: async with …")
        return f"http://{self._bound}/"

    async def __aenter__(self) -> Self:
        if self._was_opened:
            raise LocalProtocolError("a status server is opened once; make another")
        self._was_opened = True
        _library()
        self._host.statistics()  # tells where the host is not open
        async with AsyncExitStack() as stack:
            listener = await anyio.create_tcp_listener(
                local_host=self._place.host, local_port=self._place.port
            )
            stack.push_async_callback(listener.aclose)
            port = listener.extra(SocketAttribute.local_port)
            self._bound = Place(self._place.host, port)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            for each in listener.listeners:
                tasks.start_soon(self._accept, cast(SocketListener, each), tasks)
            stack.callback(tasks.cancel_scope.cancel)
            self._exit = stack.pop_all()
        if not self._place.is_loopback and self._token is None:
            logger.warning("the status is readable by whoever can connect url=%s", self.url)
        logger.info("serving the status url=%s", self.url)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        stack, self._exit = self._exit, None
        if stack is not None:
            # Without the application's error: it must not come out of here as part of a group.
            await stack.__aexit__(None, None, None)

    # -- one connection ----------------------------------------------------------------------

    async def _accept(self, listener: SocketListener, tasks: TaskGroup) -> None:
        while True:
            try:
                stream = await listener.accept()
            except anyio.ClosedResourceError:
                return
            except (OSError, anyio.BrokenResourceError) as problem:
                logger.warning("cannot accept connections error=%s", problem)
                await anyio.sleep(ACCEPT_PAUSE)
                continue
            if self._open_now >= MAX_CONNECTIONS:
                await anyio.aclose_forcefully(stream)
                continue
            self._open_now += 1
            tasks.start_soon(self._serve, stream)

    async def _serve(self, stream: SocketStream) -> None:
        try:
            await self._exchange(stream)
        except (TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError, OSError) as problem:
            logger.debug("a status request ended early error=%r", problem)
        except anyio.ClosedResourceError:
            return
        except Exception:
            logger.exception("a bug ended a status request")
        finally:
            self._open_now -= 1
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)

    async def _exchange(self, stream: SocketStream) -> None:
        http = _library()
        connection = http.Connection(http.SERVER, max_incomplete_event_size=REQUEST_BYTES)
        try:
            with anyio.fail_after(REQUEST_TIMEOUT):
                request = await _request(connection, stream)
            answer = await self._answer(request)
        except http.RemoteProtocolError as problem:
            answer = error(problem.error_status_hint, "bad request")
        headers = [("Content-Type", answer.kind), ("Content-Length", str(answer.length)), *_ALWAYS]
        response = http.Response(status_code=answer.status, headers=[*headers, *answer.headers])
        await _send(stream, connection.send(response))
        for piece in answer.pieces:
            await _send(stream, connection.send(http.Data(data=piece)))
        await _send(stream, connection.send(http.EndOfMessage()))
        await _read_off(stream)

    async def _answer(self, request: h11.Request) -> Answer:
        if request.method != b"GET":
            refusal = error(405, "GET alone is answered", ("Allow", "GET"))
            # No body may follow a head that was asked for alone.
            return replace(refusal, pieces=()) if request.method == b"HEAD" else refusal
        headers = dict(request.headers)
        if not is_own_name(headers.get(b"host", b""), self._allowed):
            return error(421, "not a name of this server; see allowed_hosts")
        path, _, query = request.target.decode("ascii").partition("?")
        is_page = path in ("/", "/conversation")
        if not is_page and not self._is_let_in(headers.get(b"authorization", b"")):
            return error(401, "the token is missing or wrong", ("WWW-Authenticate", "Bearer"))
        return await self._answers.to(path, query)

    def _is_let_in(self, authorization: bytes) -> bool:
        if self._token is None:
            return True
        scheme, _, given = authorization.partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self._token)


async def _request(connection: h11.Connection, stream: SocketStream) -> h11.Request:
    http = _library()
    while True:
        event = connection.next_event()
        if event is http.NEED_DATA:
            try:
                connection.receive_data(await stream.receive(READ_BYTES))
            except anyio.EndOfStream:
                connection.receive_data(b"")
        elif isinstance(event, http.Request):
            return cast("h11.Request", event)
        else:
            raise anyio.EndOfStream


async def _send(stream: SocketStream, data: bytes | None) -> None:
    if data:  # None is h11's word for nothing
        with anyio.fail_after(WRITE_TIMEOUT):
            await stream.send(data)


async def _read_off(stream: SocketStream) -> None:
    """Closed with bytes unread, the system would throw away what it still has to send."""
    with anyio.move_on_after(REQUEST_TIMEOUT):
        await stream.send_eof()
        try:
            for _ in range(REQUEST_BYTES // READ_BYTES):
                await stream.receive(READ_BYTES)
        except anyio.EndOfStream:
            return


def _library() -> Any:
    try:
        import h11
    except ImportError as problem:
        raise ImportError("the status server needs h11: pip install gossipsub[status]") from problem
    return h11
