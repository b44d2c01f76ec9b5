"""How errors are told."""

from __future__ import annotations

from modelcrate_layers.errors import SourceError, UserError


def test_an_error_says_what_where_why_and_what_to_do() -> None:
    error = SourceError("the file changed", where="model/x.pkl", why="it grew\nwhile it was read", hint="build again")
    assert str(error) == "model/x.pkl: the file changed\n      it grew\n      while it was read\n      build again"
    assert str(UserError("no such thing")) == "no such thing"


def test_the_hint_follows_the_underline_of_an_excerpt() -> None:
    error = UserError("unknown key", where="f:9:5", excerpt="9 | modle: x\n  | ~~~~~", hint="did you mean 'models'?")
    assert str(error) == "f:9:5: unknown key\n    9 | modle: x\n      | ~~~~~ did you mean 'models'?"


def test_errors_found_together_are_told_together() -> None:
    error = UserError("one", also=[SourceError("two"), UserError("three", also=[UserError("four")])])
    assert str(error) == "one\ntwo\nthree\nfour"
    assert error.faults == 4
