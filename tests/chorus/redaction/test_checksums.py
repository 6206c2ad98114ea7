from __future__ import annotations

import pytest

from gossipsub.chorus.redaction.checksums import is_card, is_iban


@pytest.mark.parametrize(
    "digits",
    ["4111111111111111", "5555555555554444", "2223003122003222", "378282246310005",
     "6011111111111117", "3530111333300000", "30569309025904", "4222222222222"],
)  # fmt: skip
def test_cards_of_every_issuer_pass_and_fail_with_another_last_digit(digits: str) -> None:
    assert is_card(digits)
    others = [digits[:-1] + digit for digit in "0123456789" if digit != digits[-1]]
    assert not any(map(is_card, others))


def test_a_number_of_no_issuer_is_no_card() -> None:
    assert not is_card("1111111111111117")
    assert not is_card("41111111111111111")


@pytest.mark.parametrize(
    "account", ["DE89370400440532013000", "GB82WEST12345698765432", "NO9386011117947"]
)
def test_account_numbers_pass_and_fail_when_two_digits_change_places(account: str) -> None:
    assert is_iban(account)
    assert not is_iban(account[:4] + account[5] + account[4] + account[6:]) or (
        account[4] == account[5]
    )
    assert not is_iban(account + "0")
    assert not is_iban("ZZ" + account[2:])
