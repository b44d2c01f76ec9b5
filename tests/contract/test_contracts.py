"""What every contract with a platform promises (`Contract`), whichever file it stands in."""

from __future__ import annotations

import ast
import pkgutil

import pytest

from modelcrate_layers import serving
from modelcrate_layers.errors import UserError
from modelcrate_layers.kinds.entry import EntryLayer
from modelcrate_layers.listing import Listing
from modelcrate_layers.serving import Contract, contract, contracts


@pytest.fixture(params=sorted(contracts()))
def found(request: pytest.FixtureRequest) -> Contract:
    return contract(request.param)


def test_there_is_one_contract_a_name_and_each_is_found_by_its_file() -> None:
    names = {module.name for module in pkgutil.iter_modules(serving.__path__) if not module.ispkg}
    assert set(contracts()) <= names
    assert "azureml" in contracts()


def test_an_unknown_contract_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UserError, match="unknown contract 'nothing'") as refused:
        contract("nothing")
    assert "azureml" in refused.value.hint


def test_it_says_where_it_listens_and_what_it_answers(found: Contract) -> None:
    assert 0 < found.port < 65536
    assert found.health in found.routes
    assert len(set(found.routes)) == len(found.routes)
    assert all(route.path.startswith("/") and route.method.isupper() for route in found.routes)


def test_it_says_how_it_is_started(found: Contract) -> None:
    assert found.argv[0].startswith("/")
    assert found.working_dir.startswith("/")
    names = [name for name, _ in found.env]
    assert names == sorted(set(names))


def test_its_files_make_a_valid_layer_and_compile(found: Contract) -> None:
    names = [name for name, _ in found.files]
    assert names == sorted(set(names))
    assert EntryLayer("x", Listing(()), found.files).tree().entries
    for name, data in found.files:
        assert name.endswith(".py")
        ast.parse(data, name, feature_version=(3, 9))


def test_its_files_are_the_same_every_time(found: Contract) -> None:
    assert found.files == contract(found.name).files
    assert not [name for name, _ in found.files if "__pycache__" in name]
