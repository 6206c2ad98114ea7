//! The library's parts, put together by the flags.

use std::time::Duration;

use libp2p_core::Transport;
use libp2p_core::upgrade::Version;
use libp2p_gossipsub::{
    Behaviour as Gossipsub, Message, MessageAuthenticity, MessageId, MetricsConfig, ValidationMode,
};
use libp2p_identity::{Keypair, PeerId};
use libp2p_swarm::NetworkBehaviour;
use prometheus_client::registry::Registry;
use sha2::{Digest, Sha256};

use crate::Refusal;
use crate::addresses;
use crate::copies::Copies;
use crate::flags::{Flags, MessageIds, Signing};

const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);
/// Cases have connections that say nothing for long.
const IDLE_PATIENCE: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(NetworkBehaviour)]
#[behaviour(prelude = "libp2p_swarm::derive_prelude")]
pub struct Behaviour {
    pub gossipsub: Gossipsub<Copies>,
    addresses: addresses::Behaviour,
    identify: libp2p_identify::Behaviour,
    ping: libp2p_ping::Behaviour,
}

pub type Swarm = libp2p_swarm::Swarm<Behaviour>;

pub struct Parts {
    pub swarm: Swarm,
    pub copies: Copies,
    pub registry: Option<Registry>,
}

pub fn build(flags: &mut Flags) -> Result<Parts, Refusal> {
    let key = identity(flags.seed);
    let id = key.public().to_peer_id();
    let (authenticity, validation) = match flags.signing {
        Signing::Strict => (MessageAuthenticity::Signed(key.clone()), ValidationMode::Strict),
        Signing::Lax => (MessageAuthenticity::Signed(key.clone()), ValidationMode::Permissive),
        Signing::Author => (MessageAuthenticity::Author(id), ValidationMode::Permissive),
        Signing::None => (MessageAuthenticity::Anonymous, ValidationMode::Anonymous),
    };
    let copies = Copies::new((flags.signing != Signing::None).then_some(id));
    let (gossipsub, registry) = gossipsub(flags, authenticity, validation, copies.clone())?;
    let behaviour = Behaviour {
        gossipsub,
        addresses: addresses::Behaviour::new(&flags.params.direct),
        identify: libp2p_identify::Behaviour::new(
            libp2p_identify::Config::new_with_signed_peer_record("ipfs/0.1.0".into(), &key)
                .with_agent_version("rustpeer".into()),
        ),
        ping: libp2p_ping::Behaviour::default(),
    };
    let noise = libp2p_noise::Config::new(&key).map_err(|why| Refusal::Machine(why.to_string()))?;
    let tcp = libp2p_tcp::Config::default().nodelay(true);
    let transport = libp2p_tcp::tokio::Transport::new(tcp)
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(libp2p_yamux::Config::default())
        .timeout(HANDSHAKE_PATIENCE)
        .boxed();
    let config =
        libp2p_swarm::Config::with_tokio_executor().with_idle_connection_timeout(IDLE_PATIENCE);
    let swarm = libp2p_swarm::Swarm::new(transport, behaviour, id, config);
    Ok(Parts { swarm, copies, registry })
}

/// The key made from a number: 32 bytes of seed, the number little-endian in the first 8.
fn identity(seed: Option<u64>) -> Keypair {
    let Some(seed) = seed else { return Keypair::generate_ed25519() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    Keypair::ed25519_from_bytes(bytes).expect("32 bytes are a seed")
}

fn gossipsub(
    flags: &mut Flags,
    authenticity: MessageAuthenticity,
    validation: ValidationMode,
    copies: Copies,
) -> Result<(Gossipsub<Copies>, Option<Registry>), Refusal> {
    let config = &mut flags.params.config;
    config.validation_mode(validation);
    if flags.params.validate {
        config.validate_messages();
    }
    match flags.message_ids {
        MessageIds::Default => config.message_id_fn(author_and_number),
        MessageIds::Content => config.message_id_fn(content_id),
        MessageIds::Library => config,
    };
    let config = config.build().map_err(|why| Refusal::Usage(format!("--params: {why}")))?;
    let mut gossipsub = Gossipsub::new_with_transform(authenticity, config, copies)
        .map_err(|why| Refusal::Usage(why.into()))?;
    let mut registry = None;
    if flags.params.metrics {
        let mut own = Registry::default();
        gossipsub = gossipsub.with_metrics(&mut own, MetricsConfig::default());
        registry = Some(own);
    }
    if let Some(score) = &flags.score {
        gossipsub
            .with_peer_score(score.params.clone(), score.thresholds.clone())
            .map_err(|why| Refusal::Usage(format!("--score: {why}")))?;
    }
    for (peer, _) in &flags.params.direct {
        gossipsub.add_explicit_peer(peer);
    }
    Ok((gossipsub, registry))
}

fn author_and_number(message: &Message) -> MessageId {
    let mut id = message.source.map(PeerId::to_bytes).unwrap_or_default();
    if let Some(number) = message.sequence_number {
        id.extend(number.to_be_bytes());
    }
    MessageId(id)
}

fn content_id(message: &Message) -> MessageId {
    MessageId(Sha256::digest(&message.data).to_vec())
}
