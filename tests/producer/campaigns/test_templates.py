"""Templates: what they allow, what they refuse, and what they make of a recipient's values."""

import threading

import pytest

from sendline.campaigns.templates import RenderError, Template
from sendline.contract.errors import InvalidCampaign


def refusal(text):
    with pytest.raises(InvalidCampaign) as caught:
        Template(text)
    assert caught.value.field == "text"
    assert "\n" not in str(caught.value)
    return caught.value.problem


def fault(text, values):
    with pytest.raises(RenderError) as caught:
        Template(text).render(values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world!", "Hello, world!"),
        ("Hi {{ name }}!", "Hi ann lee!"),
        ("Hi {{name|title}}", "Hi Ann Lee"),
        ("{{ name|upper }} {{ name|capitalize }} {{ shout|lower }}", "ANN LEE Ann lee hey"),
        ("[{{ padded|trim }}]{{ name|trim('e') }}", "[x]ann l"),
        ("{{ empty|default('friend') }}|{{ empty|default('friend', true) }}", "|friend"),
        ("{{ nobody|default('friend') }}{{ nobody|d('!', boolean=true) }}{{ nobody|d }}", "friend!"),
        (
            "{{ name|truncate(5, true, '', 0) }}/{{ name|truncate(length=4, end='.', leeway=0) }}",
            "ann l/ann.",
        ),
        ("{{ name|replace('n', 'N') }}{{ name|replace('n', 'm', 1) }}", "aNN leeamn lee"),
        ("{{ price|int }} {{ price|float }} {{ price|round(1) }} {{ price|round|int }}", "12 12.75 12.8 13"),
        ("{{ price|round(1, 'floor') }} {{ name|int(0) }} {{ name|float('?') }}", "12.7 0 ?"),
        ("{{ url|urlencode }}", "a%20%26%20%C3%A9"),
        ("{# for staff #}a{# b #}c", "ac"),
        ("{% raw %}{{ name }} {# not a comment #}{% endraw %}", "{{ name }} {# not a comment #}"),
        ("a {{- name -}} b", "aann leeb"),
        ("one\r\ntwo\n", "one\ntwo\n"),
        ("# for x in y\n## x", "# for x in y\n## x"),
        ("100% {of} }} %} #} $name", "100% {of} }} %} #} $name"),
        ("{{ ﬁ }}{{ fi }}", "12"),
    ],
)
def test_a_template_renders_as_its_reader_expects(text, expected):
    values = {
        "name": "ann lee", "shout": "HEY", "padded": " x\t", "empty": "", "price": "12.75", "url": "a & é",
        "ﬁ": "1", "fi": "2", "unused": "{{ x }}",
    }  # fmt: skip
    assert Template(text).render(values) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ ''.__class__ }}", "a dot after a variable"),
        ("{{ x.__class__.__mro__ }}", "a dot after a variable"),
        ("{{ x['y'] }}", "brackets after a variable"),
        ("{{ x[0] }}", "brackets after a variable"),
        ("{{ x[1:] }}", "brackets after a variable"),
        ("{{ range(9) }}", "calls are not allowed"),
        ("{{ cycler('a') }}", "calls are not allowed"),
        ("{{ x() }}", "calls are not allowed"),
        ("{{ x|attr('y') }}", "no filter 'attr'"),
        ("{{ x|map('upper') }}", "no filter 'map'"),
        ("{{ x|upper.lower }}", "no filter 'upper.lower'"),
        ("{{ 9**9 }}", "operators"),
        ('{{ "a"*9 }}', "operators"),
        ("{{ x~y }}", "operators"),
        ("{{ x + y }}", "operators"),
        ("{{ -x }}", "operators"),
        ("{{ not x }}", "operators"),
        ("{{ x == y }}", "operators"),
        ("{{ x in y }}", "operators"),
        ("{{ x and y }}", "operators"),
        ("{{ name or 'friend' }}", "write {{ name|default('friend', true) }}"),
        ("{{ x if y else z }}", "write {{ name|default('friend', true) }}"),
        ("{{ x is defined }}", "tests"),
        ("{{ 'constant' }}", "must begin with a variable"),
        ("{{ 'constant'|upper }}", "must begin with a variable"),
        ("{{ 1 }}{{ true }}", "must begin with a variable"),
        ("{{ [x] }}", "must begin with a variable"),
        ("{{ {'a': x} }}", "must begin with a variable"),
        ("{{ x, y }}", "must begin with a variable"),
        ("{% for x in y %}{{ x }}{% endfor %}", "blocks"),
        ("{% if x %}a{% endif %}", "blocks"),
        ("{% set x = 1 %}", "blocks"),
        ("{% set x %}a{% endset %}", "blocks"),
        ("{% block x %}{% endblock %}", "blocks"),
        ("{% macro x() %}{% endmacro %}", "blocks"),
        ("{% call x() %}{% endcall %}", "blocks"),
        ("{% filter upper %}a{% endfilter %}", "blocks"),
        ("{% with x = 1 %}{% endwith %}", "blocks"),
        ("{% autoescape true %}{% endautoescape %}", "blocks"),
        ("{% include 'x' %}", "blocks"),
        ("{% import 'x' as y %}", "blocks"),
        ("{% from 'x' import y %}", "blocks"),
        ("{% extends 'x' %}", "blocks"),
        ("{% do x %}", "unknown tag 'do'"),
        ("{{ x|default(y) }}", "must be a constant"),
        ("{{ x|default(y.z) }}", "must be a constant"),
        ("{{ x|default(range(3)) }}", "must be a constant"),
        ("{{ x|default(none) }}", "must be a constant"),
        ("{{ x|truncate(-1) }}", "without a sign"),
        ("{{ x|upper(*y) }}", "upper, without arguments"),
        ("{{ x|upper(**y) }}", "upper, without arguments"),
        ("{{ x|upper(1) }}", "upper, without arguments"),
        ("{{ x|truncate(length=9, length=8) }}", "write truncate(length=255"),
        ("{{ x|truncate('a') }}", "write truncate(length=255"),
        ("{{ x|truncate(2) }}", "write truncate(length=255"),
        ("{{ x|truncate(s='y') }}", "write truncate(length=255"),
        ("{{ x|int|truncate }}", "write truncate(length=255"),
        ("{{ x|default(5)|truncate }}", "write truncate(length=255"),
        ("{{ x|default(true) }}", "write default('friend')"),
        ("{{ x|int(true) }}", "write int, or int(0)"),
        ("{{ x|replace('a') }}", "write replace('old', 'new')"),
        ("{{ x|trim(1) }}", "write trim"),
        ("{{ x|round(1, 'up') }}", "write round(precision=0"),
        ("{{ x|round(400, 'ceil') }}", "write round(precision=0"),
        ("{{ x|truncate(1601) }}", "larger than 1600"),
        ("{{ x|truncate(1e99) }}", "larger than 1600"),
        ("{{ x|truncate(9e999) }}", "larger than 1600"),
        ("{{ x|default('" + "a" * 1601 + "') }}", "larger than 1600"),
        (r"{{ x|default('\0') }}", "holds a NUL"),
        (r"{{ x|default('\ud800') }}", "half of a surrogate pair"),
        ("{{ x", "unexpected end of template"),
        ("{% for x in y %}", "blocks ({% ... %}) are not allowed, only {{ variables }}"),
        ("{{ }}", "Expected an expression"),
        ("{{ first name }}", "got 'name'"),
        ("Order {#12 is ready", "Missing end of comment"),
        ("{{ ٣.٣ }}", "is not Jinja2's syntax"),
        ("{{ " + "(" * 3000, "nested too deeply"),
        ("", "is empty"),
        (" \n{# only a comment #}", "is empty"),
        ("a\0b", "holds a NUL"),
        ("a\ud83d", "half of a surrogate pair"),
        ("a" * 1601, "1601 characters even without its variables; at most 1600"),
        ("{# " + "a" * 4000 + " #}b", "a template has at most 4000"),
        (None, "must be a text"),
        (b"bytes", "must be a text"),
    ],
)
def test_what_is_not_allowed_is_refused_in_one_clear_line(text, told):
    assert told in refusal(text)


