"""How the shop is tested: nothing is sent, and neither Redis nor a worker runs.

From the folder above this one, with the variables that its first lines name, but SENDLINE_REDIS_URL=redis://unused:

    python -m django test django_shop
"""

# ruff: noqa: ANN001, ANN201, PT009

from django.contrib.auth.models import User
from django.test import TestCase

from django_shop.models import Customer, Order
from sendline import LedgerUnavailable
from sendline.testing import recording

NUMBER = "+13115552367"
GOOD, DECLINED = "4111111111111111", "4111111111111112"


class Orders(TestCase):
    def setUp(self):
        self.outbox = self.enterContext(recording())
        user = User.objects.create_user("ada")
        Customer.objects.create(user=user, number=NUMBER)
        self.client.force_login(user)

    def order(self, card):
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post("/orders/", {"item": "A book", "card": card})

    def test_a_customer_is_told_of_an_order(self):
        self.order(GOOD)
        message = self.outbox.assert_sent(to=NUMBER, text_contains="Your order")
        self.assertEqual(message.metadata, {"order": str(Order.objects.get().pk)})

    def test_nobody_is_told_of_an_order_that_is_none(self):
        self.order(DECLINED)
        self.assertEqual(Order.objects.count(), 0)
        self.outbox.assert_nothing_sent()

    def test_an_outage_costs_no_order(self):
        self.outbox.fail_next(LedgerUnavailable("Redis is away"))
        self.order(GOOD)
        self.assertEqual(Order.objects.get().text_status, "not sent")
