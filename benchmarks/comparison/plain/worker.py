"""What `celery -A comparison.plain.worker worker` runs."""

import json
import os

from comparison.plain.sending import make_app

app = make_app(os.environ["REDIS_URL"], os.environ["SMS_URL"], json.loads(os.environ["SMS_HEADERS"]))
