"""HTML that leaves things open costs no more time than other HTML, and keeps its words."""

import pytest
from bs4 import BeautifulSoup

from services.worker.engines.loose_ends import tied
from tests.services.worker.engines.conftest import Reader

GOOD = """<!DOCTYPE html><html><head><title>T</title><!-- a > b --></head><body>
<!--[if gte mso 9]>x<![endif]-->
<p class="a>b">one &lt; two <![if !supportLists]><b>three</b><![endif]> <![CDATA[four]]> <br/>
<pre>    five\n\n\n    six</pre> <script>if (a < b) { c() }</script></body></html>"""
MANY = 100_000
ENDLESS = {
    "tags": ("words" + "<a " * MANY, "words<a"),
    "tags with a quote": ("words" + "<a b='c " * MANY + ">", "words"),
    "ends of tags": ("words" + "</a " * MANY, "words"),
    "comments": ("words<!-- more" * 2 * MANY + ">", "words<!-- more"),
    "sections": ("words<![if more" * MANY + ">", "words<![if more"),
    "sections of characters": ("words<![CDATA[ more ]>" * MANY, "words<![CDATA[ more"),
    "instructions": ("words<?x " * MANY, "words<?x"),
    "blanks": ("<p>words" + " " * MANY + "more</p>", "words"),
}


def test_good_html_is_left_as_it_is() -> None:
    assert tied(GOOD) == GOOD


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<p>a</p> b < c", "a b < c"),
        ("<p>a</p> b <c", "a b <c"),
        ("<p>a</p><!-- b <i>c</i>", "a<!-- b c"),
        ("<p>a<!-- b --></p><!-- c", "a<!-- c"),
        ("a<![CDATA[ b ]> c", "a<![CDATA[ b ]> c"),
        ("a<![unknown[ b ]]> c", "a<![unknown[ b ]]> c"),
        ("a<![ if b ]> c", "a<![ if b ]> c"),
        ("<p>a" + " " * 300 + "b</p>", "a" + " " * 256 + "b"),
        ("<p>a" + " \n" * 300 + "b</p>", "a\n\nb"),
    ],
)
def test_what_nothing_closes_is_text(raw: str, text: str) -> None:
    assert BeautifulSoup(tied(raw), "html.parser").get_text() == text


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_is_left_open_is_read_in_time(reader: Reader, what: str) -> None:
    content, words = ENDLESS[what]
    read = await reader.read(content.encode(), "a.html")
    assert read.pages[0].text.startswith(words)
