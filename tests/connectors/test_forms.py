import msgspec
import pytest

from wicketd.connectors import forms


@pytest.mark.parametrize(
    "form",
    [
        value
        for value in vars(forms).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct)
    ],
)
def test_every_form_refuses_unknown_fields(form: type[msgspec.Struct]) -> None:
    config = form.__struct_config__
    assert config.forbid_unknown_fields
    assert config.frozen
