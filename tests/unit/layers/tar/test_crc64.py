"""The CRC-64 of tar-split: that of ISO 3309 as Go's hash/crc64 has it, whatever the length and wherever the bytes are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelcrate_layers.tar.crc64 import crc64
from support.chunked import crc64_bytewise
from support.images import noise


def test_the_value_that_catalogues_check_it_by() -> None:
    assert crc64(b"123456789") == 0xB90956C775A41001
    assert crc64(b"") == 0


@given(st.binary(max_size=1000), st.integers(0, 1000))
def test_it_is_the_sum_of_a_byte_at_a_time_and_goes_on(data: bytes, at: int) -> None:
    assert crc64(data) == crc64_bytewise(data)
    assert crc64(data[at:], crc64(data[:at])) == crc64(data)


def test_it_is_the_same_over_several_blocks() -> None:
    data = noise(150_001)
    assert crc64(data) == crc64(memoryview(data)) == crc64_bytewise(data)
    assert crc64(bytes(200_000)) == crc64_bytewise(bytes(200_000))
