"""The fixtures, in test modules of an application."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "testing.md"
PLUGIN = 'pytest_plugins = ["gossipsub.testing.pytest_plugin"]\n'


def run(pytester: pytest.Pytester, module: str, *, conftest: str = PLUGIN, ini: str = ""):
    pytester.makeini(f"[pytest]\n{ini}")
    pytester.makeconftest(conftest)
    pytester.makepyfile(f"import anyio, pytest\n\n{module}")
    return pytester.runpytest_inprocess("-v", "-p", "no:cacheprovider", "-W", "error")


def test_the_documents_example_passes_as_it_stands(pytester: pytest.Pytester) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    files = re.findall(r"^```python no-run\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [name for name, _ in files] == ["cache.py", "conftest.py", "test_cache.py"]
    for name, code in files:
        (pytester.path / name).write_text(code, encoding="utf-8")
    done = pytester.runpytest_subprocess("-v", "-W", "error", timeout=60)
    done.assert_outcomes(passed=4)
    done.stdout.fnmatch_lines(["*::test_what_one_forgets_all_forget[[]trio-virtual[]] PASSED*"])


def test_a_mesh_is_given_under_both_back_ends_in_real_and_in_virtual_time(pytester):
    module = """
pytestmark = pytest.mark.anyio

async def test_real(gossipsub_mesh):
    mesh = await gossipsub_mesh(2, topic="news")
    with anyio.fail_after(20):
        await mesh.topics[0].publish(b"hello")
        assert (await anext(mesh.subscriptions[1])).data == b"hello"

async def test_virtual(gossipsub_mesh, virtual_time):
    mesh = await gossipsub_mesh(2, topic="news")
    await anyio.sleep(600)
    await mesh.topics[0].publish(b"hello")
    assert (await anext(mesh.subscriptions[1])).data == b"hello"
"""
    done = run(pytester, module)
    done.assert_outcomes(passed=4)
    names = ("asyncio", "trio", "asyncio-virtual", "trio-virtual")
    assert all(f"[{name}] PASSED" in done.stdout.str() for name in names)


def test_hosts_outlive_the_scopes_in_which_they_were_made(pytester):
    module = """
pytestmark = pytest.mark.anyio

async def test_scopes(gossipsub_mesh, virtual_time):
    with anyio.fail_after(60):
        one = await gossipsub_mesh(2, topic="news")
    async with anyio.create_task_group():
        other = await gossipsub_mesh(2, seed=1)
    await one.topics[0].publish(b"hello")
    assert (await anext(one.subscriptions[1])).data == b"hello"
    assert len(other[0].peers()) == 1
"""
    run(pytester, module).assert_outcomes(passed=2)


def test_no_mark_is_needed_with_a_mesh(pytester):
    module = """
async def test_mesh(gossipsub_mesh, virtual_time):
    await gossipsub_mesh(1)
    await anyio.sleep(600)
"""
    run(pytester, module).assert_outcomes(passed=2)


def test_back_ends_and_the_limit_are_configured(pytester):
    module = """
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

async def test_within():
    await anyio.sleep(9)

async def test_beyond():
    await anyio.sleep(11)

def test_without_a_loop():
    pass
"""
    done = run(pytester, module, ini="virtual_time_backends = trio\nvirtual_time_limit = 10")
    done.assert_outcomes(passed=2, failed=1)
    lines = ["*await anyio.sleep(11)", "*TimeoutError: not done after 10.0 s of virtual time*"]
    done.stdout.fnmatch_lines(lines)
    assert "asyncio" not in re.sub("plugins:.*", "", done.stdout.str())


def test_a_test_without_a_loop_runs_once_where_a_whole_module_has_virtual_time(pytester):
    module = """
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]

def test_without_a_loop():
    pass
"""
    run(pytester, module).assert_outcomes(passed=1)


def test_a_test_of_hypothesis_has_virtual_time(pytester):
    module = """
from hypothesis import HealthCheck, given, settings, strategies

@pytest.mark.anyio
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seconds=strategies.integers(100, 1000))
async def test_sleep(virtual_time, seconds):
    began = anyio.current_time()
    await anyio.sleep(seconds)
    assert anyio.current_time() - began == pytest.approx(seconds)
"""
    run(pytester, module).assert_outcomes(passed=2)


def test_a_back_end_that_the_test_names_is_kept(pytester):
    module = """
from gossipsub.testing.virtual_time import virtual_backend

@pytest.mark.parametrize("anyio_backend", [virtual_backend("trio")], ids=["own"])
async def test_virtual(virtual_time):
    await anyio.sleep(600)

@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_real(virtual_time):
    pass
"""
    done = run(pytester, module)
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["virtual_time needs a back end with virtual time*not 'asyncio'*"])


def test_an_async_fixture_has_virtual_time_as_its_test(pytester):
    module = """
pytestmark = pytest.mark.anyio

@pytest.fixture
async def late():
    await anyio.sleep(600)
    yield anyio.current_time()
    await anyio.sleep(600)

async def test_late(late, virtual_time):
    assert 600 <= anyio.current_time() < 601
"""
    run(pytester, module).assert_outcomes(passed=2)


@pytest.mark.parametrize("fixture", ["gossipsub_mesh", "virtual_time"])
def test_a_test_that_is_no_coroutine_function_is_told_so(pytester, fixture):
    done = run(pytester, f"def test_plain({fixture}):\n    pass")
    assert done.parseoutcomes().keys() <= {"errors", "error"}
    done.stdout.fnmatch_lines([f"{fixture} is for tests that are coroutine functions"])


def test_a_test_in_another_event_loop_is_told_so(pytester):
    conftest = (
        PLUGIN
        + """
import asyncio, inspect, pytest

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    asyncio.run(pyfuncitem.function(**arguments))
    return True
"""
    )
    module = """
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_elsewhere(gossipsub_mesh):
    await gossipsub_mesh(2)
"""
    done = run(pytester, module, conftest=conftest)
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*the test runs in another event loop than its fixtures*"])


def test_wrong_arguments_are_told_where_they_are_given(pytester):
    module = """
async def test_nothing(gossipsub_mesh, virtual_time):
    with pytest.raises(ValueError, match="hosts"):
        await gossipsub_mesh(0)
"""
    run(pytester, module).assert_outcomes(passed=2)
