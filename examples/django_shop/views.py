"""The shop's pages, and the webhook by which Sendline tells what became of a text."""

import logging
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import UserCreationForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template import engines
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from standardwebhooks import Webhook, WebhookVerificationError

from django_shop.models import Customer, Order
from sendline import Producer, SendlineError

log = logging.getLogger(__name__)
producer = Producer()  # one per process; it connects when it is used, so gunicorn may fork after this line


class Declined(Exception):
    """The card was declined."""


class SignUp(UserCreationForm):
    number = forms.RegexField(
        r"^\+[1-9][0-9]{7,14}$", error_messages={"invalid": "Write it as +13115552367."}
    )


class OrderForm(forms.Form):
    item = forms.CharField(max_length=80)
    card = forms.RegexField(r"^[0-9]{16}$")


@require_http_methods(["GET", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """Make an account, and welcome who made it."""
    form = SignUp(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            user = form.save()
            customer = Customer.objects.create(user=user, number=form.cleaned_data["number"])
            transaction.on_commit(lambda: welcome(customer), robust=True)
        login(request, user)
        return redirect("order")
    return page(request, "Sign up", form, status=422 if form.errors else 200)


@login_required
@require_http_methods(["GET", "POST"])
def order(request: HttpRequest) -> HttpResponse:
    """Take an order. Its text goes out once the order is there for good, and never without it."""
    form = OrderForm(request.POST or None)
    customer = get_object_or_404(Customer, user=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            placed = place_order(customer, form.cleaned_data["item"], form.cleaned_data["card"])
        except Declined:
            form.add_error("card", "Your card was declined.")
        else:
            return redirect("placed", placed.pk)
    return page(request, "Order", form, status=422 if form.errors else 200)


@transaction.atomic
def place_order(customer: Customer, item: str, card: str) -> Order:
    """Return the order, paid. Raises Declined: then there is no order, and no text about one."""
    placed = Order.objects.create(customer=customer, item=item)
    transaction.on_commit(lambda: tell_of(placed), robust=True)
    charge(card)
    placed.paid = True
    placed.save(update_fields=["paid"])
    return placed


def charge(card: str) -> None:
    """Stand in for a payment provider: cards that end in 2 are declined."""
    if card.endswith("2"):
        raise Declined


def tell_of(placed: Order) -> None:
    """Hand over the text about an order. Called again within a day, it is the same one: the id is its key."""
    try:
        producer.send(
            to=placed.customer.number,
            text=f"Thank you! Your order {placed.pk} is on its way.",
            idempotency_key=f"order-{placed.pk}",
            callback_url=settings.WEBHOOK_URL,
            metadata={"order": str(placed.pk)},
        )
    except SendlineError as error:  # the order stands all the same
        log.warning("the text about order %s was not accepted: %s", placed.pk, error)
        Order.objects.filter(pk=placed.pk).update(text_status="not sent")


def welcome(customer: Customer) -> None:
    """Hand over a text that nobody misses: where it can't be handed over, a line in the log will do."""
    producer.send(
        to=customer.number, text="Welcome to the shop!", idempotency_key=f"welcome-{customer.pk}", lane="bulk"
    )


@login_required
@require_safe
def placed(request: HttpRequest, number: int) -> HttpResponse:
    """Show one of the customer's own orders."""
    found = get_object_or_404(Order, pk=number, customer__user=request.user)
    return page(request, f"Order {found.pk}", shown=found)


@csrf_exempt  # the signature tells who calls
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    """Note how a message stands. An event may come twice, but those of one message come in order."""
    try:
        event = Webhook(settings.WEBHOOK_SECRET).verify(request.body, dict(request.headers))
    except (WebhookVerificationError, ValueError):  # ValueError: a header or a body that is no text at all
        return HttpResponse(status=401)
    order_id = event["data"].get("metadata", {}).get("order")
    if order_id is not None:
        Order.objects.filter(pk=order_id).update(text_status=event["data"]["status"])
    return HttpResponse(status=204)


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<h1>{{ title }}</h1>
{% if form %}
<form method="post">{% csrf_token %}{{ form.as_p }}<button>{{ title }}</button></form>
{% endif %}
{% if shown %}
<p>{{ shown.item }}, paid.</p>
<p>The text to {{ shown.customer.number }}: <b id="status">{{ shown.text_status }}</b></p>
<p><a href="">Look again</a> <a href="{% url 'order' %}">Order more</a></p>
{% endif %}
</html>"""


def page(
    request: HttpRequest, title: str, form: forms.Form | None = None, *, status: int = 200, **shown: Any
) -> HttpResponse:
    """Return the shop's page, with a form or with what is to be shown."""
    template = engines["django"].from_string(PAGE)
    return HttpResponse(template.render({"title": title, "form": form, **shown}, request), status=status)


urlpatterns = [
    path("", sign_up, name="sign_up"),
    path("orders/", order, name="order"),
    path("orders/<int:number>/", placed, name="placed"),
    path("sendline/", webhook, name="webhook"),
]
