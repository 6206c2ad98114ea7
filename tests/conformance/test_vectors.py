"""Our implementation, held to every vector of every file."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gossipsub.conformance.rules import load_rules
from gossipsub.conformance.vectors import FOLDER, Vector, find_areas, read_vectors
from gossipsub.crypto.envelope import SignedEnvelope
from gossipsub.crypto.keys import PrivateKey, PublicKey
from gossipsub.crypto.message_signing import sign_message, verify_message
from gossipsub.crypto.noise import DataReceived, HandshakeCompleted, NoiseConnection
from gossipsub.crypto.noise_core import XXHandshake
from gossipsub.crypto.noise_payload import bytes_to_sign as static_key_to_sign
from gossipsub.crypto.noise_payload import decode_payload, encode_payload
from gossipsub.crypto.peer_id import PeerId
from gossipsub.crypto.peer_record import PeerRecord
from gossipsub.peer.score import read_scoring
from gossipsub.router.message_id import content_id, origin_id
from gossipsub.router.score.peer_scores import PeerScores
from gossipsub.wire.errors import GossipSubError, RemoteProtocolError
from gossipsub.wire.framing import FrameReader
from gossipsub.wire.message_codec import bytes_to_sign, decode_message, encode_message
from gossipsub.wire.multistream import MultistreamDialer, MultistreamListener
from gossipsub.wire.rpc import Control, Message, Prune, Rpc
from gossipsub.wire.rpc_codec import RpcLimits, decode_rpc, encode_rpc
from gossipsub.wire.varint import decode_uvarint, encode_uvarint
from gossipsub.wire.yamux_frame import DATA, HEADER_BYTES, decode_header, encode_header

HEX = re.compile(r"(?:[0-9a-f]{2})*")
TEXTS = {
    *("name", "rule", "origin", "kind", "base58", "cid", "text", "domain", "peer_id", "topic"),
    *("topicid", "topicID", "number", "seq", "backoff", "type", "function", "role", "protocol"),
    *("protocols", "initiator_muxers", "responder_muxers", "muxers", "muxer", "outcome", "from"),
    *("do", "peer", "peers", "addresses"),
}
"""Keys whose text is not, or not in every file, bytes in hexadecimal."""


def octets(vector: Vector, key: str) -> bytes | None:
    return bytes.fromhex(vector[key]) if key in vector else None


def present(vector: Vector, key: str) -> bytes:
    return bytes.fromhex(vector[key])


def refuses(read: Callable[[], object]) -> bool:
    try:
        read()
    except GossipSubError:
        return True
    return False


# ---- transport


def hold_varint(vector: Vector) -> None:
    encoding = present(vector, "encoding")
    if vector["valid"] is False:
        assert refuses(lambda: decode_uvarint(encoding))
    elif vector["valid"] is None:
        assert decode_uvarint(encoding) is None
    else:
        assert decode_uvarint(encoding) == (int(vector["number"]), len(encoding))
        assert encode_uvarint(int(vector["number"])) == encoding


def hold_yamux_frame(vector: Vector) -> None:
    frame = present(vector, "frame")
    if not vector["valid"]:
        assert refuses(lambda: decode_header(frame))
        return
    fields = (vector["type"], vector["flags"], vector["stream_id"], vector["length"])
    assert decode_header(frame) == fields
    assert encode_header(*fields) + present(vector, "body") == frame
    body_bytes = vector["length"] if vector["type"] == DATA else 0
    assert len(frame) == HEADER_BYTES + body_bytes


def hold_negotiation(vector: Vector) -> None:
    protocols = vector["protocols"]
    side: MultistreamDialer | MultistreamListener
    if vector["role"] == "dialer":
        side = MultistreamDialer(protocols, early_data=octets(vector, "early_data") or b"")
    else:
        side = MultistreamListener(protocols.__contains__)
    side.receive_data(present(vector, "received"))
    try:
        if vector.get("ended"):
            side.receive_eof()
        event = side.next_event()
    except RemoteProtocolError:
        assert vector["outcome"] == "failed"
        return
    assert vector["outcome"] == ("open" if event is None else "agreed")
    assert side.data_to_send() == present(vector, "sent")
    if event is not None:
        assert event.protocol == vector["protocol"]
        assert side.surplus() == present(vector, "surplus")


# ---- keys and signatures


def hold_key(vector: Vector) -> None:
    match vector["kind"]:
        case "key":
            key = PrivateKey.decode(present(vector, "private_key"))
            assert key.encode() == present(vector, "private_key")
            assert key.public_key.type.name == vector["type"].upper()
            assert key.public_key.encode() == present(vector, "public_key")
            assert PublicKey.decode(present(vector, "public_key")) == key.public_key
            peer = key.peer_id()
            assert (peer, str(peer)) == (present(vector, "peer_id"), vector["base58"])
            assert peer.to_cid() == vector["cid"]
        case "private key" if vector["valid"]:
            written = PrivateKey.decode(present(vector, "private_key")).encode()
            assert written == present(vector, "written")
        case "private key":
            assert refuses(lambda: PrivateKey.decode(present(vector, "private_key")))
        case "public key":
            assert not vector["valid"]
            assert refuses(lambda: PublicKey.decode(present(vector, "public_key")))
        case "peer id text" if vector["valid"]:
            peer = PeerId.parse(vector["text"])
            assert (peer, str(peer)) == (present(vector, "peer_id"), vector["base58"])
        case "peer id text":
            assert refuses(lambda: PeerId.parse(vector["text"]))
        case "peer id" if vector["valid"]:
            assert str(PeerId.from_bytes(present(vector, "peer_id"))) == vector["base58"]
        case "peer id":
            assert refuses(lambda: PeerId.from_bytes(present(vector, "peer_id")))
        case kind:
            pytest.fail(f"unknown kind {kind}")


def hold_message_id(vector: Vector) -> None:
    message = Message(
        vector["topic"], octets(vector, "data"), octets(vector, "from"), octets(vector, "seqno")
    )
    id_of = {"default": origin_id, "content": content_id}[vector["function"]]
    if vector["id"] is None:
        with pytest.raises(ValueError, match="no default id"):
            id_of(message)
    else:
        assert id_of(message) == present(vector, "id")


def hold_signed_message(vector: Vector) -> None:
    message = decode_message(present(vector, "message"), 8)
    assert b"libp2p-pubsub:" + bytes_to_sign(message) == present(vector, "signed")
    assert verify_message(message) is vector["valid"]
    if "private_key" in vector:
        key = PrivateKey.decode(present(vector, "private_key"))
        unsigned = replace(message, from_peer=None, signature=None, key=None, encoding=None)
        assert sign_message(unsigned, key).encoding == present(vector, "message")


def hold_envelope(vector: Vector) -> None:
    encoded = present(vector, "envelope")
    if vector["kind"] == "peer record":
        hold_peer_record(vector, encoded)
        return
    domain, payload_type = vector["domain"], present(vector, "payload_type")
    if not vector["valid"]:
        assert refuses(
            lambda: SignedEnvelope.open(encoded, domain=domain, payload_type=payload_type)
        )
        return
    opened = SignedEnvelope.open(encoded, domain=domain, payload_type=payload_type)
    assert opened.public_key.encode() == present(vector, "public_key")
    assert str(opened.public_key.peer_id()) == vector["peer_id"]
    assert opened.payload == present(vector, "payload")


def hold_peer_record(vector: Vector, encoded: bytes) -> None:
    if not vector["valid"]:
        assert refuses(lambda: PeerRecord.open(encoded))
        return
    record = PeerRecord.open(encoded)
    assert (str(record.peer_id), str(record.seq)) == (vector["peer_id"], vector["seq"])
    assert [address.hex() for address in record.addresses] == vector["addresses"]
    if "private_key" in vector:
        assert record.seal(PrivateKey.decode(present(vector, "private_key"))) == encoded


# ---- noise


def x25519(vector: Vector, key: str) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(present(vector, key))


def hold_noise(vector: Vector) -> None:
    match vector["kind"]:
        case "handshake":
            hold_handshake(vector)
        case "channel":
            hold_channel(vector)
        case "payload" if vector["valid"]:
            payload = decode_payload(present(vector, "payload"))
            assert payload.identity_key == present(vector, "identity_key")
            assert payload.identity_signature == present(vector, "identity_signature")
            assert [muxer.decode() for muxer in payload.muxers] == vector["muxers"]
            assert encode_payload(payload) == present(vector, "written")
        case "payload":
            assert refuses(lambda: decode_payload(present(vector, "payload")))
        case "identity":
            signed = static_key_to_sign(present(vector, "static_key"))
            key = PublicKey.decode(present(vector, "identity_key"))
            assert key.verify(signed, present(vector, "identity_signature")) is vector["valid"]
        case "low order key":
            responder = XXHandshake(initiator=False)
            responder.read_message(present(vector, "ephemeral_key"))
            with pytest.raises(RemoteProtocolError):
                responder.write_message(b"")
        case kind:
            pytest.fail(f"unknown kind {kind}")


def hold_handshake(vector: Vector) -> None:
    sides = {
        name: XXHandshake(
            initiator=name == "initiator",
            static_key=x25519(vector, f"{name}_static"),
            ephemeral_key=x25519(vector, f"{name}_ephemeral"),
            prologue=present(vector, "prologue"),
        )
        for name in ("initiator", "responder")
    }
    other = {"initiator": "responder", "responder": "initiator"}
    handshake, data = vector["messages"][:3], vector["messages"][3:]
    for message in handshake:
        written = sides[message["from"]].write_message(present(message, "payload"))
        assert written == present(message, "message")
        read = sides[other[message["from"]]].read_message(written)
        assert read == present(message, "payload")
    ciphers = {name: side.split() for name, side in sides.items()}
    for message in data:
        sealed = ciphers[message["from"]][0].encrypt(present(message, "payload"))
        assert sealed == present(message, "message")
        assert ciphers[other[message["from"]]][1].decrypt(sealed) == present(message, "payload")
    for side in sides.values():
        assert side.handshake_hash == present(vector, "handshake_hash")


def hold_channel(vector: Vector) -> None:
    sides = {
        name: NoiseConnection(
            PrivateKey.decode(present(vector, f"{name}_key")),
            initiator=name == "initiator",
            muxers=vector[f"{name}_muxers"],
            static_key=x25519(vector, f"{name}_static"),
            ephemeral_key=x25519(vector, f"{name}_ephemeral"),
        )
        for name in ("initiator", "responder")
    }
    other = {"initiator": "responder", "responder": "initiator"}
    muxers = []
    for sent in vector["sent"]:
        source, target = sides[sent["from"]], sides[other[sent["from"]]]
        if "data" in sent:
            source.send_data(present(sent, "data"))
        written = source.data_to_send()
        assert written == present(sent, "bytes")
        target.receive_data(written)
        match target.next_event():
            case HandshakeCompleted(muxer=muxer):
                muxers.append(muxer)
            case DataReceived(data):
                assert data == present(sent, "data")
            case None:
                assert "data" not in sent
    assert muxers == [vector["muxer"]] * 2


# ---- RPCs


def hold_wire_format(vector: Vector) -> None:
    if vector["kind"] == "stream":
        hold_frames(vector)
        return
    received = present(vector, "rpc_bytes")
    if not vector["valid"]:  # null as well: we are among the strict
        assert refuses(lambda: decode_rpc(received, RpcLimits()))
        return
    rpc = decode_rpc(received, RpcLimits())
    assert rpc_fields(rpc) == vector["rpc"]
    publish = tuple(replace(message, encoding=None) for message in rpc.publish)
    for message in publish:
        encode_message(message)
    written = encode_rpc(replace(rpc, publish=publish, encoding=None))
    assert written.hex() == vector.get("written", vector["rpc_bytes"])


def hold_frames(vector: Vector) -> None:
    reader = FrameReader(vector["max_frame_bytes"])
    reader.receive_data(present(vector, "stream"))
    frames = []
    try:
        while (frame := reader.next_frame()) is not None:
            frames.append(frame.hex())
        if vector.get("ended"):
            reader.receive_eof()
    except RemoteProtocolError:
        assert not vector["valid"]
    else:
        assert vector["valid"]
    assert frames == vector["frames"]


def known(**fields: Any) -> dict[str, Any]:
    """Without the fields that are absent; bytes in hexadecimal."""
    return {
        name.rstrip("_"): value.hex() if isinstance(value, bytes) else value
        for name, value in fields.items()
        if value is not None
    }


def rpc_fields(rpc: Rpc) -> dict[str, Any]:
    partial = rpc.partial
    return known(
        subscriptions=[
            known(
                subscribe=entry.subscribe,
                topicid=entry.topic,
                requestsPartial=entry.requests_partial or None,
                supportsSendingPartial=entry.supports_sending_partial or None,
            )
            for entry in rpc.subscriptions
        ]
        or None,
        publish=[message_fields(message) for message in rpc.publish] or None,
        control=None if rpc.control is None else control_fields(rpc.control),
        partial=partial
        and known(
            topicID=partial.topic,
            groupID=partial.group_id,
            partialMessage=partial.partial_message,
            partsMetadata=partial.parts_metadata,
        ),
        testExtension=rpc.test_extension or None,
    )


def message_fields(message: Message) -> dict[str, Any]:
    return known(
        from_=message.from_peer,
        data=message.data,
        seqno=message.seqno,
        topic=message.topic,
        signature=message.signature,
        key=message.key,
        unknown=message.unknown or None,
    )


def control_fields(control: Control) -> dict[str, Any]:
    def ids(entry: Any) -> list[str]:
        return [message_id.hex() for message_id in entry.message_ids]

    return known(
        ihave=[{"topicID": e.topic, "messageIDs": ids(e)} for e in control.ihave] or None,
        iwant=[{"messageIDs": ids(entry)} for entry in control.iwant] or None,
        graft=[{"topicID": entry.topic} for entry in control.graft] or None,
        prune=[prune_fields(entry) for entry in control.prune] or None,
        idontwant=[{"messageIDs": ids(entry)} for entry in control.idontwant] or None,
        extensions=control.extensions
        and {
            "partialMessages": control.extensions.partial_messages,
            "testExtension": control.extensions.test_extension,
        },
    )


def prune_fields(prune: Prune) -> dict[str, Any]:
    peers = [
        known(peerID=info.peer_id, signedPeerRecord=info.signed_peer_record) for info in prune.peers
    ]
    backoff = None if prune.backoff is None else str(prune.backoff)
    return known(topicID=prune.topic, peers=peers, backoff=backoff)


# ---- scores


def hold_scores(vector: Vector) -> None:
    app_scores: dict[bytes, float] = {}
    params = replace(
        read_scoring(vector["params"]).params,
        app_specific_score=lambda peer: app_scores.get(peer, 0.0),
    )
    scores = PeerScores(params, max_retained=100, now=0.0)
    for peer in vector["peers"]:
        scores.add_peer(peer.encode(), ())
    for step in vector["steps"]:
        now = step["at_ms"] / 1000
        while scores.next_deadline() <= now:
            scores.refresh_if_due(scores.next_deadline())
        if step["do"] == "expect":
            seen = {peer: scores.score(peer.encode()) for peer in step["scores"]}
            tolerance = vector.get("tolerance", 1e-9)
            assert seen == pytest.approx(step["scores"], rel=tolerance, abs=tolerance)
        elif step["do"] == "app_score":
            app_scores[step["peer"].encode()] = step["score"]
        else:
            for _ in range(step.get("times", 1)):
                take_step(scores, step, step["peer"].encode(), now)


def take_step(scores: PeerScores, step: Vector, peer: bytes, now: float) -> None:
    match step["do"]:
        case "connect":
            scores.add_peer(peer, ())
        case "disconnect":
            scores.remove_peer(peer, now)
        case "addresses":
            scores.set_addresses(peer, step["addresses"])
        case "graft":
            scores.graft(peer, step["topic"], now)
        case "prune":
            scores.prune(peer, step["topic"])
        case "deliver":
            scores.first_delivery(peer, step["topic"])
        case "duplicate":
            scores.mesh_delivery(peer, step["topic"])
        case "reject":
            scores.invalid_delivery(peer, step["topic"])
        case "misbehave":
            scores.penalise(peer, 1, "misdeed")
        case unknown:
            pytest.fail(f"unknown step {unknown}")


HOLD: dict[str, Callable[[Vector], None]] = {
    "message_ids": hold_message_id,
    "message_signing": hold_signed_message,
    "multistream": hold_negotiation,
    "noise": hold_noise,
    "peer_ids_and_keys": hold_key,
    "peer_records": hold_envelope,
    "scoring": hold_scores,
    "varint": hold_varint,
    "wire_format": hold_wire_format,
    "yamux_frames": hold_yamux_frame,
}


@pytest.mark.parametrize(
    ("area", "vector"),
    [
        pytest.param(area, vector, id=f"{area}-{vector.get('kind', '')}-{vector['name']}")
        for area in HOLD
        for vector in read_vectors(area)
    ],
)
def test_we_agree_with_every_vector(area: str, vector: Vector) -> None:
    HOLD[area](vector)


# ---- the files


def test_no_file_is_without_a_test_that_reads_it() -> None:
    assert find_areas() == sorted(HOLD)


def test_an_area_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^no vectors of 'quic'; there are message_ids, "):
        read_vectors("quic")


@pytest.mark.parametrize("area", find_areas())
def test_a_file_is_laid_out_as_promised(area: str) -> None:
    document = json.loads((FOLDER / f"{area}.json").read_text(encoding="utf-8"))
    assert list(document) == ["about", "source", "version", "vectors"]
    assert document["version"] == 1
    rules = load_rules()
    names = [(vector.get("kind"), vector["name"]) for vector in document["vectors"]]
    assert len(names) == len(set(names))
    for vector in document["vectors"]:
        assert vector["rule"] in rules
        texts = {key: value for key, value in vector.items() if key != "differs"}
        for key, value in leaves("", texts):
            if isinstance(value, int):
                assert abs(value) < 2**53
            elif isinstance(value, str) and key not in TEXTS:
                assert HEX.fullmatch(value), key


def leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every value that is no list or object, with the key it stands under."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(name, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(key, inner)
    else:
        yield key, value


@pytest.mark.parametrize("area", find_areas())
def test_a_file_has_both_what_holds_and_what_is_refused(area: str) -> None:
    said = {json.dumps(vector.get("valid")) for vector in read_vectors(area)}
    assert {"true", "false"} <= said or area in ("message_ids", "multistream", "scoring")


# ---- another language


@pytest.mark.timeout(300)
def test_a_small_program_in_go_reads_a_file_and_agrees(tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    program = tmp_path / "read_vectors.go"
    shutil.copyfile(Path(__file__).with_name(program.name), program)
    ran = subprocess.run(
        [go, "run", str(program)],
        cwd=tmp_path,
        env=os.environ | {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "", "GOWORK": "off"},
        input=(FOLDER / "message_signing.json").read_bytes(),
        capture_output=True,
        check=False,
        timeout=280,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    said = dict(line.split("\t") for line in ran.stdout.decode().splitlines())
    expected = {
        vector["name"]: "valid" if vector["valid"] else "invalid"
        for vector in read_vectors("message_signing")
    }
    assert said == expected | {"Secp256k1": "unknown"}
