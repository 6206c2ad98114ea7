"""Fixtures for applications' tests: `pytest_plugins = ["gossipsub.testing.pytest_plugin"]`.

They work with anyio's pytest plugin, which comes with anyio, under both of its back ends:

    pytestmark = pytest.mark.anyio

    async def test_news_spread(gossipsub_mesh, virtual_time):
        mesh = await gossipsub_mesh(5, topic="news")
        await mesh.topics[0].publish(b"hello")
        with anyio.fail_after(5):
            assert (await anext(mesh.subscriptions[4])).data == b"hello"

It is loaded where it is asked for, and not by every pytest of an environment that has this
package installed: tests that have nothing to do with it should not pay for its import.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.util import find_spec
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskStatus

from gossipsub.testing.mesh import Mesh, mesh_of
from gossipsub.testing.virtual_time import is_virtual_backend, virtual_backend


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        "virtual_time_backends",
        "back ends of tests with the fixture virtual_time: asyncio, trio (default: installed ones)",
        type="args",
        default=["asyncio", "trio"] if find_spec("trio") else ["asyncio"],
    )
    parser.addini(
        "virtual_time_limit",
        "virtual seconds after which a test with the fixture virtual_time fails",
        default="3600",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with `virtual_time` has back ends of its own, unless it names some itself."""
    if "virtual_time" not in metafunc.fixturenames:
        return
    for mark in metafunc.definition.iter_markers("parametrize"):
        if "anyio_backend" in str(mark.args[0] if mark.args else mark.kwargs.get("argnames")):
            return
    names = metafunc.config.getini("virtual_time_backends")
    if not _is_async(metafunc.function):
        names = names[:1]  # it runs once: no loop has any part in it
    backends = [pytest.param(virtual_backend(name), id=f"{name}-virtual") for name in names]
    own = pytest.mark.parametrize("anyio_backend", backends, scope="module")
    metafunc.definition.add_marker(own)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """What waits in vain would go on for ever: no time passes by which somebody would notice."""
    function = pyfuncitem.obj
    if "virtual_time" in pyfuncitem.fixturenames and inspect.iscoroutinefunction(function):
        limit = float(pyfuncitem.config.getini("virtual_time_limit"))

        @functools.wraps(function)
        async def limited(**arguments: Any) -> None:
            ended: BaseException | None = None
            with anyio.move_on_after(limit) as scope:
                try:
                    await function(**arguments)
                except anyio.get_cancelled_exc_class() as cancelled:
                    ended = cancelled  # it tells where the test was
                    raise
            if scope.cancelled_caught:
                raise TimeoutError(f"not done after {limit} s of virtual time") from ended

        pyfuncitem.obj = limited


@pytest.fixture
def virtual_time(request: pytest.FixtureRequest, anyio_backend: object) -> None:
    """The test, and its other fixtures, run in virtual time: the clock jumps to the next deadline
    when nothing is left to do. See `gossipsub.testing.virtual_time`."""
    _require_async(request, "virtual_time")
    if not is_virtual_backend(anyio_backend):
        pytest.fail(
            "virtual_time needs a back end with virtual time where the test names one itself: "
            f"virtual_backend('asyncio') of gossipsub.testing.virtual_time, not {anyio_backend!r}",
            pytrace=False,
        )


@pytest.fixture
async def gossipsub_mesh(
    request: pytest.FixtureRequest, anyio_backend: object
) -> AsyncIterator[Callable[..., Awaitable[Mesh]]]:
    """`mesh = await gossipsub_mesh(5, topic="news")`: hosts that are connected, closed after the
    test. Takes what `gossipsub.testing.mesh.mesh_of` takes."""
    _require_async(request, "gossipsub_mesh")
    token = anyio.lowlevel.current_token()
    test_is_over = anyio.Event()
    async with anyio.create_task_group() as tasks:

        async def make(count: int, **options: Any) -> Mesh:
            if anyio.lowlevel.current_token() != token:
                raise RuntimeError(
                    "the test runs in another event loop than its fixtures: mark it with "
                    "pytest.mark.anyio and no other plugin's mark"
                )
            keep = functools.partial(_keep_open, count, test_is_over, **options)
            mesh: Mesh = await tasks.start(keep)
            return mesh

        yield make
        test_is_over.set()


async def _keep_open(
    count: int,
    test_is_over: anyio.Event,
    *,
    task_status: TaskStatus[Mesh] = anyio.TASK_STATUS_IGNORED,
    **options: Any,
) -> None:
    """In a task of its own: the hosts outlive the cancel scopes that the test may be in."""
    async with mesh_of(count, **options) as mesh:
        task_status.started(mesh)
        await test_is_over.wait()


def _require_async(request: pytest.FixtureRequest, fixture: str) -> None:
    """A mark for a whole module may reach tests that have no use for it; an argument may not."""
    function = request.function
    is_argument = fixture in inspect.signature(function).parameters
    if is_argument and not _is_async(function):
        pytest.fail(f"{fixture} is for tests that are coroutine functions", pytrace=False)


def _is_async(function: Callable[..., object]) -> bool:
    """What hypothesis wraps looks like a plain function, and anyio's plugin sees to it."""
    return inspect.iscoroutinefunction(function) or hasattr(function, "hypothesis")