def test_a_refusal_tells_the_line():
    assert refusal("one\ntwo {{ a }}\n{{ x.y }}").startswith("line 3: ")
    assert refusal("one\n{{ a|shout }}").startswith("line 2: ")
    assert refusal("one\n{% if %}").startswith("line 2: ")


def test_an_unknown_filter_is_told_with_its_neighbour_and_all_that_are_known():
    told = refusal("{{ name|uper }}")
    assert "'uper' (did you mean upper?)" in told
    for name in ("capitalize", "default", "int", "lower", "replace", "round", "title", "trim", "truncate"):
        assert name in told
    assert "did you mean" not in refusal("{{ name|xyzzy }}")


@pytest.mark.parametrize(
    ("text", "values", "told"),
    [
        ("Hi {{ name }}", {}, "name: is missing"),
        ("Hi {{ name }}", {"name": None}, "name: is missing"),
        ("Hi {{ name|upper|default('x') }}", {}, "name: is missing"),
        ("Hi {{ cycler }}{{ range }}", {"cycler": "a"}, "range: is missing"),
        ("Hi {{ name }}", {"name": 5}, "name: is not a text"),
        ("Hi {{ name|default('x') }}", {"name": 5}, "name: is not a text"),
        ("{{ age|int }}", {"age": "secret"}, "age: is not a number, for the filter int"),
        ("{{ age|int }}", {"age": "inf"}, "age: is not a number"),
        ("{{ age|int }}", {"age": ""}, "age: is not a number"),
        ("{{ age|float }}", {"age": "nan"}, "age: is not a number"),
        ("{{ age|float }}", {"age": "1e999"}, "age: is not a number"),
        ("{{ age|round }}", {"age": "secret"}, "age: is not a number"),
        ("{{ age|int|float }}", {"age": "9" * 400}, "age: is not a number"),
        ("{{ url|urlencode }}", {"url": "\ud800"}, "url: "),
        ("{{ a }}", {"a": "x" * 1601}, "a: is longer than the 1600 characters"),
        ("{{ a|trim }}", {"a": "x" * 20_000}, "a: is longer than the 16000 characters"),
        ("{{ a|replace('', 'xxxxxxxxxx') }}", {"a": "x" * 1600}, "a: grows too long"),
        ("{{ a }}{{ a }}", {"a": "x" * 1000}, "the text has 2000 characters; at most 1600"),
        ("{{ a }}", {"a": " \n"}, "the text is empty"),
        ("{{ a }} {{ b|default }}", {"a": ""}, "the text is empty"),
        ("{{ a }}", {"a": "x\0y"}, "the text holds a NUL"),
        ("{{ a }}", {"a": "x\udc00"}, "the text holds half of a surrogate pair"),
    ],
)
def test_a_recipient_whose_values_make_no_text_is_told_without_its_values(text, values, told):
    message = fault(text, values)
    assert message.startswith(told)
    assert "secret" not in message


