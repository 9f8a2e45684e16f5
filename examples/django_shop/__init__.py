"""A shop that texts its customers when they sign up and when they order, and shows what became of each text.

Run it, from the folder above this one, with all of Sendline in another terminal, started with the same two
variables (it sends to a simulated provider):

    pip install 'sendline[worker,embedded]' django gunicorn
    export SENDLINE_WEBHOOK_SECRET=whsec_$(head -c 32 /dev/urandom | base64)
    export SENDLINE_WEBHOOK_ALLOW=127.0.0.1    # only because the shop is on this machine
    sendline up                                # the other terminal

    export DJANGO_SETTINGS_MODULE=django_shop.settings SHOP_DEV=1
    python -m django migrate --run-syncdb
    gunicorn --workers 2 'django_shop.settings:application()'

Then open http://127.0.0.1:8000, sign up with +13115552367, and order.

Without SHOP_DEV it wants SHOP_SECRET_KEY, SHOP_HOST and HTTPS, as in production.
"""
