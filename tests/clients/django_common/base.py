"""Settings that all projects have."""

SECRET_KEY = "of a test"
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
USE_TZ = True
TIME_ZONE = "UTC"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
# Warnings of requests answered 4xx and 5xx are wanted here: tests ask for them.
LOGGING = {"version": 1, "disable_existing_loggers": True}
