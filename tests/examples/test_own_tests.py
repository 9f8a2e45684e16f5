"""The examples' own tests, which show readers how to test such an app, pass as readers run them."""

import pytest

from hooked_app import SECRETS

pytestmark = pytest.mark.acceptance

PYTEST = ("-m", "pytest", "-q", "-c", "/dev/null", "--rootdir", ".", "-W", "error")
STARLETTE = ("-W", "ignore:Using `httpx` with `starlette.testclient`")  # its wish, not ours
PLUGIN = ("-p", "sendline_pytest", "-p", "no:cacheprovider")
ALONE = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}


@pytest.mark.parametrize(
    ("folder", "tests"),
    [
        ("fastapi_login", "test_app.py"),
        ("flask_notice", "test_app.py"),
        ("nightly_campaign", "test_nightly.py"),
    ],
)
def test_the_tests_of_an_example_pass_without_redis(example, folder, tests):
    ended = example(folder, **ALONE).run(*PYTEST, *STARLETTE, *PLUGIN, tests)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert " passed" in ended.stdout


def test_the_tests_of_the_shop_pass_without_redis(example, place):
    environment = {
        "DJANGO_SETTINGS_MODULE": "django_shop.settings",
        "SHOP_DEV": "1",
        "SENDLINE_REDIS_URL": "redis://unused",
        "SENDLINE_WEBHOOK_SECRET": SECRETS[0],
    }
    ended = example(".", **environment).run("-W", "error", "-m", "django", "test", "django_shop")
    assert ended.returncode == 0, ended.stderr
    assert "Ran 3 tests" in ended.stderr