@pytest.mark.parametrize(
    "value", ["{{ other }}", "{% raw %}", "{# x #}", "{{ 7*7 }}", "<b>&amp;</b>", "%(a)s {0} $a"]
)
def test_a_value_is_never_a_template_and_never_escaped(value):
    assert Template("a {{ x }} b").render({"x": value, "other": "leaked"}) == f"a {value} b"
    assert Template("a {{ x|trim }} b").render({"x": value, "other": "leaked"}) == f"a {value} b"


def test_growth_is_stopped_before_it_happens():
    chain = "|replace('x', 'xxxxxxxxxxxxxxxxxxxx')" * 80
    assert "grows too long" in fault("{{ a" + chain + " }}", {"a": "x"})


def test_a_long_value_may_be_made_short():
    assert Template("{{ a|truncate(20) }}").render({"a": "word " * 3000}) == "word word word..."
    text = "{{ a|replace('x', '0123456789012345678', 1)|truncate(9) }}"
    assert Template(text).render({"a": "x" * 1600}) == "012345..."


def test_a_template_tells_its_variables():
    template = Template("Hi {{ name|default('you') }} {{ code|upper }} {{ name }} {{ city|d('here') }}")
    assert template.variables == {"name", "code", "city"}
    assert template.required == {"name", "code"}
    assert not template.is_plain
    assert Template("Hello {# {{ name }} #}").is_plain
    assert Template("Hello").variables == frozenset()


def test_a_template_tells_which_characters_it_brings_itself():
    template = Template("ab{# z #}{{ y|default('c')|truncate(5, end='d')|replace('e', 'f') }}")
    assert template.brought == frozenset("abcdf")


def test_templates_of_equal_text_are_equal():
    assert Template("a {{ b }}") == Template("a {{ b }}")
    assert len({Template("a {{ b }}"), Template("a {{ b }}"), Template("a {{b}}")}) == 2
    assert Template("a") != "a"


def test_a_repr_does_not_show_the_text():
    assert repr(Template("secret {{ name }}")) == "<Template of 17 characters, variables: name>"


def test_one_template_serves_many_threads():
    template = Template("{{ a|upper }}-{{ b }}-{{ a }}")
    wrong = []

    def render(name):
        for number in range(2000):
            text = template.render({"a": f"x{name}", "b": str(number)})
            if text != f"X{name}-{number}-x{name}":
                wrong.append(text)

    threads = [threading.Thread(target=render, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
