"""A few people at once on the real server: nobody sees another one's answer."""

import threading
import time

import pytest

import resources
from crowd import Crowd, Person
from tests import made_up

PEOPLE = ("1,2,3,4,5", "6,7,8,9", "10,11,12")


def test_nobody_gets_an_error_or_the_answer_of_another(home, monkeypatch):
    crowd = Crowd(str(home / "checkpoints"), made_up.NAME, PEOPLE)
    asked = []
    really = crowd._expected

    def expected(ids, gate):
        asked.append((tuple(ids), gate))
        return really(ids, gate)

    monkeypatch.setattr(crowd, "_expected", expected)
    found = crowd(seconds=3.0, least=0.0, most=0.2)
    assert found["errors"] == [] and found["mixed_up"] == []
    assert len(found["seconds"]) == len(asked) >= 6 and min(found["seconds"]) > 0
    assert {len(ids) for ids, _ in asked} == {5, 4, 3}, "everybody was answered"
    assert any(gate for _, gate in asked), "and has moved faders"
    assert found["cpu_seconds"] > 0 and min(found["memory_bytes"]) > 1e7


@pytest.mark.parametrize("what", ["items", "clicks", "list", ""])
def test_a_mix_up_is_told(what):
    link = type("Link", (), {"connect_session": lambda *given: ""})()
    person = Person(link, {"checkpoint": "x", "items": "a,b,c"}, 0)
    person._query = f"checkpoint=x&items={'a,b,d' if what == 'items' else 'b,a,c'}&gate=0.5,1"
    clicks = ["a", "b", "c"] if what == "clicks" else ["c", "a", "b"]
    person._slides = [f"click-{own}" for own in clicks] + ["item-d", "item-e"]

    def expected(ids, gate):
        assert (ids, gate) == (["b", "a", "c"], (0.5, 1.0))
        return ["e", "d"] if what == "list" else ["d", "e"]

    told = person.strange(expected)
    assert bool(told) == bool(what)
    if what:
        assert {"items": "address", "clicks": "clicks shown", "list": "list shown"}[what] in told


def test_pictures_are_made_one_after_the_other_also_where_one_is_given_up():
    at_once, most = 0, []

    def draw(given_up):
        nonlocal at_once
        try:
            with resources.turn():
                at_once += 1
                most.append(at_once)
                time.sleep(0.01)
                at_once -= 1
                if given_up:
                    raise RuntimeError
        except RuntimeError:
            pass

    threads = [threading.Thread(target=draw, args=(number % 2,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert most == [1] * 8
