"""What a load balancer asks."""


def test_the_process_says_that_it_lives(api):
    answer = api.client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_is_ready_once_the_ledger_answers(api):
    answer = api.client().get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
