"""What the shop keeps: its customers' numbers, their orders, and how the text about each order stands."""

from django.contrib.auth.models import User
from django.db import models


class Customer(models.Model):  # noqa: DJ008
    user = models.OneToOneField(User, models.CASCADE)
    number = models.CharField(max_length=32)


class Order(models.Model):  # noqa: DJ008
    customer = models.ForeignKey(Customer, models.CASCADE)
    item = models.CharField(max_length=80)
    paid = models.BooleanField(default=False)
    text_status = models.CharField(max_length=20, default="on its way")
    """Written by Sendline's events, and here where the text could not be handed over."""
