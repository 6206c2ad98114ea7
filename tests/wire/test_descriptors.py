from __future__ import annotations

from gossipsub.wire.descriptors import build_file, message_class


def test_a_table_becomes_a_message_class() -> None:
    messages = {
        "Outer": ((1, "kind", "Outer.Kind"), (2, "inner", "*Outer.Inner"), (3, "n", "int64")),
        "Outer.Inner": ((1, "data", "bytes"), (2, "names", "*string")),
    }
    file = build_file("test.proto", "test", messages, {"Outer.Kind": ("ZERO", "ONE")})
    outer = message_class(file, "Outer")(kind=1, inner=[{"data": b"x", "names": ["a", "b"]}], n=-1)
    assert outer.SerializeToString().hex() == "0801" + "1209" + "0a0178" + "120161120162" + "18" + (
        "ff" * 9 + "01"
    )
