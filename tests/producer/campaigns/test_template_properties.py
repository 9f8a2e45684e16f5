"""Templates against Jinja2 itself, and against anything that anyone may write."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import Environment, StrictUndefined, TemplateError

from sendline.campaigns.templates import RenderError, Template
from sendline.contract.errors import InvalidCampaign

JINJA2 = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - no HTML
ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)
NAMES = st.sampled_from(["name", "code", "city"])

TOKENS = (
    st.sampled_from(["{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-}}", " ", "\n", "\r", "é", "%", "#", "|"])
    | st.sampled_from(
        ["raw", "endraw", "for", "in", "if", "else", "endif", "set", "is", "not", "or", "self", "loop"]
    )
    | st.sampled_from(
        ["x", "y", "range", "__class__", "none", "true", "0", "1", "9e999", "1_0", "٣.٣", "0x1F"]
    )
    | st.sampled_from(
        [".", "[", "]", "(", ")", ",", ":", "=", "==", "~", "**", "*", "+", "-", "/", "'", '"', "\\"]
    )
    | st.sampled_from(
        ["'a'", '"b"', "\\x00", "\\ud800", "\\N{", "upper", "default", "d", "truncate", "replace"]
    )
    | st.sampled_from(["int", "float", "round", "trim", "attr", "map"])
)
SNIPPETS = st.lists(TOKENS, max_size=25).map("".join)
EXPRESSIONS = st.lists(TOKENS, max_size=8).map(lambda tokens: "{{ x" + "".join(tokens) + " }}")

WORDS = st.text("ab é'", max_size=6).map(lambda word: '"' + word + '"')
BOOLEANS = st.sampled_from(["true", "false"])
NUMBERS = st.integers(0, 30).map(str)
TEXT_FILTERS = (
    st.sampled_from(["upper", "lower", "title", "capitalize", "trim", "urlencode", "truncate", "default"])
    | WORDS.map("trim({})".format)
    | st.builds("replace({}, {})".format, WORDS, WORDS)
    | st.builds("replace({}, {}, {})".format, WORDS, WORDS, NUMBERS)
    | st.builds("truncate({}, {}, {}, {})".format, st.integers(6, 20), BOOLEANS, WORDS, NUMBERS)
    | st.builds("default({}, {})".format, WORDS, BOOLEANS)
)
NUMBER_FILTERS = st.sampled_from(
    [
        "int",
        "float",
        "int(7)",
        "float(2.5)",
        "int|round",
        "float|round(1)",
        "float|round(1, 'ceil')",
        "float|round|int",
    ]
)
SLOTS = st.builds(
    lambda name, texts, numbers: "{{ " + "|".join([name, *texts, *numbers]) + " }}",
    NAMES,
    st.lists(TEXT_FILTERS, max_size=3),
    st.lists(NUMBER_FILTERS, max_size=1),
)
PLAIN = st.text("ab \n\r'\"|%}#é😀", max_size=10).filter(lambda text: "{" not in text)
TEMPLATES = st.lists(SLOTS | PLAIN, min_size=1, max_size=6).map("".join)
VALUES = st.dictionaries(
    NAMES, st.text(max_size=30) | st.sampled_from(["", "12", "12.75", "{{ code }}", " é ", "1e3"])
)


@given(ANY_TEXT | SNIPPETS | EXPRESSIONS)
@settings(max_examples=300)
@example("{{ ٣.٣ }}")
@example("{{ x|default('\\ud800') }}")
def test_no_text_makes_more_than_an_invalid_campaign(text):
    try:
        template = Template(text)
    except InvalidCampaign as error:
        assert len(str(error).splitlines()) == 1  # noqa: PT017 - most texts are refused, and some are not
        return
    for values in ({}, dict.fromkeys(template.variables, "1"), dict.fromkeys(template.variables, text)):
        try:
            rendered = template.render(values)
        except RenderError:
            continue
        assert 0 < len(rendered) <= 1600
        rendered.encode()


@given(TEMPLATES, VALUES)
@settings(max_examples=300)
@example("{{ name|int }}", {"name": "12.75"})
@example("{{ name|default('a')|upper }}{{ code|d('b', true) }}", {"code": ""})
def test_what_renders_is_what_jinja2_itself_renders(text, values):
    try:
        rendered = Template(text).render(values)
    except (InvalidCampaign, RenderError):
        return
    assert rendered == JINJA2.from_string(text).render(values)


@given(TEMPLATES, VALUES)
@settings(max_examples=300)
def test_what_jinja2_renders_we_refuse_only_for_a_reason_of_ours(text, values):
    try:
        expected = JINJA2.from_string(text).render(values)
    except TemplateError:
        return
    try:
        assert Template(text).render(values) == expected
    except InvalidCampaign as error:
        assert error.problem == "is empty"  # noqa: PT017 - the text decides whether it is raised
    except RenderError as error:
        told = str(error)  # the only three reasons there are here
        assert "is not a number" in told or "is empty" in told or "NUL" in told


@given(VALUES, ANY_TEXT)
def test_rendering_raises_nothing_but_a_render_error(values, value):
    template = Template(
        "{{ name|trim|int|round(1) }}{{ code|urlencode|title|truncate(9) }}{{ city|replace('', 'ab') }}"
    )
    for name in ("name", "code", "city"):
        try:
            template.render({**values, name: value})
        except RenderError as error:
            assert len(str(error).splitlines()) == 1  # noqa: PT017 - most values are refused, and some are not


@given(ANY_TEXT)
@example("{{ other }}")
@example("{% raw %}")
def test_a_value_comes_out_as_it_is(value):
    try:
        text = Template("<{{ x }}>").render({"x": value, "other": "leaked"})
    except RenderError:
        assert "\0" in value or any("\ud800" <= character <= "\udfff" for character in value)
    else:
        assert text == f"<{value}>"
