"""Keys and peer ids, as peers on the wire show them (KEY)."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.trial import PROTOCOLS, Trial
from gossipsub.conformance.scripted_peer import play
from gossipsub.crypto.keys import KeyType, PrivateKey
from gossipsub.crypto.peer_id import PeerId

# The vectors of the peer id specification: private key, and its peer's id.
ED25519 = (
    "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"
    "1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e",
    "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq",
)
SECP256K1 = (
    "0802122053DADF1D5A164D6B4ACDB15E24AA4C5B1D3461BDBD42ABEDB0A4404D56CED8FB",
    "16Uiu2HAmLhLvBoYaoZfaMUKuibM6ac163GwKY74c5kiSLg5KvLpY",
)
ECDSA = (
    "08031279307702010104203E5B1FE9712E6C314942A750BD67485DE3C1EFE85B1BFB520AE8F9AE3DFA4A4C"
    "A00A06082A8648CE3D030107A14403420004DE3D300FA36AE0E8F5D530899D83ABAB44ABF3161F162A4BC9"
    "01D8E6ECDA020E8B6D5F8DA30525E71D6851510C098E5C47C646A597FB4DCEC034E9F77C409E62",
    "QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk",
)
NODE_0 = "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"


async def _is_known_as(trial: Trial, key: PrivateKey, name: str, what: str) -> None:
    """A peer with this key connects, and the target calls it by this name."""
    node = await trial.start()
    wire = await trial.reach(node)
    with trial.expecting(f"a connection with a peer whose key is {what}"):
        await wire.upgrade(key, initiator=True)
        async with play(wire, key, client=True) as w:
            await w.serve_identify(PROTOCOLS)
            await w.open_pubsub(*PROTOCOLS)
            await w.wait_pubsub()
            peers = (await node.wait_answer("peers", lambda got: bool(got["peers"])))["peers"]
    trial.equal("peers", [each["peer"] for each in peers], [name])


async def _vector_is_known(trial: Trial, vector: tuple[str, str], what: str) -> None:
    await _is_known_as(trial, PrivateKey.decode(bytes.fromhex(vector[0])), vector[1], what)


@case("KEY-02", fault="peer_ids_are_hashes", also=("KEY-08",))
async def a_peer_with_the_ed25519_key_of_the_specification_is_known(trial: Trial) -> None:
    await _vector_is_known(trial, ED25519, "Ed25519")


@case("KEY-03", fault="secp256k1_identities_are_refused", also=("KEY-08",))
async def a_peer_with_the_secp256k1_key_of_the_specification_is_known(trial: Trial) -> None:
    """SHOULD; the nodes of Ethereum have such keys."""
    await _vector_is_known(trial, SECP256K1, "secp256k1")


@case("KEY-04", fault="ecdsa_identities_are_refused", also=("KEY-08",))
async def a_peer_with_the_ecdsa_key_of_the_specification_is_known(trial: Trial) -> None:
    await _vector_is_known(trial, ECDSA, "ECDSA")


@case("KEY-05", fault="the_number_of_rsa_is_left_out", also=("T18", "KEY-01", "KEY-08"))
async def a_peer_with_an_rsa_key_is_known_by_its_hash(trial: Trial) -> None:
    """The key type RSA is number 0 and is written all the same: without those two bytes every
    RSA peer id comes out wrong."""
    key = PrivateKey.generate(KeyType.RSA)
    await _is_known_as(trial, key, str(key.peer_id()), "RSA")


@case("KEY-09", fault="peer_ids_in_cids_are_refused")
async def an_address_may_name_its_peer_by_a_cid(trial: Trial) -> None:
    """CIDv1 of libp2p-key in base32, the other text form of peer ids."""
    node = await trial.start()
    listener = await trial.listener()
    peer = listener.key.peer_id()
    cid = peer.to_cid()
    address = listener.address.replace(str(peer), cid)
    connecting = node.meanwhile("connect", addr=address)
    with trial.expecting(f"a connection to /p2p/{cid}"):
        async with connecting, listener.accept(timeout=10) as w:
            trial.watch("W1", w.journal)
            trial.equal("who dialled", str(w.remote_peer), node.peer_id)


@case("KEY-12", fault="node_keys_are_big_endian")
async def a_numbered_node_has_the_key_that_everybody_gives_it(trial: Trial) -> None:
    """Node n's seed is n in little-endian, as in the interoperability tests of libp2p."""
    node = await trial.start(seed=0)
    trial.equal("node 0", node.peer_id, NODE_0)
    w = await trial.upgrade(node)
    trial.equal("who it proves to be", str(w.remote_peer), NODE_0)
    other = await trial.start(seed=300)
    expected = PrivateKey.from_seed((300).to_bytes(32, "little")).peer_id()
    trial.equal("node 300", PeerId.parse(other.peer_id), expected)
