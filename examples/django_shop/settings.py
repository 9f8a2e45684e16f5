"""All settings of the shop, and its WSGI application."""

import os
from pathlib import Path
from typing import Any

DEV = os.environ.get("SHOP_DEV") == "1"
HOST = os.environ.get("SHOP_HOST", "127.0.0.1") if DEV else os.environ["SHOP_HOST"]
SECRET_KEY = "for development only" if DEV else os.environ["SHOP_SECRET_KEY"]
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEV
SECURE_PROXY_SSL_HEADER = None if DEV else ("HTTP_X_FORWARDED_PROTO", "https")

ALLOWED_HOSTS = [HOST]
ROOT_URLCONF = "django_shop.views"
LOGIN_URL = "/"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django_shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(os.environ.get("SHOP_DB", "shop.sqlite3")),
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
USE_TZ = True
LOGGING = {  # Sendline's errors hold no number and no text
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"], "level": "INFO"},
}

WEBHOOK_SECRET = os.environ["SENDLINE_WEBHOOK_SECRET"]
"""The same as the workers'."""
WEBHOOK_URL = os.environ.get("SHOP_WEBHOOK_URL", "http://127.0.0.1:8000/sendline/")
"""Where Sendline's workers reach the shop."""


def application() -> Any:
    """Return what gunicorn serves."""
    from django.core.wsgi import get_wsgi_application  # noqa: PLC0415 - it reads the settings above

    return get_wsgi_application()
