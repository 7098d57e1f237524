"""The connections of `protocol` over any transport: one asks, the other one can act as well."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

from kubexms.errors import ConnectionFailed, HostBusy, Interrupted, ProtocolError, Unreachable
from kubexms.runtime.acting import ActSession
from kubexms.runtime.asking import Asking
from kubexms.runtime.become import Become, open_shell
from kubexms.runtime.exchanging import INLINE_LIMIT, payload_size
from kubexms.runtime.framing import new_marker
from kubexms.runtime.protocol import Exchange, Fragment, Outcome, Payload, Reply, RunIdentity, unheard
from kubexms.runtime.transport import ByteChannel, Transport
from kubexms.runtime.uploading import Upload

Clock = Callable[[], float]
Pause = Callable[[float], None]

_REOPEN_WAIT = 60.0
"""Seconds that a new shell after a lost one waits for the host's lock."""


class ShellReader:
    """A `ReadOnlyConnection` over a transport. Not thread-safe, but for `interrupt`."""

    def __init__(
        self,
        host: str,
        transport: Transport,
        *,
        become: Become | None = None,
        connect_timeout: float = 10.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._host = host
        self._transport = transport
        self._become = become
        self._connect_timeout = connect_timeout
        self._clock = clock
        self._channel: ByteChannel | None = None
        self._prepared: ByteChannel | ConnectionFailed | None = None
        self._interrupted = False

    @property
    def host(self) -> str:
        """The inventory's name of the host."""
        return self._host

    def prepare(self) -> None:
        """See `protocol.ReadOnlyConnection.prepare`."""
        try:
            self._prepared = self._open(self._clock() + 3 * self._connect_timeout)
        except ConnectionFailed as error:
            self._prepared = error

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        """See `protocol.ReadOnlyConnection.ask`."""
        began = self._clock()
        until = began + deadline
        marker = new_marker()
        self._interrupted = False
        with self._using(self._ready() or self._open(until)) as channel:
            asking = Asking(channel, fragments, marker=marker, until=until, clock=self._clock)
            try:
                answers = asking.run()
            except ProtocolError as error:
                self._check_alive()
                raise ProtocolError(f"{self._host}: {error.summary}", detail=error.detail) from None
            if asking.cut_short:
                self._check_alive()
        if self._interrupted:
            raise Interrupted(f"{self._host}: stopped while it was being asked")
        return Reply(answers, self._clock() - began)

    def _check_alive(self) -> None:
        """A channel has ended early: tell a lost connection from a lost shell."""
        if not self._interrupted and not self._transport.alive():
            raise Unreachable(
                f"{self._host}: the connection was lost while the host was being asked",
                detail="The host or the network went away just then: try again.",
            )

    @contextlib.contextmanager
    def _using(self, channel: ByteChannel) -> Iterator[ByteChannel]:
        self._channel = channel
        try:
            yield channel
        finally:
            self._channel = None
            channel.close()

    def _ready(self) -> ByteChannel | None:
        """What was prepared, once, if it has not ended since. Raises what went wrong with it."""
        prepared, self._prepared = self._prepared, None
        if isinstance(prepared, ConnectionFailed):
            raise prepared
        if prepared is not None and prepared.receive(0.0).ended:
            prepared.close()
            return None
        return prepared

    def _open(self, until: float) -> ByteChannel:
        self._interrupted = False
        try:
            return open_shell(self._transport, self._become, until=until, clock=self._clock)
        except ConnectionFailed as error:
            if error.summary.startswith(self._host):
                raise
            raise type(error)(f"{self._host}: {error.summary}", detail=error.detail) from error

    def interrupt(self) -> None:
        """End what runs on the host for this connection now; callable from any thread."""
        self._interrupted = True
        channel = self._channel
        if channel is not None:
            channel.abort()

    def close(self) -> None:
        """Release everything; safe to call twice."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and not isinstance(prepared, ConnectionFailed):
            prepared.close()
        self._transport.close()


class ShellConnection(ShellReader):
    """A `Connection` over a transport. Not thread-safe, but for `interrupt`."""

    def __init__(
        self,
        host: str,
        transport: Transport,
        *,
        become: Become | None = None,
        connect_timeout: float = 10.0,
        clock: Clock = time.monotonic,
        pause: Pause = time.sleep,
    ) -> None:
        super().__init__(host, transport, become=become, connect_timeout=connect_timeout, clock=clock)
        self._pause = pause
        self._session: ActSession | None = None
        self._run: RunIdentity | None = None
        self._shared = False
        self._uploads = 0

    def begin(
        self,
        run: RunIdentity,
        *,
        wait: float,
        shared: bool = False,
        waiting: Callable[[HostBusy], None] = unheard,
    ) -> None:
        """See `protocol.Connection.begin`."""
        self._run = run
        self._shared = shared
        self._open_session(wait=wait, waiting=waiting)

    def _open_session(self, *, wait: float, waiting: Callable[[HostBusy], None] = unheard) -> ActSession:
        if self._run is None:
            raise AssertionError("begin() comes before act() and upload()")
        self._drop_session()
        channel = self._open(self._clock() + 3 * self._connect_timeout)
        session = ActSession(channel, host=self._host, marker=new_marker(), clock=self._clock)
        try:
            session.start(until=self._clock() + 3 * self._connect_timeout)
            if self._shared:
                session.share(until=self._clock() + wait)
            else:
                session.lock(self._run, until=self._clock() + wait, pause=self._pause, waiting=waiting)
        except BaseException:
            session.close()
            raise
        self._session = session
        return session

    def _ready_session(self) -> ActSession:
        if self._session is not None and not self._session.broken:
            return self._session
        return self._open_session(wait=_REOPEN_WAIT)

    def act(self, exchange: Exchange) -> Outcome:
        """See `protocol.Connection.act`."""
        session = self._ready_session()
        staged = {
            name: self.upload(payload, name=name)
            for name, payload in exchange.action.payloads.items()
            if payload_size(payload) > INLINE_LIMIT
        }
        try:
            return session.exchange(exchange, staged=staged)
        finally:
            if session.broken:
                self._drop_session()

    def upload(self, source: Payload, *, name: str) -> str:
        """See `protocol.Connection.upload`. Raises `ActionFailed` if the host could not store it."""
        session = self._ready_session()
        self._uploads += 1
        path = f"{session.directory}/payload.{self._uploads}"
        with self._using(self._open(self._clock() + self._connect_timeout)) as channel:
            Upload(channel, host=self._host, clock=self._clock).send(source, path, name=name)
        return path

    def reconnect(self, *, timeout: float) -> None:
        """See `protocol.Connection.reconnect`. The run's lock is taken again if `begin` was called."""
        limit = self._clock() + timeout
        delay = 0.5
        while True:
            self._drop_session()
            self._transport.close()
            try:
                if self._run is None:
                    with self._using(self._open(min(limit, self._clock() + self._connect_timeout))):
                        return
                self._open_session(wait=max(0.0, limit - self._clock()))
                return
            except (Unreachable, ProtocolError):
                if self._clock() + delay >= limit:
                    raise
            self._pause(delay)
            delay = min(delay * 1.5, 5.0)

    def interrupt(self) -> None:
        """End what runs on the host for this connection now; callable from any thread."""
        super().interrupt()
        session = self._session
        if session is not None:
            session.interrupt()

    def close(self) -> None:
        """Let go of the host's lock and release everything; safe to call twice."""
        self._drop_session()
        super().close()

    def _drop_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()
