"""Two spellings of one identifier have one form; two identifiers have two."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slidekeeper.model.naming import IMAGE_EXTENSIONS, alias_form, barcode_in, normal_form

names = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("name", "barcode"),
    [("S26-1.svs", "S26-1"), ("S26-1.SVS", "S26-1"), ("S26.1", "S26.1"), ("a.svs.svs", "a.svs"), (".svs", ".svs"), ("a.ome.tif", "a.ome")],
)
def test_the_barcode_is_the_name_without_its_image_extension(name: str, barcode: str) -> None:
    assert barcode_in(name) == barcode


@pytest.mark.parametrize(
    "other", ["s26-gr\u00fcn.svs", " S26-Gru\u0308n.TIFF ", "S26-GR\u00dcN", "S26-gr\u00fcn.svs.svs", "S26-Gr\u00fcn .svs"]
)
def test_case_composition_white_space_and_extension_do_not_tell_aliases_apart(other: str) -> None:
    assert alias_form(other) == alias_form("S26-Gr\u00fcn")


@pytest.mark.parametrize("other", ["S26-2", "S26-01", "S261", "S26-1.txt", "S26 -1", "1-S26"])
def test_nothing_else_is_an_alias(other: str) -> None:
    assert alias_form(other) != alias_form("S26-1")


@given(names, st.sampled_from(IMAGE_EXTENSIONS))
def test_forms_are_stable(name: str, extension: str) -> None:
    assert normal_form(normal_form(name)) == normal_form(name)
    assert alias_form(alias_form(name)) == alias_form(name)
    if alias_form(name):
        assert alias_form(name + extension) == alias_form(name.strip())


@given(names)
def test_a_name_and_its_decomposed_form_are_the_same(name: str) -> None:
    assert normal_form(unicodedata.normalize("NFD", name)) == normal_form(name)
