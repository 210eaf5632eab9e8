"""Text never becomes markup."""

import json

import pytest

from fame.report.markup import Html, element, json_block

NASTY = '<b onclick="x">&\'\u2028</script>'


def test_text_is_escaped_and_html_is_not():
    inner = element("b", NASTY)
    assert inner == ("<b>&lt;b onclick=&quot;x&quot;&gt;&amp;&#x27;\u2028&lt;/script&gt;</b>")
    assert element("p", inner, " & ", None, 7, [Html("<br>"), "<"]) == (
        f"<p>{inner} &amp; 7<br>&lt;</p>"
    )


def test_attributes_are_escaped_renamed_and_left_out():
    found = element("td", class_="a", data_item=NASTY, hidden=True, disabled=False, title=None)
    assert found == (
        '<td class="a" data-item="&lt;b onclick=&quot;x&quot;&gt;&amp;&#x27;\u2028&lt;/script&gt;"'
        " hidden></td>"
    )
    assert element("input", type="range") == '<input type="range">'


def test_a_document_survives_and_cannot_end_its_block():
    document = {"title": NASTY, "of": [1.5, None]}
    block = json_block("data", document)
    assert block.count("<") == 2 and "\u2028" not in block
    text = block.removeprefix('<script id="data" type="application/json">')
    assert json.loads(text.removesuffix("</script>")) == document
    with pytest.raises(ValueError, match="JSON compliant"):
        json_block("data", {"figure": float("nan")})
