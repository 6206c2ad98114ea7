from __future__ import annotations

from gossipsub import PrivateKey, ReceivedMessage, Verdict
from gossipsub.validators import AuthorAllowList

ALICE, BOB, CAROL = (PrivateKey.from_seed(bytes(31) + bytes([n])).peer_id() for n in (1, 2, 3))


def by(sender, received_from=CAROL):
    return ReceivedMessage("news", b"", sender, received_from, b"id", bytes(8))


def test_only_listed_authors_are_let_through_whoever_hands_the_message_over():
    validator = AuthorAllowList([ALICE])
    assert validator(by(ALICE)) is Verdict.ACCEPT
    assert validator(by(BOB)) is Verdict.REJECT
    assert validator(by(BOB, received_from=ALICE)) is Verdict.REJECT
    assert AuthorAllowList([])(by(ALICE)) is Verdict.REJECT


def test_an_unsigned_message_has_no_author():
    assert AuthorAllowList([ALICE])(by(None)) is Verdict.REJECT


def test_the_verdict_on_all_others_can_be_chosen():
    validator = AuthorAllowList([ALICE], otherwise=Verdict.IGNORE)
    assert [validator(by(author)) for author in (ALICE, BOB, None)] == [
        Verdict.ACCEPT,
        Verdict.IGNORE,
        Verdict.IGNORE,
    ]


def test_authors_come_and_go_by_id_or_its_text():
    validator = AuthorAllowList([str(ALICE)])
    validator.add(str(BOB))
    validator.add(BOB)
    assert validator(by(BOB)) is Verdict.ACCEPT
    validator.remove(str(ALICE))
    validator.remove(ALICE)
    assert validator(by(ALICE)) is Verdict.REJECT
    assert validator.authors == {BOB}
    assert repr(validator) == "AuthorAllowList(1 authors, otherwise=REJECT)"
