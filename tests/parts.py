"""Settings of the parts that tests start."""

from sendline.settings import Settings


def quick_settings(**changes) -> Settings:
    """Settings with short waits, apart from the machine's environment."""
    return Settings.model_construct(
        _fields_set=set(),
        **{"retry_base": 0.5, "retry_max": 1.0, "call_timeout": 2.0, "processes": 2, **changes},
    )
